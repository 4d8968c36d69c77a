"""Neighbouring transforms run in one pass, and every item that vanishes is counted."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from untrace_pipeline.api import ComponentId, Kind
from untrace_pipeline.data import Batch
from untrace_pipeline.engine.link import Faults
from untrace_pipeline.engine.transforms import Step, TransformRun
from untrace_pipeline.errors import ConsumeError, InternalError, PermanentError, RetryableError
from untrace_pipeline.testing import RecordingMeter, Sink, make_batch


class Lambda:
    """A transform made of a function."""

    def __init__(self, function: Callable[[Batch], Batch | None]) -> None:
        self.process = function


def make_step(name: str, function: Callable[[Batch], Batch | None], meter: RecordingMeter) -> Step:
    return Step(
        Lambda(function),
        Faults(ComponentId.parse(Kind.PROCESSOR, name), meter, logging.getLogger(name), lambda: 0.0),
        meter.counter("processor_incoming_items", processor=name),
        meter.counter("processor_outgoing_items", processor=name),
        meter.counter("dropped_items", component=name),
        "filtered",
        meter.histogram("processor_internal_duration", processor=name),
    )


def no_books(_reason: str, _items: int) -> None:
    """For tests that look at the metrics of the step alone."""


def first_half(batch: Batch) -> Batch | None:
    return batch.select([row < batch.item_count // 2 for row in range(batch.item_count)])


async def test_steps_see_what_the_ones_before_left() -> None:
    """Items are counted into and out of each step, and the difference as dropped."""
    meter, sink = RecordingMeter(), Sink()
    drops: list[tuple[str, int]] = []
    run = TransformRun(
        [make_step("a", first_half, meter), make_step("b", first_half, meter)], sink, lambda *drop: drops.append(drop)
    )
    await run.consume(make_batch(items=8))
    assert sink.item_count == 2
    assert [meter.value("processor_incoming_items", processor=name) for name in "ab"] == [8, 4]
    assert [meter.value("processor_outgoing_items", processor=name) for name in "ab"] == [4, 2]
    assert [meter.value("dropped_items", component=name) for name in "ab"] == [4, 2]
    assert drops == [("filtered", 4), ("filtered", 2)]
    assert len(meter.recorded("processor_internal_duration")) == 2


async def test_drops_of_a_refused_batch_do_not_count() -> None:
    """Its sender will bring the same items again."""

    class Full(Sink):
        async def consume(self, batch: Batch) -> None:
            raise RetryableError("full")

    meter, sink = RecordingMeter(), Full()
    with pytest.raises(RetryableError):
        await TransformRun([make_step("a", first_half, meter)], sink, no_books).consume(make_batch(items=8))
    assert meter.value("dropped_items") == 0


@pytest.mark.parametrize("outcome", ["none", "empty"])
async def test_a_batch_dropped_whole_is_accepted_and_goes_no_further(outcome: str) -> None:
    """Dropping on purpose is no refusal; later steps and exporters see nothing."""

    def drop_all(batch: Batch) -> Batch | None:
        if outcome == "none":
            return None
        batch.keep([False] * batch.item_count)
        return batch

    meter, sink = RecordingMeter(), Sink()
    later = make_step("later", lambda batch: batch, meter)
    await TransformRun([make_step("a", drop_all, meter), later], sink, no_books).consume(make_batch(items=5))
    assert sink.batches == []
    assert meter.value("dropped_items", component="a") == 5
    assert meter.value("processor_incoming_items", processor="later") == 0


@pytest.mark.parametrize(
    ("raised", "expected"), [(ValueError("payload"), InternalError), (PermanentError("mine"), PermanentError)]
)
async def test_exceptions_are_consume_errors(raised: Exception, expected: type[ConsumeError]) -> None:
    """What a transform raises on purpose reaches the receiver as it is, and nothing is passed on."""

    def fail(batch: Batch) -> Batch | None:
        raise raised

    meter, sink = RecordingMeter(), Sink()
    with pytest.raises(expected) as refused:
        await TransformRun([make_step("a", fail, meter)], sink, no_books).consume(make_batch())
    assert sink.batches == []
    assert "payload" not in str(refused.value)
