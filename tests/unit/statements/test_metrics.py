"""Editors of whole metrics: types, copies, what they leave alone. Equality with the Collector is tested elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from untrace_pipeline.data import Batch, Field, Level, Signal
from untrace_pipeline.errors import ConditionError
from untrace_pipeline.statements import compile_sequence, statement_level
from untrace_pipeline.testing import make_batch

NAME, TYPE, UNIT = (Field(Level.METRIC, name) for name in ("name", "type", "unit"))


def run(batch: Batch, *statements: str) -> list[Any]:
    """Run statements on metrics; return what went wrong."""
    level = statement_level(statements, [], "", Signal.METRICS)
    troubles = compile_sequence(statements, [], Signal.METRICS, level).run(batch)
    return [(text, trouble.rows, trouble.first) for text, trouble in troubles]


def column(batch: Batch, field: Field) -> list[Any]:
    return Batch(batch.signal, batch.to_otlp()).column(field)


def metrics() -> Batch:
    return make_batch(Signal.METRICS, 6, resources=2)


def test_types_change_with_what_stands_around() -> None:
    """A changed type is seen by later statements; items and other fields stay."""
    batch = metrics()
    types, items = column(batch, TYPE), batch.item_count
    assert (
        run(batch, "convert_sum_to_gauge()", 'set(metric.unit, "g") where metric.type == METRIC_DATA_TYPE_GAUGE') == []
    )
    assert column(batch, TYPE) == ["gauge" if kind == "sum" else kind for kind in types]
    assert column(batch, UNIT).count("g") == column(batch, TYPE).count("gauge") > 0
    assert batch.item_count == items


def test_new_metrics_go_through_all_statements() -> None:
    """A copy stands at the end of its scope, and the statements run on it too."""
    batch = metrics()
    names = column(batch, NAME)
    run(
        batch,
        'copy_metric(name="copy") where metric.name != "copy"',
        'set(metric.unit, Concat([metric.name, "u"], "."))',
    )
    found = column(batch, NAME)
    assert len(found) == 2 * len(names)
    assert found.count("copy") == len(names)
    assert column(batch, UNIT) == [f"{name}.u" for name in found]


def test_copies_without_end_are_stopped() -> None:
    """A copy that is copied again does not go on for ever: it is counted."""
    batch = metrics()
    troubles = run(batch, "copy_metric()")
    assert troubles[0][0] == "metrics"
    assert "without end" in troubles[0][2]


def test_what_does_not_fit_stays() -> None:
    """A metric that an editor has no answer for stays byte for byte; the others are changed."""
    batch = metrics()
    run(batch, "set(datapoint.value_int, 5) where metric.type == METRIC_DATA_TYPE_GAUGE")
    before = batch.to_otlp()
    ((_, rows, first),) = run(batch, "extract_sum_metric(true) where metric.type == METRIC_DATA_TYPE_GAUGE")
    assert rows == column(batch, TYPE).count("gauge")
    assert "a histogram or summary is needed, not a gauge" in first
    ((_, rows, first),) = run(batch, "scale_metric(1.0e300) where metric.type == METRIC_DATA_TYPE_GAUGE")
    assert "64 bits" in first
    assert batch.to_otlp() == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('convert_gauge_to_sum("often", true)', "delta or cumulative"),
        ('convert_gauge_to_sum("delta", "x")', "true or false written out"),
        ("scale_metric(metric.name)", "number written out"),
        ('aggregate_on_attributes("product")', "sum, max, min, mean, median, count"),
        ('aggregate_on_attributes("sum", [metric.name])', "strings written out"),
        ("convert_sum_to_gauges()", "did you mean convert_sum_to_gauge?"),
        ("convert_sum_to_gauge() where datapoint.flags == 1", "datapoint cannot be read here"),
    ],
)
def test_mistakes(text: str, message: str) -> None:
    """What cannot be compiled says why."""
    with pytest.raises(ConditionError) as caught:
        run(metrics(), text)
    assert message in str(caught.value)


def test_only_metrics_have_them() -> None:
    """In statements on spans these editors are not known."""
    with pytest.raises(ConditionError, match="no known editor"):
        compile_sequence(["convert_sum_to_gauge()"], [], Signal.TRACES, Level.ITEM)
    with pytest.raises(ConditionError, match="a group of its own"):
        compile_sequence(["convert_sum_to_gauge()"], [], Signal.METRICS, Level.ITEM)
