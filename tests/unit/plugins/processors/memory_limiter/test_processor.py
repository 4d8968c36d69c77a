"""The memory limiter on a fake clock and with a memory of its own."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from untrace_pipeline.api import Admission, Consumer, Kind, Status, Workers
from untrace_pipeline.errors import RetryableError
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
from untrace_plugins.processors.memory_limiter.config import MemoryLimiterConfig
from untrace_plugins.processors.memory_limiter.processor import MemoryLimiter
from untrace_plugins.processors.memory_limiter.sampler import Sampler

MIB = 1024 * 1024


class FakeMemory:
    """Resident memory as the test says; trimming and collecting give back what the test put aside."""

    def __init__(self, mib: float = 50) -> None:
        self.mib = mib
        self.trimmable = self.collectable = 0.0
        self.measured = self.trims = self.collections = 0

    def resident(self) -> int:
        self.measured += 1
        return int(self.mib * MIB)

    def trim(self) -> None:
        self.trims += 1
        self.mib, self.trimmable = self.mib - self.trimmable, 0

    def collect(self) -> None:
        self.collections += 1
        self.mib, self.collectable = self.mib - self.collectable, 0
        self.trim()


class Bench:
    """One limiter (soft limit 80 MiB, hard limit 100 MiB) with what it needs."""

    def __init__(self, sink: Consumer | None = None, memory: FakeMemory | None = None, **options: Any) -> None:
        self.memory = memory or FakeMemory()
        self.sink = sink or Sink()
        self.meter = RecordingMeter()
        self.host = StubHost()
        self.sampler = Sampler(self.memory)
        self.limiter = self.another(**options)

    def another(self, **options: Any) -> MemoryLimiter:
        settings = make_settings(Kind.PROCESSOR, "memory_limiter", meter=self.meter)
        return MemoryLimiter(MemoryLimiterConfig(**{"limit_mib": 100} | options), settings, self.sink, self.sampler)

    def run(self, body: Callable[[], Awaitable[None]]) -> None:
        async def main() -> None:
            await self.limiter.start(self.host)
            try:
                await body()
            finally:
                await self.limiter.shutdown()

        run_with_fake_clock(main())

    def refuses(self, byte_size: int = 1000) -> bool:
        try:
            self.limiter.admit(byte_size)
        except RetryableError:
            return True
        return False


def test_below_the_soft_limit_everything_passes() -> None:
    """With room, admission raises nothing and batches reach the next stage."""
    bench = Bench()

    async def body() -> None:
        bench.limiter.admit(1000)
        await bench.limiter.consume(make_batch(items=3))

    bench.run(body)
    assert isinstance(bench.limiter, Admission)
    assert isinstance(bench.sink, Sink)
    assert bench.sink.item_count == 3


def test_above_the_soft_limit_admission_and_consume_refuse() -> None:
    """Data is refused with a retryable error and a delay, and the status says why."""
    bench = Bench()

    async def body() -> None:
        bench.memory.mib = 85
        await asyncio.sleep(1.1)
        with pytest.raises(RetryableError, match="high memory usage") as refusal:
            bench.limiter.admit(1000)
        assert refusal.value.retry_after == 1
        with pytest.raises(RetryableError):
            await bench.limiter.consume(make_batch(items=1))

    bench.run(body)
    status, message = bench.host.reports[-1]
    assert status is Status.RECOVERABLE_ERROR
    assert "85 MiB" in message
    assert bench.meter.value("processor_memory_limiter_refused_requests") == 2
    assert bench.meter.value("processor_memory_limiter_limited") == 1


def test_it_accepts_again_when_memory_comes_back() -> None:
    """Recovery is noticed within the pace under pressure, and reported."""
    bench = Bench()

    async def body() -> None:
        bench.memory.mib = 85
        await asyncio.sleep(1.1)
        assert bench.refuses()
        bench.memory.mib = 60
        await asyncio.sleep(0.3)
        assert not bench.refuses()

    bench.run(body)
    assert [status for status, _ in bench.host.reports] == [Status.RECOVERABLE_ERROR, Status.OK]


def test_free_pages_are_returned_before_anything_is_refused() -> None:
    """Memory that a trim gives back limits nobody."""
    bench = Bench()

    async def body() -> None:
        bench.memory.mib, bench.memory.trimmable = 90, 40
        await asyncio.sleep(1.1)
        assert not bench.refuses()

    bench.run(body)
    assert bench.memory.collections == 0
    assert bench.host.reports == []


def test_garbage_is_collected_when_trimming_is_not_enough() -> None:
    """Above the hard limit a collection is forced, and its result counts at once."""
    bench = Bench()

    async def body() -> None:
        bench.memory.mib, bench.memory.collectable = 120, 60
        await asyncio.sleep(1.1)
        assert not bench.refuses()

    bench.run(body)
    assert bench.memory.collections == 1
    assert bench.meter.value("processor_memory_limiter_forced_collections") == 1


def test_fruitless_collections_become_rare() -> None:
    """Collections that bring nothing back double their interval up to the maximum."""
    bench = Bench()

    async def body() -> None:
        bench.memory.mib = 120
        await asyncio.sleep(1.1)
        first = bench.memory.collections
        await asyncio.sleep(60)
        assert first == 1
        assert 3 <= bench.memory.collections <= 6

    bench.run(body)


def test_soft_collections_keep_their_least_interval() -> None:
    """Above the soft limit only, collections wait ``min_gc_interval_when_soft_limited``."""
    bench = Bench(max_gc_interval_when_soft_limited="0", max_gc_interval_when_hard_limited="0")

    async def body() -> None:
        bench.memory.mib = 85
        await asyncio.sleep(35)

    bench.run(body)
    assert bench.memory.collections == 4


def test_memory_is_measured_between_checks_when_much_comes_in() -> None:
    """Bytes admitted since the last measurement use up the headroom; then memory is measured before the next."""
    sink = BlockingSink()
    bench = Bench(sink, check_interval="1h")

    async def body() -> None:
        batch = make_batch(items=100)
        callers = []
        for _ in range(1000):
            if bench.refuses(batch.byte_size):
                break
            callers.append(asyncio.ensure_future(bench.limiter.consume(batch.copy())))
            await asyncio.sleep(0)
            bench.memory.mib += 3 * batch.byte_size / MIB
        assert 79 < bench.memory.mib < 81
        assert bench.memory.measured < 300
        sink.release.set()
        await asyncio.gather(*callers)

    bench.run(body)


def test_a_large_request_alone_is_admitted() -> None:
    """Nothing is refused for its size alone while nothing else is in flight; beside others it is."""
    sink = BlockingSink()
    bench = Bench(sink)

    async def body() -> None:
        bench.limiter.admit(40 * MIB)
        caller = asyncio.ensure_future(bench.limiter.consume(make_batch(items=1)))
        await asyncio.sleep(0)
        with pytest.raises(RetryableError):
            bench.limiter.admit(40 * MIB)
        assert not bench.refuses()
        sink.release.set()
        await caller

    bench.run(body)
    assert bench.host.reports == []


def test_bytes_in_flight_are_counted_until_they_leave() -> None:
    """A batch is in flight until it is accepted or refused."""
    sink = BlockingSink()
    bench = Bench(sink)
    batch = make_batch(items=10)

    async def body() -> None:
        caller = asyncio.ensure_future(bench.limiter.consume(batch))
        await asyncio.sleep(0)
        assert bench.meter.value("processor_memory_limiter_in_flight_bytes") == batch.byte_size
        sink.release.set()
        await caller

    bench.run(body)
    assert bench.meter.value("processor_memory_limiter_in_flight_bytes") == 0


def test_a_refused_batch_leaves_nothing_in_flight() -> None:
    """Errors of the next stage pass through and the accounting stays right."""
    bench = Bench(FailingSink())

    async def body() -> None:
        with pytest.raises(RetryableError, match="refused by the test"):
            await bench.limiter.consume(make_batch(items=1))

    bench.run(body)
    assert bench.meter.value("processor_memory_limiter_in_flight_bytes") == 0


def test_it_never_refuses_for_ever() -> None:
    """Memory that does not come back lets one small request pass every ten seconds; large ones stay out."""
    bench = Bench()

    async def body() -> None:
        bench.memory.mib = 120
        await asyncio.sleep(5)
        assert bench.refuses()
        await asyncio.sleep(7)
        with pytest.raises(RetryableError):
            bench.limiter.admit(2 * MIB)
        assert not bench.refuses()
        await bench.limiter.consume(make_batch(items=1))
        assert bench.refuses()
        await asyncio.sleep(11)
        assert not bench.refuses()

    bench.run(body)


def test_nothing_passes_while_something_is_in_flight() -> None:
    """As long as data is on its way, memory may still come back by itself: no exception is made."""
    sink = BlockingSink()
    bench = Bench(sink)

    async def body() -> None:
        caller = asyncio.ensure_future(bench.limiter.consume(make_batch(items=1)))
        await asyncio.sleep(0)
        bench.memory.mib = 120
        await asyncio.sleep(60)
        assert bench.refuses()
        sink.release.set()
        await caller

    bench.run(body)


def test_several_limiters_measure_and_collect_together() -> None:
    """One timer serves all limiters of a process, and one collection all of them."""
    bench = Bench(check_interval="10s")
    other = bench.another(check_interval="1s")

    async def body() -> None:
        await other.start(bench.host)
        bench.memory.mib = 120
        await asyncio.sleep(1.1)
        assert bench.limiter.limited
        assert other.limited
        assert bench.memory.collections == 1
        await other.shutdown()
        await other.shutdown()

    bench.run(body)


def test_a_limit_below_the_idle_memory_is_said_at_start(caplog: pytest.LogCaptureFixture) -> None:
    """A limit that leaves no room is a warning in the log."""
    bench = Bench(memory=FakeMemory(90))

    async def body() -> None:
        assert "leaves no room" in caplog.text

    with caplog.at_level("WARNING"):
        bench.run(body)


def test_workers_share_what_percentages_are_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of four workers may use a quarter of what a single process may."""
    monkeypatch.setattr("untrace_plugins.processors.memory_limiter.processor.total_memory", lambda: 800 * MIB)
    bench = Bench(limit_mib=0, limit_percentage=50, spike_limit_percentage=25)
    bench.host = StubHost(workers=Workers(1, 4))

    async def body() -> None:
        bench.memory.mib = 49
        await asyncio.sleep(1.1)
        assert not bench.refuses()
        bench.memory.mib = 51
        await asyncio.sleep(1.1)
        assert bench.refuses()

    bench.run(body)


def test_spike_limit_and_percentages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Percentages are of the memory that the process may use; the spike limit is taken off the limit."""
    monkeypatch.setattr("untrace_plugins.processors.memory_limiter.processor.total_memory", lambda: 200 * MIB)
    bench = Bench(limit_mib=0, limit_percentage=50, spike_limit_percentage=25)

    async def body() -> None:
        bench.memory.mib = 49
        await asyncio.sleep(1.1)
        assert not bench.refuses()
        bench.memory.mib = 51
        await asyncio.sleep(1.1)
        assert bench.refuses()

    bench.run(body)
