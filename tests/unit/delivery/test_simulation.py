"""A seeded simulation: any mix of options, faults, overload, cancellations and deadlines, and the sums hold.

A failing seed is printed in the test's name; ``simulate(seed)`` repeats the schedule exactly.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from tests.support.senders import Bench
from untrace_pipeline.data import Batch, Context, Field, Level, Signal
from untrace_pipeline.delivery import DELIVERED, Outcome, Request
from untrace_pipeline.errors import ConsumeError, OversizeError, PermanentError, RetryableError
from untrace_pipeline.testing import make_batch, run_with_fake_clock

SEEDS = range(150)
SPAN_ID = Field(Level.ITEM, "span_id")


class ChaosSender:
    """Takes time, and fails in every way there is; remembers every item that it took."""

    destination = "chaos:4317"

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.failure_rate = rng.choice((0.0, 0.3, 0.9, 1.0))
        self.limit = rng.choice((0, 3, 20))
        self.hostile = rng.random() < 0.2
        self.taken: Counter[Any] = Counter()
        self.rejected = 0

    async def send(self, request: Request) -> Outcome:
        rng = self.rng
        await asyncio.sleep(rng.choice((0, 0.01, 1, 20)))
        if self.limit and request.items > self.limit:
            raise OversizeError("larger than max")
        if rng.random() < self.failure_rate:
            raise rng.choice(
                [
                    RetryableError("busy", retry_after=rng.choice((None, 0.0, 3.0, 1000.0))),
                    ConnectionResetError("reset"),
                    PermanentError("bad"),
                    OversizeError("larger than max"),
                    *([ZeroDivisionError("bug")] if self.hostile else []),
                ]
            )
        self.taken.update(request.batch.column(SPAN_ID))
        if rng.random() < 0.1:
            rejected = rng.randrange(request.items + 1)
            self.rejected += rejected
            return Outcome(rejected, "partly")
        return DELIVERED


def options(rng: random.Random) -> dict[str, Any]:
    size = rng.choice((3, 10, 1000))
    queue: dict[str, Any] = {
        "enabled": rng.random() < 0.8,
        "num_consumers": rng.choice((1, 3, 10)),
        "queue_size": size,
        "sizer": rng.choice(("requests", "items")),
        "overflow": rng.choice(("refuse", "block", "drop_oldest")),
        "wait_for_result": rng.random() < 0.3,
    }
    if rng.random() < 0.5:
        least = rng.randrange(1, size + 1)
        queue["batch"] = {
            "min_size": least,
            "max_size": rng.choice((0, least, least * 3)),
            "partition": {"metadata_keys": rng.choice(([], ["x-tenant"]))},
        }
    retry = {"enabled": rng.random() < 0.8, "max_elapsed_time": rng.choice(("0s", "40s"))}
    return {"timeout": rng.choice(("0s", "5s")), "retry_on_failure": retry, "sending_queue": queue}


async def simulate(seed: int) -> None:
    rng = random.Random(seed)
    sender = ChaosSender(rng)
    bench = Bench(sender, **options(rng))
    delivery, accounting = bench.delivery, bench.delivery.accounting
    await delivery.start(bench.host)
    offered: set[Any] = set()
    acknowledged: set[Any] = set()

    async def client(number: int) -> None:
        await asyncio.sleep(rng.uniform(0, 60))
        context = Context(metadata={"x-tenant": (rng.choice("ab"),)})
        batch = make_batch(items=rng.randrange(0, 8), seed=seed * 1000 + number, context=context)
        ids = batch.copy().column(SPAN_ID) if batch.item_count else []
        offered.update(ids)
        try:
            async with asyncio.timeout(rng.choice((0.5, 100, 10_000))):
                await delivery.consume(Batch(Signal.TRACES, batch.to_otlp(), context))
        except (ConsumeError, TimeoutError):
            return
        acknowledged.update(ids)

    async def watch() -> None:
        while True:
            assert accounting.balance == 0
            assert min(accounting.queued, accounting.in_flight) >= 0
            await asyncio.sleep(0.5)

    watching = asyncio.create_task(watch())
    clients = [asyncio.create_task(client(number)) for number in range(40)]
    await asyncio.sleep(rng.choice((30, 70, 300)))
    try:
        async with asyncio.timeout(rng.choice((0, 5, 60))):
            await delivery.shutdown()
    except TimeoutError:
        pass
    await asyncio.gather(*clients)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert watching.cancelled(), watching.exception()
    check(bench, sender, offered, acknowledged)


def check(bench: Bench, sender: ChaosSender, offered: set[Any], acknowledged: set[Any]) -> None:
    accounting = bench.delivery.accounting
    assert accounting.balance == 0
    assert bench.delivery.pending_items() == 0
    assert all(task.done() for task in bench.host.tasks)
    assert set(sender.taken) <= offered
    lost = acknowledged - set(sender.taken)
    assert len(lost) <= sum(accounting.dropped.values())
    assert accounting.ended["rejected"] == sender.rejected
    meter = bench.meter
    assert meter.value("exporter_sent_spans") == accounting.ended["delivered"]
    assert meter.value("exporter_rejected_spans") == accounting.ended["rejected"]
    assert meter.value("dropped_items") == sum(accounting.dropped.values())
    assert meter.value("exporter_queue_size") == 0
    assert meter.value("exporter_in_flight_requests") == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_every_item_has_exactly_one_end(seed: int) -> None:
    """enqueued = sent + rejected + refused + dropped + pending, always; and acknowledged items that did not arrive
    are among the dropped ones."""
    run_with_fake_clock(simulate(seed))
