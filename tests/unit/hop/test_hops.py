"""Workers that send each other what belongs there: here, each of them is a set of hops in one event loop."""

from __future__ import annotations

import asyncio
import socket
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.components import until
from untrace_pipeline.api import Consumer, PermanentError, PipelineId, QueueFullError, RetryableError, Workers
from untrace_pipeline.data import Batch, Context, Field, Level, Signal, attribute
from untrace_pipeline.hop import hops as hops_module
from untrace_pipeline.hop import peer as peer_module
from untrace_pipeline.hop.frames import Frame, FrameKind, encode
from untrace_pipeline.hop.hops import Hops, owner_of
from untrace_pipeline.telemetry.metrics import Metrics
from untrace_pipeline.testing import FailingSink, Sink, make_request

TRACES = PipelineId.parse("traces")
TRACE_ID = Field(Level.ITEM, "trace_id")


class Slow(Sink):
    """Holds batches until it is released, and knows how many it holds."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = 0
        self.released = asyncio.Event()

    async def consume(self, batch: Batch) -> None:
        self.waiting += 1
        try:
            await self.released.wait()
        finally:
            self.waiting -= 1
        await super().consume(batch)


class Worker:
    """One worker: its hops, what is behind its hop, and what full queues made it drop."""

    def __init__(self, index: int, count: int, behind: Consumer | None = None) -> None:
        self.metrics = Metrics()
        self.hops = Hops(Workers(index, count), self.metrics.meter())
        self.behind: Any = behind or Sink()
        self.dropped: list[tuple[str, Signal, int]] = []
        self.hop = self.hops.before(TRACES, self.behind, lambda *what: self.dropped.append(what))
        self.hops.lead({TRACES: self.behind})

    def items(self, way: str) -> float:
        """Return what the hop counted."""
        return self.metrics.value("hop_items", pipeline="traces", way=way)


async def introduce(one: Worker, other: Worker) -> None:
    """Connect two workers."""
    here, there = socket.socketpair()
    await one.hops.connect(other.hops.workers.index, here)
    await other.hops.connect(one.hops.workers.index, there)


@asynccontextmanager
async def workers(*behind: Consumer | None) -> AsyncIterator[list[Worker]]:
    """Yield workers that all know each other."""
    made = [Worker(index, len(behind), one) for index, one in enumerate(behind)]
    for index, one in enumerate(made):
        for other in made[:index]:
            await introduce(one, other)
    try:
        yield made
    finally:
        for one in made:
            await one.hops.close()


def traces(ids: list[int], context: Context | None = None) -> Batch:
    """Return a batch with one span per number; equal numbers are of one trace."""
    request = make_request(Signal.TRACES, len(ids))
    spans = [span for group in request.resource_spans for scope in group.scope_spans for span in scope.spans]
    for span, number in zip(spans, ids, strict=True):
        span.trace_id = number.to_bytes(16, "big") if number else b""
    batch = Batch(Signal.TRACES, request.SerializeToString())
    return batch.with_context(context) if context else batch


def seen(sink: Sink) -> list[bytes]:
    """Return the trace ids of all spans that a sink got."""
    return [value for batch in sink.batches for value in batch.column(TRACE_ID) if isinstance(value, bytes)]


def of(worker: int, count: int, how_many: int = 3) -> list[int]:
    """Return numbers of traces that belong to a worker."""
    fitting = (number for number in range(1, 10_000) if owner_of(number.to_bytes(16, "big"), count) == worker)
    return [next(fitting) for _ in range(how_many)]


@given(
    count=st.integers(2, 4),
    batches=st.lists(st.tuples(st.integers(0, 3), st.lists(st.integers(1, 30), min_size=1, max_size=12)), max_size=6),
)
def test_each_trace_is_seen_by_one_worker_only(count: int, batches: list[tuple[int, list[int]]]) -> None:
    """Whichever worker gets which spans: nothing is lost, nothing is there twice, and no trace is torn."""

    async def main() -> None:
        async with workers(*[None] * count) as made:
            await asyncio.gather(*(made[index % count].hop.consume(traces(ids)) for index, ids in batches))
            owners: dict[bytes, set[int]] = defaultdict(set)
            for index, worker in enumerate(made):
                for trace_id in seen(worker.behind):
                    owners[trace_id].add(index)
            assert all(len(one) == 1 for one in owners.values())
            everything = sorted(number.to_bytes(16, "big") for _, ids in batches for number in ids)
            assert sorted(trace_id for worker in made for trace_id in seen(worker.behind)) == everything
            total = sum(worker.items("kept") + worker.items("received") for worker in made)
            assert total == len(everything)
            assert sum(worker.items("sent") for worker in made) == sum(worker.items("received") for worker in made)

    asyncio.run(main())


def test_traces_are_spread_evenly() -> None:
    """Also where only the first bytes of ids are random, as some SDKs make them."""
    for make in (lambda n: n.to_bytes(16, "big"), lambda n: n.to_bytes(4, "big") + bytes(12)):
        owners = [owner_of(make(number), 4) for number in range(8000)]
        assert all(1800 < owners.count(worker) < 2200 for worker in range(4))


async def test_what_belongs_here_takes_no_detour() -> None:
    """A batch that is all this worker's is passed on as it is; so are items without a trace id, and other pipelines."""
    async with workers(None, None) as (one, other):
        batch = traces([*of(0, 2), 0])
        await one.hop.consume(batch)
        assert one.behind.batches == [batch]
        assert other.behind.batches == []
        assert Worker(0, 1).hop is not None
        alone = Worker(0, 1)
        assert alone.hop is alone.behind


async def test_the_context_goes_along() -> None:
    """Conditions and batching by metadata behind the hop see what they would see without it."""
    context = Context({"x-team": ("a",)}, {"subject": "me"}, "acme", "1.2.3.4:5", "http", 12.5)
    async with workers(None, None) as (one, other):
        await one.hop.consume(traces(of(1, 2), context))
        assert other.behind.batches[0].context == context


async def test_edits_before_the_hop_arrive() -> None:
    """What transforms before the hop have changed goes along."""
    async with workers(None, None) as (one, other):
        batch = traces([*of(1, 2), *of(0, 2)])
        batch.set(attribute("n"), list(range(6)))
        await one.hop.consume(batch)
        assert other.behind.batches[0].column(attribute("n")) == [0, 1, 2]
        assert one.behind.batches[0].column(attribute("n")) == [3, 4, 5]


@pytest.mark.parametrize(
    "error", [RetryableError("later", retry_after=3.0), PermanentError("never"), QueueFullError("full")]
)
async def test_a_refusal_there_reaches_the_caller_here(error: Any) -> None:
    """As the same error: the client is told what it would be told by a single process."""
    async with workers(None, FailingSink(error)) as (one, _):
        with pytest.raises(type(error)) as caught:
            await one.hop.consume(traces(of(1, 2)))
        assert str(caught.value) == str(error)
        assert getattr(caught.value, "retry_after", None) == getattr(error, "retry_after", None)
        assert one.items("sent") == 0


async def test_parts_are_judged_together() -> None:
    """A part that was accepted and another that failed: the caller comes again, and is told that some was accepted."""
    async with workers(None, FailingSink(RetryableError("later"))) as (one, _):
        with pytest.raises(RetryableError) as caught:
            await one.hop.consume(traces(of(0, 2) + of(1, 2)))
        assert caught.value.partly_accepted
        assert len(one.behind.batches) == 1


async def test_a_full_queue_of_one_worker_drops_its_part() -> None:
    """As in a fan-out: the rest is accepted, and what the queue refused is counted where the batch came in."""
    full = QueueFullError("full")
    full.refused = {"exporter:otlp": 3}
    async with workers(None, FailingSink(full)) as (one, _):
        await one.hop.consume(traces(of(0, 2) + of(1, 2)))
        assert one.dropped == [("exporter:otlp", Signal.TRACES, 3)]


async def test_nothing_is_acknowledged_before_the_other_worker_has_accepted() -> None:
    """The sender waits for the slowest part; when it is cancelled, so is what it waits for."""
    slow = Slow()
    async with workers(None, slow) as (one, _):
        task = asyncio.create_task(one.hop.consume(traces(of(0, 2) + of(1, 2))))
        await until(lambda: slow.waiting)
        assert not task.done()
        slow.released.set()
        await task
        again = asyncio.create_task(one.hop.consume(traces(of(1, 2))))
        slow.released.clear()
        await until(lambda: slow.waiting)
        again.cancel()
        await asyncio.wait([again])
        assert again.cancelled()
        await until(lambda: not slow.waiting)


async def test_a_worker_that_dies_is_a_retryable_error() -> None:
    """At once for what is under way there, and for what comes later until it is back."""
    slow = Slow()
    async with workers(None, slow) as (one, other):
        task = asyncio.create_task(one.hop.consume(traces(of(1, 2))))
        await until(lambda: slow.waiting)
        await other.hops.close()
        with pytest.raises(RetryableError, match="worker 1, where this belongs, has ended") as caught:
            await task
        assert caught.value.retry_after == 1.0
        again = Worker(1, 2)
        await introduce(one, again)
        await one.hop.consume(traces(of(1, 2)))
        assert len(seen(again.behind)) == 3
        await again.hops.close()


async def test_a_worker_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request waits a moment for a worker that is about to be introduced, and no longer."""
    monkeypatch.setattr(hops_module, "PEER_SECONDS", 0.01)
    one, other = Worker(0, 2), Worker(1, 2)
    with pytest.raises(RetryableError, match="worker 1, where this belongs, does not run"):
        await one.hop.consume(traces(of(1, 2)))
    monkeypatch.setattr(hops_module, "PEER_SECONDS", 20)
    task = asyncio.create_task(one.hop.consume(traces(of(1, 2))))
    await asyncio.sleep(0)
    await introduce(one, other)
    await task
    assert len(other.behind.batches) == 1
    await one.hops.close()
    await other.hops.close()


async def test_a_worker_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while the sender is told to come again, and the other worker drops what it was busy with."""
    monkeypatch.setattr(peer_module, "ANSWER_SECONDS", 0.02)
    slow = Slow()
    async with workers(None, slow) as (one, _):
        with pytest.raises(RetryableError, match=r"worker 1 has not answered within 0\.02 s"):
            await one.hop.consume(traces(of(1, 2)))
        await until(lambda: not slow.waiting)


async def test_a_pipeline_that_is_not_there() -> None:
    """During a rolling reload one worker may have a pipeline that the other does not have yet."""
    async with workers(None, None) as (one, other):
        other.hops.lead({})
        with pytest.raises(RetryableError, match="worker 1 does not have the pipeline traces yet"):
            await one.hop.consume(traces(of(1, 2)))
        other.hops.lead({TRACES: other.behind})
        await one.hop.consume(traces(of(1, 2)))


async def test_too_much_at_once_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only so many bytes are under way to a worker; the senders of the rest wait, which is back-pressure."""
    monkeypatch.setattr(hops_module, "BUDGET_BYTES", 1)
    slow = Slow()
    async with workers(None, slow) as (one, _):
        tasks = [asyncio.create_task(one.hop.consume(traces(of(1, 2)))) for _ in range(5)]
        await until(lambda: slow.waiting)
        for _ in range(20):
            await asyncio.sleep(0)
        assert slow.waiting == 1
        slow.released.set()
        await asyncio.gather(*tasks)


async def test_large_batches() -> None:
    """Megabytes pass, both ways at the same time."""
    async with workers(None, None) as (one, other):
        big = {"text": "x" * 200_000}

        def batch(ids: list[int]) -> Batch:
            made = traces(ids)
            made.set(attribute("text"), [big["text"]] * len(ids))
            return made

        sending = [worker.hop.consume(batch(of(away, 2, 20))) for worker, away in ((one, 1), (other, 0))]
        await asyncio.gather(*sending)
        assert other.behind.batches[0].byte_size > 4_000_000
        assert one.behind.batches[0].byte_size > 4_000_000


async def test_all_stop_together() -> None:
    """Each waits until the others have nothing more for it; what is under way is accepted."""
    slow = Slow()
    async with workers(None, slow) as (one, other):
        task = asyncio.create_task(one.hop.consume(traces(of(1, 2))))
        await until(lambda: slow.waiting)
        ends = [asyncio.create_task(other.hops.finish(TRACES))]
        await asyncio.sleep(0.01)
        assert not ends[0].done()
        slow.released.set()
        await task
        ends.append(asyncio.create_task(one.hops.finish(TRACES)))
        await asyncio.gather(*ends)
        with pytest.raises(RetryableError, match="not any more"):
            await one.hop.consume(traces(of(1, 2)))


async def test_one_stops_alone() -> None:
    """The others send it nothing more, and it waits for what is under way only."""
    slow = Slow()
    async with workers(None, slow, None) as (one, other, third):
        task = asyncio.create_task(one.hop.consume(traces(of(1, 3))))
        await until(lambda: slow.waiting)
        other.hops.leave()
        end = asyncio.create_task(other.hops.finish(TRACES))
        await until(lambda: all(peer.leaving for peer in one.hops._peers.values() if peer.index == 1))
        with pytest.raises(RetryableError, match="worker 1, where this belongs, is being stopped"):
            await one.hop.consume(traces(of(1, 3)))
        assert not end.done()
        slow.released.set()
        await asyncio.gather(task, end)
        await one.hop.consume(traces(of(2, 3)))
        assert len(third.behind.batches) == 1


async def test_one_that_is_introduced_to_a_worker_that_stops() -> None:
    """A new worker hears that the other one leaves, which need not wait for it."""
    one, other = Worker(0, 2), Worker(1, 2)
    other.hops.leave()
    await introduce(one, other)
    async with asyncio.timeout(20):
        await other.hops.finish(TRACES)
    with pytest.raises(RetryableError, match="is being stopped"):
        await one.hop.consume(traces(of(1, 2)))
    await one.hops.close()
    await other.hops.close()


async def test_whoever_waits_no_longer_refuses_the_rest() -> None:
    """When the time for stopping is over, what still comes is refused."""
    async with workers(None, None) as (one, other):
        end = asyncio.create_task(other.hops.finish(TRACES))
        await asyncio.sleep(0.01)
        end.cancel()
        await asyncio.wait([end])
        with pytest.raises(RetryableError, match="not any more"):
            await one.hop.consume(traces(of(1, 2)))


async def test_another_language_ends_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    """Noise is said and ends it; nothing is handed on."""
    one = Worker(0, 2)
    here, there = socket.socketpair()
    there.setblocking(False)
    await one.hops.connect(1, here)
    there.sendall(b"".join(encode(Frame(FrameKind.REQUEST, 1, b"nonsense"))))
    await until(lambda: one.hops._peers[1].closed)
    assert "worker 1 is not understood and is disconnected" in caplog.text
    assert await asyncio.get_running_loop().sock_recv(there, 10) == b""
    there.close()
    await one.hops.close()


async def test_unexpected_answers_do_no_harm() -> None:
    """Answers to requests that nobody waits for, and cancellations of what is done."""
    async with workers(None, None) as (one, other):
        peer = other.hops._peers[0]
        for kind in (FrameKind.ACCEPTED, FrameKind.REFUSED, FrameKind.CANCEL):
            peer._send(Frame(kind, 4711))
        await one.hop.consume(traces(of(1, 2)))
        assert len(other.behind.batches) == 1


async def test_the_way_to_the_first_worker() -> None:
    """What runs in worker 0 only gets whole batches of all workers; there it is no detour."""
    async with workers(None, None) as (first, second):
        pipeline = PipelineId.parse("traces")
        assert first.hops.to_first(pipeline, first.behind) is first.behind
        await second.hops.to_first(pipeline, second.behind).consume(traces(of(1, 2)))
        assert first.behind.item_count == 3
        assert second.behind.item_count == 0
