"""One of several groups of pipelines takes a batch."""

from __future__ import annotations

import asyncio

import pytest

from untrace_pipeline.api import Code, Consumer, PermanentError, QueueFullError, RetryableError
from untrace_pipeline.data import Level, attribute
from untrace_pipeline.errors import ConsumeError, OversizeError
from untrace_pipeline.testing import BlockingSink, FailingSink, Sink, make_batch
from untrace_plugins.connectors.alternatives import Group, Refusal, first_to_accept

LATER, LONGER, NEVER = RetryableError("later"), RetryableError("longer", retry_after=9.0), PermanentError("never")
FULL = QueueFullError("full", retry_after=60.0)


def groups(*consumers: Consumer) -> list[Group]:
    """Return groups of one pipeline each."""
    return [Group(f"traces/{place}", [consumer]) for place, consumer in enumerate(consumers)]


async def test_the_first_that_accepts_takes_it() -> None:
    """Groups after it are not asked."""
    sinks = [FailingSink(LATER), Sink(), Sink()]
    taker, refusals = await first_to_accept(groups(*sinks), make_batch(items=3))
    assert (taker.name, [str(one) for one in refusals]) == ("traces/1", ["traces/0 refused (UNAVAILABLE: later)"])
    assert [sink.item_count for sink in sinks] == [0, 3, 0]


@pytest.mark.parametrize("error", [LATER, NEVER, FULL, OversizeError("too large")])
async def test_every_refusal_leads_to_the_next(error: ConsumeError) -> None:
    """What one destination will never take, another may."""
    spare = Sink()
    await first_to_accept(groups(FailingSink(error), spare), make_batch(items=3))
    assert spare.item_count == 3


@pytest.mark.parametrize(
    ("errors", "told"),
    [
        ([LATER, LONGER], LONGER),
        ([LONGER, LATER], LONGER),
        ([NEVER, LATER], LATER),
        ([FULL, LATER], LATER),
        ([FULL, NEVER], FULL),
        ([NEVER, PermanentError("never either")], NEVER),
    ],
)
async def test_the_worst_refusal_goes_up(errors: list[ConsumeError], told: ConsumeError) -> None:
    """Retryable if any is: one of them may take it the next time."""
    with pytest.raises(ConsumeError) as caught:
        await first_to_accept(groups(*(FailingSink(error) for error in errors)), make_batch())
    assert caught.value is told


async def test_a_group_refuses_when_one_of_its_pipelines_does() -> None:
    """A full queue too, although another pipeline accepted: the spare gets the whole batch, nothing is dropped."""
    one, spare = Sink(), Sink()
    pair = Group("traces/one, traces/full", [one, FailingSink(QueueFullError("full"))])
    taker, _ = await first_to_accept([pair, *groups(spare)], make_batch(items=3))
    assert taker.name == "traces/0"
    assert (one.item_count, spare.item_count) == (3, 3)


async def test_partial_acceptance_is_told() -> None:
    """Whoever merged several requests must know that some of it arrived."""
    pair = Group("pair", [Sink(), FailingSink(RetryableError("later"))])
    with pytest.raises(RetryableError) as caught:
        await first_to_accept([pair, *groups(FailingSink(RetryableError("no", retry_after=5.0)))], make_batch())
    assert caught.value.partly_accepted


async def test_each_group_gets_its_own_handle() -> None:
    """What a pipeline does to a batch before it refuses is not seen by the next one; edits are written once."""

    class Editing(Sink):
        async def consume(self, batch: object) -> None:
            batch.keep([False] * batch.item_count)  # type: ignore[attr-defined]
            raise RetryableError("after an edit")

    spare, batch = Sink(), make_batch(items=3)
    batch.set(attribute("x"), [1, 2, 3])
    await first_to_accept(groups(Editing(), spare), batch)
    assert spare.column(attribute("x"), Level.ITEM) == [1, 2, 3]


async def test_cancelled_means_refused() -> None:
    """The next group is not asked for somebody who has gone."""
    hanging, spare = BlockingSink(), Sink()
    work = asyncio.create_task(first_to_accept(groups(hanging, spare), make_batch()))
    await asyncio.sleep(0)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert (hanging.waiting, spare.item_count) == (0, 0)


@pytest.mark.parametrize(
    ("error", "lasting"),
    [
        (LATER, True),
        (FULL, True),
        (NEVER, False),
        (OversizeError("too large"), False),
        (PermanentError("bad", code=Code.INVALID_ARGUMENT), False),
        (PermanentError("who are you", code=Code.UNAUTHENTICATED), True),
        (PermanentError("no such path", code=Code.UNIMPLEMENTED), True),
    ],
)
def test_some_refusals_are_about_the_batch(error: ConsumeError, lasting: bool) -> None:
    """Bad data must not move all data that follows."""
    assert Refusal(Group("x", []), error).lasting is lasting
