"""The batch processor on a fake clock."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from untrace_pipeline.api import Consumer, Kind
from untrace_pipeline.data import Batch, Context, Signal
from untrace_pipeline.errors import ConsumeError, PermanentError, QueueFullError, RetryableError
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
from untrace_plugins.processors.batch.config import BatchConfig
from untrace_plugins.processors.batch.processor import BatchProcessor


def _run(
    body: Callable[[BatchProcessor], Awaitable[None]],
    sink: Consumer,
    meter: RecordingMeter | None = None,
    **options: Any,
) -> None:
    async def main() -> None:
        settings = make_settings(Kind.PROCESSOR, "batch", meter=meter)
        processor = BatchProcessor(BatchConfig(**options), settings, sink)
        await processor.start(StubHost())
        try:
            await body(processor)
        finally:
            await processor.shutdown()

    run_with_fake_clock(main())


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_requests_that_arrive_together_leave_as_one() -> None:
    """Requests within the quiet period become one batch, and every caller returns after it was accepted."""
    sink = Sink()

    async def body(processor: BatchProcessor) -> None:
        await asyncio.gather(*(processor.consume(make_batch(items=3, seed=n)) for n in range(5)))
        assert _now() == pytest.approx(0.005, abs=1e-3)

    _run(body, sink)
    assert [batch.item_count for batch in sink.batches] == [15]


def test_a_full_batch_leaves_at_once() -> None:
    """``send_batch_size`` items leave without waiting for time."""
    sink, meter = Sink(), RecordingMeter()

    async def body(processor: BatchProcessor) -> None:
        await asyncio.gather(*(processor.consume(make_batch(items=5)) for _ in range(4)))
        assert _now() == 0

    _run(body, sink, meter, send_batch_size=10)
    assert [batch.item_count for batch in sink.batches] == [10, 10]
    assert meter.value("processor_batch_batch_size_trigger_send") == 2
    assert meter.value("processor_batch_timeout_trigger_send") == 0
    assert meter.recorded("processor_batch_batch_send_size") == [10, 10]
    assert meter.recorded("processor_batch_batch_send_size_bytes") == [b.byte_size for b in sink.batches]


def test_requests_are_not_merged_past_the_byte_size() -> None:
    """A batch leaves before a further request would make it larger than ``send_batch_size_bytes``."""
    sink = Sink()
    size = make_batch(items=5).byte_size

    async def body(processor: BatchProcessor) -> None:
        await asyncio.gather(*(processor.consume(make_batch(items=5)) for _ in range(5)))

    _run(body, sink, send_batch_size_bytes=int(size * 2.5))
    assert [batch.item_count for batch in sink.batches] == [10, 10, 5]


def test_steady_traffic_is_held_until_the_timeout() -> None:
    """While requests keep coming, a batch grows until its first request waited for ``timeout``."""
    sink, meter = Sink(), RecordingMeter()

    async def body(processor: BatchProcessor) -> None:
        callers = []
        for _ in range(150):
            callers.append(asyncio.ensure_future(processor.consume(make_batch(items=1))))
            await asyncio.sleep(0.001)
            if not sink.batches:
                assert _now() < 0.2 + 1e-3
        await asyncio.gather(*callers)

    _run(body, sink, meter, timeout="100ms", quiet_period="5ms")
    assert sink.batches[0].item_count == pytest.approx(100, abs=2)
    assert sink.item_count == 150
    assert meter.value("processor_batch_timeout_trigger_send") == 2


def test_without_quiet_period_only_the_timeout_counts() -> None:
    """``quiet_period: 0`` holds a lone request for the whole timeout."""
    sink = Sink()

    async def body(processor: BatchProcessor) -> None:
        await processor.consume(make_batch(items=1))
        assert _now() == pytest.approx(0.2, abs=1e-3)

    _run(body, sink, quiet_period="0")


@pytest.mark.parametrize("options", [{"timeout": "0"}, {"send_batch_size": 0}])
def test_zero_sends_every_request_at_once(options: dict[str, Any]) -> None:
    """As in the Collector, a timeout or size of zero switches merging off."""
    sink = Sink()

    async def body(processor: BatchProcessor) -> None:
        await asyncio.gather(*(processor.consume(make_batch(items=2)) for _ in range(3)))
        assert _now() == 0

    _run(body, sink, **options)
    assert [batch.item_count for batch in sink.batches] == [2, 2, 2]


def test_a_refusal_reaches_exactly_its_callers() -> None:
    """Callers of a refused batch get its error; callers of another batch do not."""
    sink = FailingSink([RetryableError("try later", retry_after=7)])

    async def body(processor: BatchProcessor) -> None:
        calls = [processor.consume(make_batch(items=5)) for _ in range(4)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert [getattr(answer, "retry_after", None) for answer in answers] == [7, 7, None, None]

    _run(body, sink, send_batch_size=10)
    assert sink.item_count == 10


def test_a_large_request_is_split_and_acknowledged_after_all_its_parts() -> None:
    """A request over ``send_batch_max_size`` leaves in parts that keep its order; its caller waits for each."""
    sink = BlockingSink()

    async def body(processor: BatchProcessor) -> None:
        caller = asyncio.ensure_future(processor.consume(make_batch(items=25)))
        await _settle()
        assert sink.waiting == 2
        assert not caller.done()
        sink.release.set()
        await caller

    _run(body, sink, send_batch_size=10, send_batch_max_size=10)
    assert [batch.item_count for batch in sink.batches] == [10, 10, 5]


def test_a_large_request_is_split_by_bytes() -> None:
    """No part is larger than ``send_batch_max_size_bytes`` unless it is a single item."""
    sink = Sink()

    async def body(processor: BatchProcessor) -> None:
        await processor.consume(make_batch(items=25))

    _run(body, sink, send_batch_max_size_bytes=4000)
    assert sink.item_count == 25
    assert len(sink.batches) > 3
    assert all(batch.byte_size <= 4000 for batch in sink.batches)


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ([PermanentError("no"), RetryableError("later")], RetryableError),
        ([PermanentError("no"), PermanentError("no"), PermanentError("no")], PermanentError),
    ],
)
def test_a_split_request_gets_the_worst_error(errors: list[ConsumeError], expected: type[ConsumeError]) -> None:
    """Retryable if any part may be tried again; permanent only if every failed part is."""
    sink = FailingSink(errors)

    async def body(processor: BatchProcessor) -> None:
        with pytest.raises(expected):
            await processor.consume(make_batch(items=30))

    _run(body, sink, send_batch_size=10, send_batch_max_size=10)


def test_a_cancelled_caller_takes_its_items_out_and_disturbs_nobody() -> None:
    """Items of a caller that gave up before its batch left are not sent: it was not acknowledged."""
    sink = Sink()

    async def body(processor: BatchProcessor) -> None:
        gone = asyncio.ensure_future(processor.consume(make_batch(items=3)))
        stays = asyncio.ensure_future(processor.consume(make_batch(items=4)))
        await _settle()
        gone.cancel()
        await stays

    _run(body, sink)
    assert [batch.item_count for batch in sink.batches] == [4]


def test_cancelling_a_caller_does_not_cancel_the_merged_batch() -> None:
    """Once the batch has left, the others' acknowledgement does not depend on who gave up."""
    sink = BlockingSink()

    async def body(processor: BatchProcessor) -> None:
        callers = [asyncio.ensure_future(processor.consume(make_batch(items=5))) for _ in range(2)]
        await _settle()
        assert sink.waiting == 1
        callers[0].cancel()
        await _settle()
        sink.release.set()
        await callers[1]

    _run(body, sink, send_batch_size=10)
    assert sink.item_count == 10


def test_a_full_queue_is_shared_out_among_the_callers() -> None:
    """Each caller hears of its part of what was refused, and the parts add up: who counts them counts no item twice."""
    full = QueueFullError("full")
    full.refused = {"exporter:a": 10, "exporter:b": 5}

    async def body(processor: BatchProcessor) -> None:
        calls = (processor.consume(make_batch(items=items)) for items in (1, 2, 7))
        errors = await asyncio.gather(*calls, return_exceptions=True)
        refused = [error.refused for error in errors if isinstance(error, QueueFullError)]
        assert [one["exporter:a"] for one in refused] == [1, 2, 7]
        assert [one["exporter:b"] for one in refused] == [0, 1, 4]

    _run(body, FailingSink(full))


def test_a_split_request_hears_of_all_that_was_refused() -> None:
    """The pieces that found a full queue are added up; those that were taken are not counted."""

    class FullForSecond(Sink):
        async def consume(self, batch: Batch) -> None:
            if self.batches:
                error = QueueFullError("full")
                error.refused = {"exporter:a": batch.item_count}
                raise error
            await super().consume(batch)

    sink = FullForSecond()

    async def body(processor: BatchProcessor) -> None:
        with pytest.raises(QueueFullError) as refused:
            await processor.consume(make_batch(items=25))
        assert refused.value.refused == {"exporter:a": 15}

    _run(body, sink, send_batch_size=10, send_batch_max_size=10)
    assert sink.item_count == 10


def test_nothing_is_sent_when_every_caller_has_gone() -> None:
    """A parcel without callers vanishes."""
    sink = Sink()

    async def body(processor: BatchProcessor) -> None:
        gone = asyncio.ensure_future(processor.consume(make_batch(items=3)))
        await _settle()
        gone.cancel()

    _run(body, sink)
    assert sink.batches == []


def test_cancelling_the_caller_of_a_split_request_leaves_no_waiter() -> None:
    """A split request that is cancelled takes all its waiting parts out."""
    sink = Sink()

    async def body(processor: BatchProcessor) -> None:
        gone = asyncio.ensure_future(processor.consume(make_batch(items=15)))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)

    _run(body, sink, send_batch_size=10, send_batch_max_size=10)
    assert sink.item_count <= 10


def test_batches_in_flight_are_bounded_and_the_rest_grows() -> None:
    """Beyond ``max_in_flight`` a batch whose time is up waits for a place and takes more requests meanwhile."""
    sink = BlockingSink()

    async def body(processor: BatchProcessor) -> None:
        callers = []
        for _ in range(6):
            callers.append(asyncio.ensure_future(processor.consume(make_batch(items=1))))
            await asyncio.sleep(0.5)
        assert sink.waiting == 2
        sink.release.set()
        await asyncio.gather(*callers)

    _run(body, sink, max_in_flight=2)
    assert [batch.item_count for batch in sink.batches] == [1, 1, 4]


def test_signals_and_tenants_are_batched_apart() -> None:
    """Only requests of one signal and one tenant are merged."""
    sink = Sink()

    async def body(processor: BatchProcessor) -> None:
        batches = [make_batch(signal, items=2) for signal in (Signal.TRACES, Signal.LOGS, Signal.TRACES)]
        batches += [make_batch(items=1, context=Context(tenant=tenant)) for tenant in ("a", "b", "a")]
        await asyncio.gather(*(processor.consume(batch) for batch in batches))

    _run(body, sink)
    assert sorted((b.signal, b.context.tenant or "", b.item_count) for b in sink.batches) == [
        (Signal.LOGS, "", 2),
        (Signal.TRACES, "", 4),
        (Signal.TRACES, "a", 2),
        (Signal.TRACES, "b", 1),
    ]


def _from(received_at: float = 1.0, **metadata: tuple[str, ...]) -> Batch:
    return make_batch(items=1, context=Context(metadata=metadata, peer="p", received_at=received_at))


def test_metadata_combinations_are_batched_apart_and_survive() -> None:
    """The merged batch keeps the metadata keys, in any case, and nothing else of its senders."""
    sink, meter = Sink(), RecordingMeter()

    async def body(processor: BatchProcessor) -> None:
        batches = [
            _from(5.0, team=("x",), other=("1",)),
            _from(6.0, team=("x",), other=("2",)),
            _from(team=("y",)),
            _from(team=()),
            _from(),
        ]
        callers = [asyncio.ensure_future(processor.consume(batch)) for batch in batches]
        await asyncio.sleep(0)
        assert meter.value("processor_batch_metadata_cardinality") == 4
        await asyncio.gather(*callers)

    _run(body, sink, meter, metadata_keys=["TEAM"])
    contexts = [(dict(b.context.metadata), b.context.peer, b.context.received_at, b.item_count) for b in sink.batches]
    assert sorted(contexts, key=str) == [
        ({"team": ("x",)}, "", 5.0, 2),
        ({"team": ("y",)}, "", 1.0, 1),
        ({"team": ()}, "", 1.0, 1),
        ({}, "", 1.0, 1),
    ]


def test_too_many_combinations_at_once_are_refused_for_good() -> None:
    """``metadata_cardinality_limit`` bounds combinations that wait; afterwards there is room again."""
    sink = Sink()

    async def body(processor: BatchProcessor) -> None:
        callers = [asyncio.ensure_future(processor.consume(_from(team=(team,)))) for team in "ab"]
        await asyncio.sleep(0)
        with pytest.raises(PermanentError, match="metadata_cardinality_limit"):
            await processor.consume(_from(team=("c",)))
        await asyncio.gather(*callers)
        await processor.consume(_from(team=("c",)))

    _run(body, sink, metadata_keys=["team"], metadata_cardinality_limit=2)
    assert sink.item_count == 3


def test_an_empty_request_is_accepted_at_once() -> None:
    """Nothing to send is success."""
    sink = Sink()

    async def body(processor: BatchProcessor) -> None:
        await processor.consume(Batch(Signal.TRACES, b""))
        assert _now() == 0

    _run(body, sink)
    assert sink.batches == []


def test_shutdown_sends_what_waits_and_refuses_more() -> None:
    """Shutdown flushes at once, acknowledges its callers, and later callers are told to try again."""
    sink = Sink()

    async def body(processor: BatchProcessor) -> None:
        caller = asyncio.ensure_future(processor.consume(make_batch(items=3)))
        await asyncio.sleep(0)
        await processor.shutdown()
        await caller
        assert _now() == 0
        with pytest.raises(RetryableError, match="shutting down"):
            await processor.consume(make_batch(items=1))

    _run(body, sink, timeout="10s", quiet_period="0")
    assert sink.item_count == 3


def test_shutdown_that_is_cut_short_tells_the_senders() -> None:
    """When the deadline ends the flush, everybody who was not acknowledged gets a retryable error."""
    sink = BlockingSink()

    async def body(processor: BatchProcessor) -> None:
        callers = [asyncio.ensure_future(processor.consume(make_batch(items=1))) for _ in range(3)]
        await _settle()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(processor.shutdown(), 1)
        answers = await asyncio.gather(*callers, return_exceptions=True)
        assert all(isinstance(answer, RetryableError) for answer in answers)

    _run(body, sink, max_in_flight=1, timeout="0")
    assert sink.batches == []


def test_pending_edits_are_written_before_merging() -> None:
    """What an earlier stage changed is in the merged bytes."""
    sink = Sink()

    async def body(processor: BatchProcessor) -> None:
        edited = make_batch(items=4)
        edited.keep([True, False, False, True])
        await asyncio.gather(processor.consume(edited), processor.consume(make_batch(items=1)))

    _run(body, sink)
    assert [batch.item_count for batch in sink.batches] == [3]
