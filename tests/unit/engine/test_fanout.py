"""The fan-out keeps docs/decisions/0001-fan-out.md."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.components import until
from untrace_pipeline.data import Batch, Level, Signal, attribute
from untrace_pipeline.engine.fanout import FanOut, fan_out
from untrace_pipeline.errors import Code, ConsumeError, PermanentError, QueueFullError, RetryableError
from untrace_pipeline.testing import BlockingSink, FailingSink, Sink, make_batch


class Drops:
    """Collects what the fan-out counts as dropped."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Signal, int]] = []

    def __call__(self, component: str, signal: Signal, items: int) -> None:
        self.seen.append((component, signal, items))


def full(destination: str, items: int = 4) -> QueueFullError:
    error = QueueFullError("the queue is full", retry_after=1.0)
    error.refused = {destination: items}
    return error


def test_one_branch_is_called_directly() -> None:
    """A pipeline with one exporter pays nothing for fan-out."""
    sink = Sink()
    assert fan_out([sink], Drops()) is sink


async def test_every_branch_gets_its_own_handle() -> None:
    """What one branch edits, no other sees, and each gets the batch once."""

    class Editing(Sink):
        async def consume(self, batch: Batch) -> None:
            batch.keep([False] * batch.item_count)
            await super().consume(batch)

    editing, plain = Editing(), Sink()
    await FanOut([editing, plain], Drops()).consume(make_batch(items=7))
    assert (editing.item_count, plain.item_count, len(plain.batches)) == (0, 7, 1)


async def test_pending_edits_are_written_once_for_all_branches() -> None:
    """Bytes are rewritten before the branches part, so that they share them."""
    one, two = Sink(), Sink()
    batch = make_batch(items=3)
    batch.set(attribute("x"), [1, 2, 3])
    await FanOut([one, two], Drops()).consume(batch)
    assert one.batches[0].to_otlp() is two.batches[0].to_otlp()
    assert one.column(attribute("x"), Level.ITEM) == [1, 2, 3]


async def test_a_blocked_branch_does_not_hold_up_another() -> None:
    """The other has its data at once; the caller is acknowledged only when both have accepted."""
    blocked, quick = BlockingSink(), Sink()
    call = asyncio.create_task(FanOut([blocked, quick], Drops()).consume(make_batch()))
    await quick.wait_for_items(10)
    await until(lambda: blocked.waiting)
    assert not call.done()
    blocked.release.set()
    await call
    assert blocked.item_count == quick.item_count == 10


async def test_a_full_queue_beside_an_accepting_branch_is_a_counted_drop() -> None:
    """The sender is not told, because its retry would duplicate the data at the branch that took it."""
    drops, healthy = Drops(), Sink()
    await FanOut([FailingSink(full("exporter:a")), healthy], drops).consume(make_batch(items=4))
    assert drops.seen == [("exporter:a", Signal.TRACES, 4)]
    assert healthy.item_count == 4


async def test_all_queues_full_is_a_refusal_and_no_drop() -> None:
    """Nothing was taken, so the sender may retry; the error names all who refused."""
    drops = Drops()
    fan = FanOut([FailingSink(full("exporter:a")), FailingSink(full("exporter:b"))], drops)
    with pytest.raises(QueueFullError) as refused:
        await fan.consume(make_batch())
    assert refused.value.refused == {"exporter:a": 4, "exporter:b": 4}
    assert drops.seen == []


async def test_nested_fan_outs_count_every_full_exporter() -> None:
    """Where a whole pipeline refuses and another accepts, each exporter of the refusing one is counted."""
    drops = Drops()
    inner = FanOut([FailingSink(full("exporter:a", 2)), FailingSink(full("exporter:b", 1))], drops)
    await FanOut([inner, Sink()], drops).consume(make_batch(items=2))
    assert drops.seen == [("exporter:a", Signal.TRACES, 2), ("exporter:b", Signal.TRACES, 1)]


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ([None, RetryableError("later")], "later"),
        ([None, PermanentError("never")], "never"),
        ([PermanentError("never"), RetryableError("later", retry_after=2)], "later"),
        ([RetryableError("soon", retry_after=1), RetryableError("later", retry_after=9)], "later"),
        ([QueueFullError("full", retry_after=60), RetryableError("later")], "later"),
        ([PermanentError("first"), PermanentError("second")], "first"),
    ],
)
async def test_the_worst_error_goes_up(errors: list[ConsumeError | None], expected: str) -> None:
    """Permanent only if all failures are; among retryable ones the longest delay, a full queue last."""
    branches = [Sink() if error is None else FailingSink(error) for error in errors]
    with pytest.raises(ConsumeError, match=expected):
        await FanOut(branches, Drops()).consume(make_batch())


async def test_a_drop_counts_when_the_sender_will_not_retry() -> None:
    """Beside a permanent refusal nobody comes back, so the full queue has lost the items; beside a retry it has not."""
    for other, count in ((PermanentError("never"), 1), (RetryableError("later"), 0)):
        drops = Drops()
        with pytest.raises(type(other)):
            await FanOut([Sink(), FailingSink(full("exporter:a")), FailingSink(other)], drops).consume(make_batch())
        assert len(drops.seen) == count


async def test_cancelling_the_caller_cancels_every_branch_and_leaks_no_task() -> None:
    """A branch that never answers does not outlive the call."""
    blocked, also_blocked, quick = BlockingSink(), BlockingSink(), Sink()
    before = asyncio.all_tasks()
    call = asyncio.create_task(FanOut([blocked, quick, also_blocked], Drops()).consume(make_batch()))
    await until(lambda: blocked.waiting and also_blocked.waiting)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (blocked.waiting, also_blocked.waiting) == (0, 0)
    assert asyncio.all_tasks() == before
    assert quick.item_count == 10


async def test_a_refusal_waits_for_the_other_branches() -> None:
    """The answer is given when all have decided, so that a retry cannot overtake the first attempt."""
    blocked = BlockingSink()
    fan = FanOut([FailingSink(PermanentError("never", code=Code.INVALID_ARGUMENT)), blocked], Drops())
    call = asyncio.create_task(fan.consume(make_batch()))
    await until(lambda: blocked.waiting)
    assert not call.done()
    blocked.release.set()
    with pytest.raises(PermanentError) as refused:
        await call
    assert refused.value.code is Code.INVALID_ARGUMENT
