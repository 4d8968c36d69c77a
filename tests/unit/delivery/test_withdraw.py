"""What a delivery hands over when its destination is gone, and what is left of a request that was taken in part."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.support.senders import Bench, ScriptedSender
from untrace_pipeline.data import Batch, Field, Level
from untrace_pipeline.delivery import Outcome, Reason, Request
from untrace_pipeline.errors import RetryableError
from untrace_pipeline.testing import make_batch, run_with_fake_clock

SPAN_ID = Field(Level.ITEM, "span_id")


def ids(batches: list[Batch]) -> Counter[Any]:
    """Return the span ids in some batches."""
    return Counter(value for batch in batches for value in batch.column(SPAN_ID))


@pytest.mark.parametrize("options", [{}, {"batch": {"min_size": 1000, "flush_timeout": "10s"}}, {"batch": {}}])
def test_what_waits_is_handed_over(options: dict[str, Any]) -> None:
    """In the queue, waiting to be merged or for the next attempt; no further attempt is made, nothing is dropped."""

    async def main() -> None:
        sender = ScriptedSender(forever=RetryableError("gone"))
        bench = Bench(sender, sending_queue={"num_consumers": 2, **options})
        await bench.delivery.start(bench.host)
        batches = [make_batch(items=5, seed=seed) for seed in range(6)]
        for batch in batches:
            await bench.delivery.consume(batch.copy())
        await asyncio.sleep(1)
        attempts, kept = len(sender.times), list[Batch]()
        await bench.delivery.withdraw(kept)
        assert ids(kept) == ids(batches)
        assert len(sender.times) == attempts
        assert bench.delivery.accounting.balance == bench.delivery.accounting.pending == 0
        assert bench.delivery.accounting.dropped == {}
        with pytest.raises(RetryableError):
            await bench.delivery.consume(make_batch())
        await bench.delivery.shutdown()

    run_with_fake_clock(main())


def test_an_attempt_under_way_is_waited_for() -> None:
    """Who took a request has it; it is not sent to another one too."""

    async def main() -> None:
        sender = ScriptedSender()
        sender.gate.clear()
        bench = Bench(sender, sending_queue={"num_consumers": 1})
        await bench.delivery.start(bench.host)
        first, second = make_batch(items=5), make_batch(items=5, seed=2)
        await bench.delivery.consume(first.copy())
        await bench.delivery.consume(second.copy())
        await asyncio.sleep(1)
        kept = list[Batch]()
        work = asyncio.create_task(bench.delivery.withdraw(kept))
        await asyncio.sleep(1)
        assert not work.done()
        sender.gate.set()
        await work
        assert ids(kept) == ids([second])
        assert sender.item_count == 5

    run_with_fake_clock(main())


def test_cancelled_hands_over_what_is_under_way_too() -> None:
    """The attempt is cut off: its request may arrive twice, and does not get lost."""

    async def main() -> None:
        sender = ScriptedSender()
        sender.gate.clear()
        bench = Bench(sender, sending_queue={"num_consumers": 1})
        await bench.delivery.start(bench.host)
        batches = [make_batch(items=5, seed=seed) for seed in range(3)]
        for batch in batches:
            await bench.delivery.consume(batch.copy())
        await asyncio.sleep(1)
        kept = list[Batch]()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await bench.delivery.withdraw(kept)
        assert ids(kept) == ids(batches)
        assert bench.delivery.accounting.balance == 0

    run_with_fake_clock(main())


class TakesHalf(ScriptedSender):
    """Takes the first half of each request, rejects one item of it, and asks for the rest to come again."""

    async def answer(self, request: Request, step: Any) -> Outcome:
        await super().answer(request, step)
        if request.items == 1:
            return Outcome()
        first, rest = request.batch.split(max_items=(request.items + 1) // 2)
        self.taken += first.column(SPAN_ID)
        return Outcome(1, "old", rest, RetryableError("busy", retry_after=20.0))

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[Any] = []


def test_only_the_rest_is_sent_again() -> None:
    """After the wait that was asked for; what was taken counts as sent, once."""

    async def main() -> None:
        sender, batch = TakesHalf(), make_batch(items=8)
        async with Bench(sender) as bench:
            await bench.delivery.consume(batch.copy())
            await bench.until_idle()
        assert [request.items for request in sender.sent] == [8, 4, 2, 1]
        assert sender.times == pytest.approx([0, 20, 40, 60])
        assert sender.taken + sender.sent[-1].batch.column(SPAN_ID) == batch.column(SPAN_ID)
        assert bench.meter.value("exporter_sent_spans") == 5
        assert bench.meter.value("exporter_rejected_spans") == 3
        assert bench.delivery.accounting.balance == 0

    run_with_fake_clock(main())


def test_only_the_rest_is_given_up() -> None:
    """What was taken stays taken when the time for retries is over."""

    async def main() -> None:
        sender = TakesHalf()
        async with Bench(sender, retry_on_failure={"max_elapsed_time": "30s"}) as bench:
            await bench.delivery.consume(make_batch(items=8))
            await bench.until_idle()
        assert bench.delivery.accounting.dropped == {Reason.EXPIRED: 2}
        assert bench.meter.value("exporter_sent_spans") == 4

    run_with_fake_clock(main())


def test_a_caller_who_waits_hears_of_the_rest() -> None:
    """Without a queue: part of it is there, part is not, and the sender is told to come again."""

    async def main() -> None:
        off = {"enabled": False}
        async with Bench(TakesHalf(), sending_queue=off, retry_on_failure=off) as bench:
            with pytest.raises(RetryableError, match="busy"):
                await bench.delivery.consume(make_batch(items=8))
        assert bench.meter.value("exporter_sent_spans") == 3
        assert bench.meter.value("ledger_items", state="unacknowledged") == 4
        assert bench.delivery.accounting.balance == 0

    run_with_fake_clock(main())
