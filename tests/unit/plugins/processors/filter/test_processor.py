"""What the filter drops."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from untrace_pipeline.api import Kind, PermanentError
from untrace_pipeline.data import Batch, Field, Level, Signal
from untrace_pipeline.testing import make_batch, make_settings
from untrace_plugins.processors.filter import FACTORY

NAME = Field(Level.ITEM, "name")
SERVICE = Field(Level.RESOURCE, "attributes", "service.name")


def run(options: dict[str, Any], batch: Batch) -> Batch | None:
    """Filter, write, and read again what was written."""
    settings = make_settings(Kind.PROCESSOR, "filter", signals=[batch.signal])
    result = FACTORY.create(FACTORY.config.model_validate(options), settings).process(batch)
    return result and Batch(result.signal, result.to_otlp())


def left(options: dict[str, Any], signal: Signal = Signal.TRACES, items: int = 6) -> int:
    result = run(options, make_batch(signal, items, resources=2))
    return result.item_count if result else 0


@pytest.mark.parametrize(
    ("options", "signal", "count"),
    [
        ({}, Signal.TRACES, 6),
        ({"traces": {"span": ['name == "chat 1"']}}, Signal.TRACES, 4),
        ({"traces": {"span": ['name == "chat 1"']}}, Signal.LOGS, 6),
        ({"traces": {"span": ['name == "chat 1"', 'name == "chat 0"']}}, Signal.TRACES, 2),
        ({"traces": {"span": [{"field": "name", "operator": "eq", "value": "chat 1"}]}}, Signal.TRACES, 4),
        ({"traces": {"resource": ['attributes["service.name"] == "service-0"']}}, Signal.TRACES, 3),
        ({"traces": {"resource": ["true"]}}, Signal.TRACES, 0),
        ({"trace_conditions": ['span.name == "chat 1"', 'span.name == "chat 2"']}, Signal.TRACES, 2),
        ({"trace_conditions": [{"context": "scope", "conditions": ['version == "1"']}]}, Signal.TRACES, 0),
        (
            {"trace_conditions": [{"conditions": ['resource.attributes["service.name"] == "service-0"']}]},
            Signal.TRACES,
            3,
        ),
        ({"spans": {"include": {"match_type": "regexp", "span_names": ["[12]$"]}}}, Signal.TRACES, 4),
        ({"spans": {"exclude": {"match_type": "strict", "services": ["service-1"]}}}, Signal.TRACES, 3),
        ({"logs": {"log_record": ["severity_number < SEVERITY_NUMBER_WARN"]}}, Signal.LOGS, 4),
        ({"log_conditions": ['log.body == "message 1"']}, Signal.LOGS, 4),
        ({"logs": {"include": {"match_type": "strict", "severity_number": {"min": "warn"}}}}, Signal.LOGS, 4),
        ({"logs": {"exclude": {"match_type": "regexp", "bodies": ["[01]$"]}}}, Signal.LOGS, 2),
        (
            {"logs": {"include": {"resource_attributes": [{"key": "service.name", "value": "service-0"}]}}},
            Signal.LOGS,
            3,
        ),
        ({"metrics": {"metric": ["type == METRIC_DATA_TYPE_GAUGE"]}}, Signal.METRICS, 4),
        ({"metrics": {"datapoint": ["value_int == 1"]}}, Signal.METRICS, 4),
        ({"metric_conditions": ['HasAttrKeyOnDatapoint("n") and metric.name == "gen_ai.metric.2"']}, Signal.METRICS, 4),
        ({"metrics": {"include": {"match_type": "strict", "metric_names": ["gen_ai.metric.0"]}}}, Signal.METRICS, 2),
        (
            {"metrics": {"exclude": {"match_type": "strict", "resource_attributes": [{"key": "host.name"}]}}},
            Signal.METRICS,
            0,
        ),
    ],
)
def test_what_is_left(options: dict[str, Any], signal: Signal, count: int) -> None:
    """Every level and every way of writing it, on two resources with three items each."""
    assert left(options, signal) == count


def test_empty_containers_vanish() -> None:
    """A resource whose items are all dropped is gone; a metric without points too."""
    result = run({"traces": {"span": ['resource.attributes["service.name"] == "service-0"']}}, make_batch(resources=2))
    assert result is not None
    assert result.column(SERVICE) == ["service-1"]
    points = run({"metrics": {"datapoint": ['metric.name != "gen_ai.metric.1"']}}, make_batch(Signal.METRICS, 5))
    assert points is not None
    assert points.row_count(Level.METRIC) == 1


def test_spans_survive_their_events() -> None:
    """Dropping all events of a span keeps the span."""
    result = run({"traces": {"spanevent": ['name == "gen_ai.choice" and span.name == "chat 1"']}}, make_batch(items=6))
    assert result is not None
    assert result.item_count == 6
    assert result.row_count(Level.EVENT) == 4


def test_nothing_left_is_none() -> None:
    """A request that is dropped whole ends here."""
    assert run({"traces": {"span": ["true"]}}, make_batch()) is None


BROKEN = {"span": ['attributes["cached"]["x"] == 1', 'name == "chat 1"']}


def test_ignore_goes_on_and_logs(caplog: pytest.LogCaptureFixture) -> None:
    """Where a condition has no answer the next one is asked; one line says which and why."""
    with caplog.at_level(logging.WARNING):
        assert left({"traces": BROKEN}) == 4
    (record,) = caplog.records
    assert 'attributes["cached"]["x"] == 1: bool cannot be indexed' in record.getMessage()


def test_silent_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """The same without a word."""
    assert left({"error_mode": "silent", "traces": BROKEN}) == 4
    assert not caplog.records


def test_propagate_refuses() -> None:
    """The whole request is refused, for good; a group may say otherwise."""
    with pytest.raises(PermanentError, match="no answer"):
        left({"error_mode": "propagate", "traces": BROKEN})
    group = {"context": "span", "conditions": BROKEN["span"], "error_mode": "silent"}
    assert left({"error_mode": "propagate", "trace_conditions": [group]}) == 4
