"""Tail sampling on a fake clock: when traces are decided, and what becomes of every span."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.support.spans import SpanOf, names_of, spans_batch
from untrace_pipeline.api import Kind, Outlet, PermanentError, RetryableError
from untrace_pipeline.data import Batch, Context, Field, Level, Signal, attribute
from untrace_pipeline.testing import (
    BlockingSink,
    FailingSink,
    RecordingMeter,
    Sink,
    StubHost,
    make_settings,
    run_with_fake_clock,
)
from untrace_plugins.processors.tail_sampling import FACTORY
from untrace_plugins.processors.tail_sampling.config import TailSamplingConfig
from untrace_plugins.sampling.holder import TraceHolder

ALL = [{"name": "all", "type": "always_sample"}]
ERRORS = [{"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}}]
SLOW = [{"name": "slow", "type": "latency", "latency": {"threshold_ms": 5000}}]
HALF = [{"name": "half", "type": "probabilistic", "probabilistic": {"sampling_percentage": 50}}]
ADJUSTED = attribute("sampling.adjusted_count")


def run(
    body: Callable[[TraceHolder], Awaitable[None]],
    sink: Outlet,
    meter: RecordingMeter | None = None,
    *,
    shutdown: bool = True,
    **options: Any,
) -> None:
    async def main() -> None:
        config = TailSamplingConfig.model_validate({"policies": ALL, **options})
        processor = FACTORY.create(config, make_settings(Kind.PROCESSOR, "tail_sampling", meter=meter), sink)
        assert isinstance(processor, TraceHolder)
        await processor.start(StubHost())
        try:
            await body(processor)
        finally:
            if shutdown:
                await processor.shutdown()

    run_with_fake_clock(main())


def now() -> float:
    return asyncio.get_running_loop().time()


def balanced(meter: RecordingMeter) -> bool:
    """Whether every accepted span has an outcome, or is held."""
    ended = meter.value("ledger_items") - meter.value("ledger_items", state="accepted")
    return ended + meter.value("processor_pending_items") == meter.value("ledger_items", state="accepted")


# ------------------------------------------------------------------ decisions in time


def test_a_trace_is_decided_after_its_wait() -> None:
    """Accepted at once; decided as a whole when decision_wait has passed since its first span, to the second."""
    sink, meter = Sink(), RecordingMeter()

    async def body(processor: TraceHolder) -> None:
        await processor.consume(spans_batch([SpanOf(1, "a"), SpanOf(2, "b")]))
        await asyncio.sleep(8)
        await processor.consume(spans_batch([SpanOf(1, "c", error=True)]))
        assert processor.pending_items() == 3
        await asyncio.sleep(1.5)
        assert not sink.batches
        await sink.wait_for_items(2)
        assert 10 <= now() <= 11
        assert names_of(sink) == ["a", "c"]
        assert sink.drops == {"sampled": 1}
        assert processor.pending_items() == 0
        assert balanced(meter)

    run(body, sink, meter, policies=ERRORS, decision_wait="10s")


def test_late_spans_follow_the_decision() -> None:
    """Spans that come after it go the way of their trace at once; those of a kept one are accepted when next has."""
    sink, meter = Sink(), RecordingMeter()

    async def body(processor: TraceHolder) -> None:
        await processor.consume(spans_batch([SpanOf(1, "a", error=True), SpanOf(2, "b")]))
        await asyncio.sleep(12)
        await processor.consume(spans_batch([SpanOf(2, "late b", error=True), SpanOf(1, "late a"), SpanOf(3, "c")]))
        assert names_of(sink) == ["a", "late a"]
        assert sink.drops == {"sampled": 2}
        assert meter.value("processor_tail_sampling_early_releases_from_cache_decision", sampled="true") == 1
        assert processor.pending_items() == 1
        assert balanced(meter)

    run(body, sink, meter, policies=ERRORS, decision_wait="10s")


def test_a_refusal_of_late_spans_reaches_their_sender() -> None:
    """They are not held, so they are not accepted either; the rest of the request is not taken before."""
    sink = FailingSink([PermanentError("never")])

    async def body(processor: TraceHolder) -> None:
        with pytest.raises(PermanentError):
            await processor.consume(spans_batch([SpanOf(1, "late"), SpanOf(2, "new")]))
        assert processor.pending_items() == 0

    async def first(processor: TraceHolder) -> None:
        sink._errors, errors = [], sink._errors
        await processor.consume(spans_batch([SpanOf(1)]))
        await asyncio.sleep(3)
        sink._errors = errors
        await body(processor)

    run(first, sink, decision_wait="1s")


def test_spans_without_a_trace_id_are_decided_together_and_forgotten() -> None:
    """They have no trace that could be followed."""
    sink = Sink()

    async def body(processor: TraceHolder) -> None:
        batch = spans_batch([SpanOf(1, "x")])
        batch.set(Field(Level.ITEM, "trace_id"), [b""])
        await processor.consume(batch.copy())
        await asyncio.sleep(3)
        assert names_of(sink) == ["x"]
        await processor.consume(batch)
        assert processor.pending_items() == 1

    run(body, sink, decision_wait="1s")


def test_the_root_hastens_the_decision() -> None:
    """decision_wait_after_root_received, as in the Collector; it never delays it."""
    sink = Sink()

    async def body(processor: TraceHolder) -> None:
        await processor.consume(spans_batch([SpanOf(1), SpanOf(2)]))
        await asyncio.sleep(10)
        await processor.consume(spans_batch([SpanOf(1, root=True)]))
        await sink.wait_for_items(2)
        assert 15 <= now() <= 16
        await asyncio.sleep(12)
        await processor.consume(spans_batch([SpanOf(2, root=True)]))
        await sink.wait_for_items(4)
        assert 30 <= now() <= 31

    run(body, sink, decision_wait="30s", decision_wait_after_root_received="5s")


def test_decide_on_root_end() -> None:
    """A trace of hours waits for its root; one that has none is decided when it was idle."""
    sink = Sink()

    async def body(processor: TraceHolder) -> None:
        for _ in range(20):
            await processor.consume(spans_batch([SpanOf(1)]))
            await asyncio.sleep(600)
        await processor.consume(spans_batch([SpanOf(2)]))
        assert not sink.batches
        await processor.consume(spans_batch([SpanOf(1, root=True)]))
        await sink.wait_for_items(21)
        assert 12002 <= now() <= 12004
        await sink.wait_for_items(22, timeout=2000)
        assert 12900 <= now() <= 12902

    run(body, sink, decide_on="root_end", decision_wait_after_root_received="2s", idle_time="15m")


def test_decide_on_idle() -> None:
    """Each span puts the decision off, but not beyond maximum_trace_age."""
    sink = Sink()

    async def body(processor: TraceHolder) -> None:
        for trace, spans in ((1, 3), (2, 30)):
            began = now()
            for _ in range(spans):
                await processor.consume(spans_batch([SpanOf(trace, root=True)]))
                await asyncio.sleep(50)
            if trace == 1:
                await sink.wait_for_items(3, timeout=100)
                assert 160 <= now() - began <= 161
        assert sink.item_count == 33
        assert sink.batches[1].item_count == 20

    run(body, sink, decide_on="idle", idle_time="60s", maximum_trace_age="990s")


# ------------------------------------------------------------------ room


def test_the_oldest_trace_is_decided_early() -> None:
    """num_traces bounds what waits; nothing is lost for it."""
    sink, meter = Sink(), RecordingMeter()

    async def body(processor: TraceHolder) -> None:
        for trace in range(10):
            await processor.consume(spans_batch([SpanOf(trace, error=trace % 2 == 0)]))
        await sink.wait_for_items(4)
        assert names_of(sink) == ["0", "2", "4", "6"]
        assert sink.drops == {"sampled": 3}
        assert meter.value("processor_tail_sampling_sampling_traces_decided_early") == 7
        assert meter.value("processor_tail_sampling_sampling_traces_on_memory") == 3

    run(body, sink, meter, policies=ERRORS, num_traces=3)


def test_memory_is_bounded() -> None:
    """Without a storage, the oldest traces are decided when memory_limit is reached."""
    sink, meter = Sink(), RecordingMeter()
    text = {"text": "x" * 300_000}

    async def body(processor: TraceHolder) -> None:
        for trace in range(10):
            await processor.consume(spans_batch([SpanOf(trace, attributes=text)]))
            assert meter.value("processor_tail_sampling_pending_bytes") <= 1024 * 1024
            await asyncio.sleep(0.1)
        assert names_of(sink) == [str(trace) for trace in range(7)]

    run(body, sink, meter, memory_limit="1MiB")


def test_block_on_overflow_lets_senders_wait() -> None:
    """They are accepted when a decision has made room."""
    sink = Sink()

    async def body(processor: TraceHolder) -> None:
        await processor.consume(spans_batch([SpanOf(1), SpanOf(2)]))
        await asyncio.sleep(5)
        await processor.consume(spans_batch([SpanOf(3)]))
        assert 10 <= now() <= 11
        assert sink.item_count == 2

    run(body, sink, decision_wait="10s", num_traces=2, block_on_overflow=True)


def test_a_trace_that_is_too_large_goes_at_once() -> None:
    """It is counted as too_large, and so are its later spans."""
    sink, meter = Sink(), RecordingMeter()

    async def body(processor: TraceHolder) -> None:
        await processor.consume(spans_batch([SpanOf(1, attributes={"text": "x" * 600}), SpanOf(2)]))
        assert processor.pending_items() == 2
        await processor.consume(spans_batch([SpanOf(1, attributes={"text": "x" * 600})]))
        assert sink.drops == {"too_large": 2}
        await processor.consume(spans_batch([SpanOf(1)]))
        assert sink.drops == {"too_large": 3}
        assert meter.value("processor_tail_sampling_traces_dropped_too_large") == 1
        assert balanced(meter)

    run(body, sink, meter, maximum_trace_size_bytes=1000)


# ------------------------------------------------------------------ what comes next


def test_what_is_refused_is_offered_again() -> None:
    """With the delay that next asks for; nothing is lost, and the order of traces does not matter."""
    sink, meter = FailingSink([RetryableError("later", retry_after=7.0), RetryableError("later")]), RecordingMeter()

    async def body(processor: TraceHolder) -> None:
        await processor.consume(spans_batch([SpanOf(1)]))
        await sink.wait_for_items(1, timeout=60)
        assert now() >= 17
        assert sink.calls == 3
        assert processor.pending_items() == 0
        assert balanced(meter)

    run(body, sink, meter, decision_wait="10s")


def test_what_is_refused_for_good_is_counted() -> None:
    """As permanent, in the account of the processor and of the exporters behind."""
    sink, meter = FailingSink(PermanentError("never")), RecordingMeter()

    async def body(processor: TraceHolder) -> None:
        await processor.consume(spans_batch([SpanOf(1), SpanOf(2)]))
        await asyncio.sleep(12)
        assert sink.drops == {"permanent": 2}
        assert processor.pending_items() == 0
        assert balanced(meter)

    run(body, sink, meter, decision_wait="10s")


def test_a_slow_exporter_pushes_back() -> None:
    """When what was decided takes up the memory, senders are told to come back, before anything is read."""
    sink = BlockingSink()

    async def body(processor: TraceHolder) -> None:
        text = {"text": "x" * 700_000}
        for trace in range(2):
            await processor.consume(spans_batch([SpanOf(trace, attributes=text)]))
            await asyncio.sleep(2)
        with pytest.raises(RetryableError, match="fast enough"):
            processor.admit(0)
        with pytest.raises(RetryableError):
            await processor.consume(spans_batch([SpanOf(3)]))
        sink.release.set()
        await sink.wait_for_items(2)
        await asyncio.sleep(0.1)
        processor.admit(0)

    run(body, sink, decision_wait="1s", memory_limit="1MiB")


def test_traces_of_equal_senders_are_merged() -> None:
    """Into few requests, which keep tenant and metadata; senders that differ are not mixed."""
    sink = Sink()

    async def body(processor: TraceHolder) -> None:
        for trace in range(20):
            context = Context(metadata={"x-team": (f"{trace % 2}",)}, tenant="acme", received_at=float(trace))
            await processor.consume(spans_batch([SpanOf(trace)], context=context))
        await sink.wait_for_items(20)
        assert [(batch.item_count, batch.context.first("x-team"), batch.context.tenant) for batch in sink.batches] == [
            (10, "0", "acme"),
            (10, "1", "acme"),
        ]

    run(body, sink, decision_wait="1s")


# ------------------------------------------------------------------ shutdown


def test_shutdown_decides() -> None:
    """What waits is decided with what has come of it; afterwards nothing is taken."""
    sink, meter = Sink(), RecordingMeter()

    async def body(processor: TraceHolder) -> None:
        await processor.consume(spans_batch([SpanOf(1, error=True), SpanOf(2)]))
        await processor.shutdown()
        assert names_of(sink) == ["1"]
        assert sink.drops == {"sampled": 1}
        assert balanced(meter)
        with pytest.raises(RetryableError):
            await processor.consume(spans_batch([SpanOf(1)]))

    run(body, sink, meter, policies=ERRORS)


def test_shutdown_drops_where_that_is_wanted() -> None:
    """drop_pending_traces_on_shutdown; counted as shutdown."""
    sink = Sink()

    async def body(processor: TraceHolder) -> None:
        await processor.consume(spans_batch([SpanOf(1), SpanOf(2)]))
        await processor.shutdown()
        assert not sink.batches
        assert sink.drops == {"shutdown": 2}

    run(body, sink, drop_pending_traces_on_shutdown=True)


def test_a_shutdown_that_is_cut_short_counts_what_is_lost() -> None:
    """Spans that next has not accepted by then."""
    sink, meter = BlockingSink(), RecordingMeter()

    async def body(processor: TraceHolder) -> None:
        await processor.consume(spans_batch([SpanOf(1), SpanOf(2)]))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await processor.shutdown()
        assert sink.drops == {"shutdown": 2}
        assert processor.pending_items() == 0
        assert balanced(meter)

    run(body, sink, meter)


# ------------------------------------------------------------------ marks


def test_the_adjusted_count_is_recorded() -> None:
    """Spans kept by chance say how many they stand for, on top of what samplers before them have left."""
    sink = Sink()

    async def body(processor: TraceHolder) -> None:
        spans = [SpanOf(n, "plain") for n in range(50)] + [
            SpanOf(n, "th", trace_state="ot=th:c") for n in range(50, 99)
        ]
        spans += [SpanOf(n, "count", attributes={"sampling.adjusted_count": 10}) for n in range(100, 150)]
        spans += [SpanOf(n, "certain", error=True) for n in range(150, 160)]
        await processor.consume(spans_batch(spans))
        await processor.shutdown()
        columns = [sink.column(Field(Level.ITEM, "name")), sink.column(ADJUSTED)]
        assert set(zip(*columns, strict=True)) == {("plain", 2.0), ("th", 8.0), ("count", 20.0), ("certain", None)}
        assert set(map(str, sink.column(Field(Level.ITEM, "trace_state")))) == {"", "ot=th:c"}

    run(body, sink, policies=HALF + ERRORS)


def test_consistent_sampling_writes_tracestate() -> None:
    """With use_tracestate the decision follows marked randomness, thresholds are raised, and do not multiply."""
    sink = Sink()

    async def body(processor: TraceHolder) -> None:
        states = [
            "ot=th:4;rv:80000000000000",
            "ot=rv:7fffffffffffff",
            "ot=th:c;rv:ffffffffffffff",
            "vendor=a,ot=th:2;rv:90000000000000",
        ]
        await processor.consume(spans_batch([SpanOf(n, trace_state=state) for n, state in enumerate(states)]))
        await processor.shutdown()
        found = dict(
            zip(
                sink.column(Field(Level.ITEM, "name")),
                zip(sink.column(Field(Level.ITEM, "trace_state")), sink.column(ADJUSTED), strict=True),
                strict=True,
            )
        )
        assert found == {
            "0": ("ot=rv:80000000000000;th:8", 2.0),
            "2": ("ot=th:c;rv:ffffffffffffff", 4.0),
            "3": ("ot=rv:90000000000000;th:8,vendor=a", 2.0),
        }

    run(body, sink, policies=HALF, use_tracestate=True)


def test_the_policy_is_recorded() -> None:
    """With record_policy each scope names the policy that sampled the trace; late spans say that, too."""
    sink = Sink()

    async def body(processor: TraceHolder) -> None:
        await processor.consume(spans_batch([SpanOf(1, error=True), SpanOf(2, seconds=9)]))
        await asyncio.sleep(3)
        await processor.consume(spans_batch([SpanOf(1)]))
        policies = sink.column(attribute("tailsampling.policy", Level.SCOPE), Level.ITEM)
        cached = sink.column(attribute("tailsampling.cached_decision", Level.SCOPE), Level.ITEM)
        assert list(zip(policies, cached, strict=True)) == [("errors", None), ("slow", None), ("errors", True)]

    run(body, sink, policies=ERRORS + SLOW, record_policy=True, decision_wait="1s")


def test_span_ingest_decides_at_once() -> None:
    """What a policy samples leaves with all that waited; what is still waiting in the end is dropped."""
    sink = Sink()

    async def body(processor: TraceHolder) -> None:
        await processor.consume(spans_batch([SpanOf(1, "a"), SpanOf(2, "b")]))
        await processor.consume(spans_batch([SpanOf(1, "c", error=True)]))
        await sink.wait_for_items(2)
        assert now() == 0
        await processor.consume(spans_batch([SpanOf(1, "d")]))
        assert names_of(sink) == ["a", "c", "d"]
        await asyncio.sleep(12)
        assert sink.drops == {"sampled": 1}

    run(body, sink, policies=ERRORS, sampling_strategy="span-ingest", decision_wait="10s")


@pytest.mark.parametrize("size", [1, 7, 100])
def test_every_span_has_one_outcome(size: int) -> None:
    """Whatever the requests: what was accepted is passed, dropped or held, and the ledger says so."""
    sink, meter = Sink(), RecordingMeter()

    async def body(processor: TraceHolder) -> None:
        spans = [SpanOf(n * n % 37, f"{n}", error=n % 11 == 0) for n in range(300)]
        for start in range(0, len(spans), size):
            await processor.consume(spans_batch(spans[start : start + size]))
            await asyncio.sleep(0.2)
            assert balanced(meter)
        await asyncio.sleep(20)
        assert sink.item_count + sink.drops["sampled"] == 300
        assert meter.value("ledger_items", state="passed") == sink.item_count

    run(body, sink, meter, policies=ERRORS + HALF, decision_wait="3s", num_traces=20)


def test_a_dry_run_is_passed_on_alone() -> None:
    """Who asks what would happen is answered at once, and has no part in a trace or in the books."""
    sink, meter = Sink(), RecordingMeter()

    async def body(processor: TraceHolder) -> None:
        asking = Context(metadata={"x-untrace-dry-run": ("true",)})
        await processor.consume(spans_batch([SpanOf(1, "asked", error=True)], context=asking))
        await processor.consume(spans_batch([SpanOf(1, "sent")]))
        assert names_of(sink) == ["asked"]
        assert processor.pending_items() == 1
        await processor.shutdown()
        assert sink.drops == {"sampled": 1}
        assert meter.value("ledger_items", state="accepted") == 1

    run(body, sink, meter, policies=ERRORS)


def test_an_empty_request_is_accepted() -> None:
    """And makes no trace."""
    sink = Sink()

    async def body(processor: TraceHolder) -> None:
        await processor.consume(Batch(Signal.TRACES, b""))
        assert processor.pending_items() == 0

    run(body, sink)
