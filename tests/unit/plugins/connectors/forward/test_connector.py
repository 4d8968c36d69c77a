"""The forward connector."""

from __future__ import annotations

import pytest

from untrace_pipeline.api import Kind, PipelineId, RetryableError
from untrace_pipeline.data import Field, Level, Signal
from untrace_pipeline.testing import FailingSink, Sink, make_batch, make_settings
from untrace_plugins.connectors.forward import FACTORY

NAME = Field(Level.ITEM, "name")


async def test_everything_goes_to_every_pipeline_of_the_signal() -> None:
    """Each gets its own handle; pipelines of other signals get nothing."""
    outputs = {PipelineId.parse(name): Sink() for name in ("traces/a", "traces/b", "logs/c")}
    connector = FACTORY.create(FACTORY.config(), make_settings(Kind.CONNECTOR, "forward"), outputs)
    batch = make_batch(items=4)
    batch.set(NAME, ["edited"] * 4)
    await connector.consume(batch)
    assert [sink.item_count for sink in outputs.values()] == [4, 4, 0]
    first, second = outputs[PipelineId.parse("traces/a")], outputs[PipelineId.parse("traces/b")]
    assert first.column(NAME) == second.column(NAME) == ["edited"] * 4
    assert first.batches[0] is not second.batches[0]


async def test_a_refusal_goes_up() -> None:
    """The one pipeline's refusal is the answer."""
    outputs = {PipelineId(Signal.LOGS): FailingSink(RetryableError("later"))}
    connector = FACTORY.create(FACTORY.config(), make_settings(Kind.CONNECTOR, "forward"), outputs)
    with pytest.raises(RetryableError):
        await connector.consume(make_batch(Signal.LOGS))
