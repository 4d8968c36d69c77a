"""The transform processor: groups, error modes, counting."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from untrace_pipeline.api import Kind, PermanentError
from untrace_pipeline.data import Batch, Field, Level, Signal, attribute
from untrace_pipeline.testing import RecordingMeter, Sink, make_batch, make_settings
from untrace_plugins.processors.transform import FACTORY

NAME = Field(Level.ITEM, "name")


async def run(options: dict[str, Any], batch: Batch, meter: RecordingMeter | None = None) -> Batch:
    """Transform, write, and read again what was written."""
    sink = Sink()
    settings = make_settings(Kind.PROCESSOR, "transform", signals=[batch.signal], meter=meter)
    processor = FACTORY.create(FACTORY.config.model_validate(options), settings, sink)
    await processor.consume(batch)
    return Batch(batch.signal, sink.batches[0].to_otlp())


async def test_groups_run_in_order() -> None:
    """Each group runs on the rows of its own context, and sees what those before it did."""
    options = {
        "trace_statements": [
            {"context": "resource", "statements": ['set(attributes["r"], "new")']},
            {"conditions": ['span.name == "chat 1"'], "statements": ['set(span.name, resource.attributes["r"])']},
            {"context": "spanevent", "statements": ['set(name, "event")']},
        ]
    }
    batch = await run(options, make_batch(Signal.TRACES, 6, resources=2))
    assert batch.column(NAME).count("new") == 2


@pytest.mark.parametrize("signal", list(Signal))
async def test_other_signals_pass(signal: Signal) -> None:
    """Statements on one signal leave the others alone."""
    batch = make_batch(signal, 3)
    payload = batch.to_otlp()
    result = await run({"trace_statements": ['set(span.attributes["a"], 1)']}, batch)
    assert (result.to_otlp() == payload) == (signal is not Signal.TRACES)


BROKEN = 'set(span.attributes["a"], ParseJSON(span.name))'


async def test_errors_are_counted_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """``ignore`` leaves rows without an answer alone, counts each and logs once per request."""
    meter = RecordingMeter()
    with caplog.at_level(logging.WARNING):
        batch = await run(
            {"trace_statements": [BROKEN, 'set(span.attributes["b"], 1)']}, make_batch(Signal.TRACES, 4), meter
        )
    assert batch.column(attribute("b")) == [1] * 4
    assert meter.value("processor_transform_errors") == 4
    assert [record.message.count("this is no JSON") for record in caplog.records] == [1]
    assert "4 items" in caplog.text


async def test_silence_and_refusal(caplog: pytest.LogCaptureFixture) -> None:
    """``silent`` logs nothing; ``propagate`` refuses the request for good, and a group may differ."""
    await run({"error_mode": "silent", "trace_statements": [BROKEN]}, make_batch(Signal.TRACES, 4))
    assert caplog.text == ""
    with pytest.raises(PermanentError, match="no answer for an item: set"):
        await run({"error_mode": "propagate", "trace_statements": [BROKEN]}, make_batch(Signal.TRACES, 4))
    groups = [{"statements": [BROKEN], "error_mode": "silent"}]
    await run({"error_mode": "propagate", "trace_statements": groups}, make_batch(Signal.TRACES, 4))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trace_statements": ['set(span.nam, "x")']}, "did you mean name?"),
        ({"trace_statements": ['set(name, "x")']}, "Name the context"),
        ({"log_statements": ['set(span.name, "x")']}, "stands at a log"),
        ({"log_statements": [{"context": "span", "statements": ['set(name, "x")']}]}, "no context of logs"),
        ({"trace_statements": ['set(span.name, "x")', {"statements": ["x"]}]}, "either statements or groups"),
        (
            {"trace_statements": [{"context": "span", "conditions": ["nope == 1"], "statements": ['set(name, "")']}]},
            "nope",
        ),
    ],
)
def test_mistakes(options: dict[str, Any], message: str) -> None:
    """What cannot be compiled is an error of the configuration."""
    with pytest.raises(ValueError, match="(?s)" + message.replace("?", r"\?")):
        FACTORY.config.model_validate(options)
