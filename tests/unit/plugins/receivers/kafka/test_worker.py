"""One partition on its way into the pipelines: order, refusals, policies, and giving it up."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Any

import pytest

from untrace_pipeline.api import Kind, PermanentError, QueueFullError, RetryableError, Status
from untrace_pipeline.data import Batch, Field, Level, Signal
from untrace_pipeline.testing import (
    BlockingSink,
    FailingSink,
    RecordingMeter,
    Sink,
    StubHost,
    make_batch,
    make_settings,
    run_with_fake_clock,
)
from untrace_plugins.receivers.kafka import FACTORY
from untrace_plugins.receivers.kafka.decode import Decoder
from untrace_plugins.receivers.kafka.meters import Health, Meters
from untrace_plugins.receivers.kafka.partition import Key, Partitions, Record, State
from untrace_plugins.receivers.kafka.worker import Desk, Worker

KEY: Key = ("otlp_spans", 0)
NAME = Field(Level.ITEM, "name")


def message(offset: int, items: int = 1) -> Record:
    return Record(*KEY, offset, make_batch(Signal.TRACES, items, seed=offset).to_otlp())


class AtWork:
    """A worker of one partition with everything around it."""

    def __init__(self, next: Any, **options: Any) -> None:
        self.next = next
        self.meter = RecordingMeter()
        self.host = StubHost()
        config = FACTORY.config.model_validate(options)
        settings = make_settings(Kind.RECEIVER, "kafka", meter=self.meter)
        health = Health(settings)
        health.start(self.host)
        self.buffered = 0
        self.partitions = Partitions(self._give_back)
        (self.partition,) = self.partitions.assign({KEY: None})
        self.orders: list[str] = []
        self.progress = 0
        self.worker = Worker(
            self.partition,
            Desk(
                config,
                self.host,
                next,
                Decoder(config, Signal),
                self.partitions,
                Meters(self.meter, delays=False),
                health,
                lambda _key: self.orders.append("pause"),
                lambda _key, offset: self.orders.append(f"resume at {offset}"),
                self._progressed,
                random.Random(0),
            ),
        )

    def _give_back(self, size: int) -> None:
        self.buffered -= size

    def _progressed(self) -> None:
        self.progress += 1

    def arrive(self, *records: Record) -> None:
        self.buffered += sum(len(one.value) for one in records)
        self.partitions.arrive(records)
        self.worker.wake()

    def look(self) -> None:
        self.worker.look(asyncio.get_running_loop().time())

    async def idle(self) -> None:
        while not all(task.done() for task in self.host.tasks):
            await asyncio.sleep(0.01)

    @property
    def statuses(self) -> list[Status]:
        return [status for status, _ in self.host.reports]

    def skipped(self, reason: str) -> float:
        return self.meter.value("kafka_receiver_skipped_records", reason=reason)


async def deal_with(work: AtWork, *records: Record) -> AtWork:
    work.arrive(*records)
    await work.idle()
    return work


# ------------------------------------------------------------------------ order


class Slow(Sink):
    """Takes longer for earlier messages, and sees how many come at once."""

    def __init__(self) -> None:
        super().__init__()
        self.at_once = self.most = 0

    async def consume(self, batch: Batch) -> None:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(0.9 / (1 + len(self.batches)))
        self.at_once -= 1
        await super().consume(batch)


def test_one_after_the_other() -> None:
    """Messages of a partition are accepted in their order, never two at once."""
    work = run_with_fake_clock(deal_with(AtWork(Slow()), *(message(n) for n in range(5))))
    offsets = [batch.context.first("kafka.offset") for batch in work.next.batches]
    assert offsets == ["0", "1", "2", "3", "4"]
    assert work.next.most == 1
    assert (work.partition.position, work.buffered) == (5, 0)
    assert work.meter.value("kafka_receiver_records", outcome="success") == 5
    assert work.progress == 1


def test_the_position_follows_acceptance() -> None:
    """While a message is under way, its offset is not behind the position."""

    async def scenario() -> None:
        work = AtWork(BlockingSink())
        work.arrive(message(7), message(8))
        await asyncio.sleep(1)
        assert (work.next.waiting, work.partition.position) == (1, None)
        assert work.partitions.commits() == {}
        work.next.release.set()
        await work.idle()
        assert work.partitions.commits() == {KEY: 9}

    run_with_fake_clock(scenario())


def test_marking_before() -> None:
    """`after: false`, the Collector's default, moves the position before the outcome is known."""

    async def scenario() -> None:
        work = AtWork(BlockingSink(), message_marking={"after": False})
        work.arrive(message(7), message(8))
        await asyncio.sleep(1)
        assert work.partitions.commits() == {KEY: 8}
        work.next.release.set()
        await work.idle()

    run_with_fake_clock(scenario())


def test_empty_requests_count_as_read() -> None:
    """Nothing is handed on, and the position moves."""
    work = run_with_fake_clock(deal_with(AtWork(Sink()), Record(*KEY, 3, b"")))
    assert (work.next.batches, work.partition.position) == ([], 4)


# -------------------------------------------------------------- refused for now


def test_refused_for_now() -> None:
    """The same message is offered until it is accepted, those behind it wait, and the status says so meanwhile."""
    refusals = [RetryableError("busy")] * 4
    work = run_with_fake_clock(deal_with(AtWork(FailingSink(refusals)), message(0), message(1)))
    assert [batch.context.first("kafka.offset") for batch in work.next.batches] == ["0", "1"]
    assert work.next.calls == 6
    assert work.statuses == [Status.RECOVERABLE_ERROR, Status.OK]
    assert "otlp_spans[0] waits: busy" in work.host.reports[0][1]
    assert work.partition.state is State.FLOWING


def test_a_wish_is_respected() -> None:
    """Whoever refuses may say when to come back."""

    async def scenario() -> None:
        work = AtWork(FailingSink([RetryableError("limit", retry_after=30)] * 2))
        started = asyncio.get_running_loop().time()
        work.arrive(message(0))
        await work.idle()
        assert asyncio.get_running_loop().time() - started >= 60

    run_with_fake_clock(scenario())


@pytest.mark.parametrize("blocked", [True, False], ids=["blocked", "refused"])
def test_a_partition_that_stands_still_is_paused(blocked: bool) -> None:
    """After a second only its first message stays in memory; then it goes on behind that one."""

    async def scenario() -> None:
        work = AtWork(BlockingSink() if blocked else FailingSink([RetryableError("busy", retry_after=5)]))
        work.arrive(message(3), message(4), message(5))
        await asyncio.sleep(0.9)
        work.look()
        assert (work.orders, len(work.partition.records)) == ([], 3)
        await asyncio.sleep(0.2)
        for _ in range(3):
            work.look()
        assert work.orders == ["pause"]
        assert work.buffered == len(message(3).value)
        work.arrive(message(6))  # was on its way
        assert work.buffered == len(message(3).value)
        if blocked:
            work.next.release.set()
        await work.idle()
        assert work.orders == ["pause", "resume at 4"]
        assert (work.partition.position, work.buffered) == (4, 0)
        work.arrive(message(7))  # still from before
        assert work.buffered == 0
        work.partitions.rewound(KEY)
        work.arrive(message(4), message(5), message(6))
        await work.idle()
        offsets = [batch.context.first("kafka.offset") for batch in work.next.batches]
        assert offsets == ["3", "4", "5", "6"]

    run_with_fake_clock(scenario())


def test_a_partition_that_moves_is_not_paused() -> None:
    """However long it takes for all: each message counts by itself."""

    async def scenario() -> None:
        work = AtWork(Slow())
        work.arrive(*(message(n) for n in range(5)))
        for _ in range(30):
            await asyncio.sleep(0.1)
            work.look()
        await work.idle()
        assert work.orders == []

    run_with_fake_clock(scenario())


def test_a_full_queue_is_asked_again_soon() -> None:
    """Its wish suits clients far away; an exporter that drains in a moment would stand idle."""

    async def scenario() -> None:
        work = AtWork(FailingSink([QueueFullError("full", retry_after=60)]))
        started = asyncio.get_running_loop().time()
        work.arrive(message(0))
        await work.idle()
        assert asyncio.get_running_loop().time() - started < 1

    run_with_fake_clock(scenario())


def test_admission_is_asked_before_anything_is_handed_on() -> None:
    """A memory limiter that refuses stops the partition like any other refusal."""

    class Limited(Sink):
        refusals = 2

        def admit(self, byte_size: int) -> None:
            assert byte_size == len(message(0).value)
            if self.refusals:
                self.refusals -= 1
                raise RetryableError("memory")

    work = run_with_fake_clock(deal_with(AtWork(Limited()), message(0)))
    assert (len(work.next.batches), work.statuses) == (1, [Status.RECOVERABLE_ERROR, Status.OK])


def test_it_never_gives_up_by_itself() -> None:
    """Without `on_error` a message is offered for ever, whatever `max_elapsed_time` says."""
    options = {"error_backoff": {"initial_interval": "1s", "max_interval": "1s", "max_elapsed_time": "5s"}}
    work = run_with_fake_clock(deal_with(AtWork(FailingSink([RetryableError("busy")] * 50), **options), message(0)))
    assert work.partition.position == 1
    assert work.skipped("expired") == 0


def test_giving_up_when_told_to() -> None:
    """With `on_error` it is skipped after `max_elapsed_time`, counted, and the next one has its turn."""
    options = {
        "error_backoff": {"initial_interval": "1s", "max_interval": "1s", "max_elapsed_time": "5s"},
        "message_marking": {"on_error": True},
    }
    work = AtWork(FailingSink([RetryableError("busy")] * 5), **options)
    run_with_fake_clock(deal_with(work, message(0), message(1)))
    assert work.skipped("expired") == 1
    assert [batch.context.first("kafka.offset") for batch in work.next.batches] == ["1"]
    assert (work.partition.position, work.statuses[-1]) == (2, Status.OK)


def test_without_backoff_the_first_refusal_stops() -> None:
    """As in the Collector: the partition goes no further, and nothing is committed of it."""
    work = run_with_fake_clock(
        deal_with(AtWork(FailingSink(), error_backoff={"enabled": False}), message(0), message(1))
    )
    assert (work.partition.state, work.partition.position, work.next.calls) == (State.STOPPED, None, 1)
    assert (work.orders, work.buffered, work.statuses) == (["pause"], 0, [Status.PERMANENT_ERROR])


# ------------------------------------------------------------- refused for good


def test_refused_for_good_is_skipped(caplog: pytest.LogCaptureFixture) -> None:
    """Counted, and logged with the place where it can be found."""
    work = AtWork(FailingSink([PermanentError("never")]))
    run_with_fake_clock(deal_with(work, message(41), message(42)))
    assert work.skipped("refused") == 1
    assert work.meter.value("kafka_receiver_records", outcome="failure") == 1
    assert (work.partition.position, work.next.item_count) == (43, 1)
    (line,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert "otlp_spans[0] offset 41 is skipped (refused)" in line.getMessage()


def test_what_is_no_otlp_is_skipped() -> None:
    """Counted under the Collector's name too."""
    work = run_with_fake_clock(deal_with(AtWork(Sink()), Record(*KEY, 0, b"\xff\xff"), message(1)))
    assert work.skipped("malformed") == 1
    assert work.meter.value("kafka_receiver_unmarshal_failed_spans", topic="otlp_spans", partition="0") == 1
    assert (work.partition.position, work.next.item_count) == (2, 1)


@pytest.mark.parametrize("broken", [message(5), Record(*KEY, 5, b"\xff\xff")], ids=["refused", "malformed"])
def test_stopping_when_told_to(broken: Record) -> None:
    """With `on_permanent_error: false` nothing behind the message is read, and its offset is never committed."""
    work = AtWork(FailingSink(PermanentError("never")), message_marking={"on_permanent_error": False})
    run_with_fake_clock(deal_with(work, broken, message(6)))
    assert (work.partition.state, work.partition.position) == (State.STOPPED, None)
    assert (work.orders, work.buffered, work.partitions.commits()) == (["pause"], 0, {})
    assert work.statuses == [Status.PERMANENT_ERROR]
    assert "stopped at offset 5" in work.host.reports[0][1]


def test_many_broken_messages_do_not_flood_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """All are counted; the log has one line."""
    work = run_with_fake_clock(deal_with(AtWork(Sink()), *(Record(*KEY, n, b"\xff") for n in range(100))))
    assert work.skipped("malformed") == 100
    assert len([r for r in caplog.records if r.levelno == logging.ERROR]) == 1


# -------------------------------------------------------------- giving it up


def test_what_is_under_way_may_end() -> None:
    """A partition that goes finishes the message that the pipelines have, and begins no other."""

    async def scenario() -> None:
        work = AtWork(BlockingSink())
        work.arrive(message(0), message(1))
        await asyncio.sleep(0.1)
        ending = asyncio.create_task(work.worker.end(10))
        await asyncio.sleep(1)
        work.next.release.set()
        await ending
        assert (work.partition.position, work.next.item_count) == (1, 1)

    run_with_fake_clock(scenario())


def test_what_takes_too_long_counts_as_refused() -> None:
    """The wait is bounded; the message is read again by whoever has the partition next."""

    async def scenario() -> None:
        work = AtWork(BlockingSink())
        work.arrive(message(0))
        await asyncio.sleep(0.1)
        started = asyncio.get_running_loop().time()
        await work.worker.end(10)
        assert asyncio.get_running_loop().time() - started == pytest.approx(10)
        assert (work.partition.position, work.next.waiting) == (None, 0)

    run_with_fake_clock(scenario())


def test_a_wait_ends_at_once() -> None:
    """A message that is refused is not under way: nobody waits for it."""

    async def scenario() -> None:
        work = AtWork(FailingSink(RetryableError("busy", retry_after=1000)))
        work.arrive(message(0))
        await asyncio.sleep(1)
        started = asyncio.get_running_loop().time()
        await work.worker.end(10)
        assert asyncio.get_running_loop().time() - started < 0.1
        assert work.partition.position is None

    run_with_fake_clock(scenario())


def test_lost_partitions_end_at_once() -> None:
    """Others have them already."""

    async def scenario() -> None:
        work = AtWork(BlockingSink())
        work.arrive(message(0))
        await asyncio.sleep(0.1)
        work.worker.cancel()
        await work.idle()
        assert (work.partition.position, work.next.waiting) == (None, 0)

    run_with_fake_clock(scenario())
