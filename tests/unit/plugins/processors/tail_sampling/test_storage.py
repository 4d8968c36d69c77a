"""Tail sampling over a file storage: what survives a restart, and a process that does not get to say goodbye."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.spans import SpanOf, names_of, spans_batch
from untrace_pipeline.api import Kind, Outlet, RetryableError, StartError
from untrace_pipeline.data import Context, attribute
from untrace_pipeline.testing import BlockingSink, FailingSink, RecordingMeter, Sink, StubHost, make_settings
from untrace_plugins.extensions.file_storage.config import FileStorageConfig
from untrace_plugins.extensions.file_storage.extension import FileStorage
from untrace_plugins.processors.tail_sampling import FACTORY
from untrace_plugins.processors.tail_sampling.config import TailSamplingConfig
from untrace_plugins.sampling.holder import TraceHolder

ERRORS = [{"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}}]
LONG = {"decide_on": "idle", "idle_time": "1h"}
SHORT = {"decision_wait": "20ms"}


@asynccontextmanager
async def storage(path: Path, **options: Any) -> AsyncIterator[StubHost]:
    """Run a file storage."""
    settings = make_settings(Kind.EXTENSION, "file_storage", signals=())
    config = FileStorageConfig.model_validate(
        {"directory": str(path), "create_directory": True, "fsync": False, **options}
    )
    extension = FileStorage(config, settings)
    await extension.start(StubHost())
    try:
        yield StubHost({"file_storage": extension})
    finally:
        await extension.shutdown()


def make(next: Outlet, meter: RecordingMeter | None = None, **options: Any) -> TraceHolder:
    config = TailSamplingConfig.model_validate({"policies": ERRORS, "storage": "file_storage", **options})
    settings = make_settings(Kind.PROCESSOR, "tail_sampling", meter=meter, pipeline="traces/llm")
    processor = FACTORY.create(config, settings, next)
    assert isinstance(processor, TraceHolder)
    return processor


@asynccontextmanager
async def running(
    path: Path, next: Outlet, meter: RecordingMeter | None = None, **options: Any
) -> AsyncIterator[TraceHolder]:
    """Run a processor over a storage of its own."""
    async with storage(path) as host:
        processor = make(next, meter, **options)
        await processor.start(host)
        try:
            yield processor
        finally:
            await processor.shutdown()


def balanced(meter: RecordingMeter) -> bool:
    """Whether every span that was ever taken has an outcome, or is held."""
    taken = sum(meter.value("ledger_items", state=state) for state in ("accepted", "unacknowledged"))
    return meter.value("ledger_items") - taken + meter.value("processor_pending_items") == taken


async def test_undecided_traces_survive_a_restart(tmp_path: Path) -> None:
    """A trace whose spans came to two processes is decided as a whole, with tenant and metadata of its senders."""
    first, second = Sink(), Sink()
    context = Context(metadata={"x-team": ("a",)}, tenant="acme")
    async with running(tmp_path, first, **LONG) as processor:
        await processor.consume(spans_batch([SpanOf(1, "a"), SpanOf(2, "b")], context=context))
        assert processor.pending_items() == 2
    assert not first.batches
    assert not first.drops
    meter = RecordingMeter()
    async with running(tmp_path, second, meter, **SHORT) as processor:
        await processor.consume(spans_batch([SpanOf(1, "c", error=True)], context=context))
        await second.wait_for_items(2)
        assert names_of(second) == ["a", "c"]
        assert [batch.context.tenant for batch in second.batches] == ["acme"] * len(second.batches)
        assert second.batches[0].context.first("x-team") == "a"
        await until(lambda: second.drops == {"sampled": 1})
        assert balanced(meter)
        assert meter.value("ledger_items", state="accepted") == 3


async def until(condition: Any) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


async def test_accepted_means_on_disk(tmp_path: Path) -> None:
    """What consume has returned for is found by whoever opens the directory after a kill at that moment."""
    sink, found = Sink(), Sink()
    async with running(tmp_path / "a", sink, **LONG) as processor:
        await processor.consume(spans_batch([SpanOf(1, "a", error=True), SpanOf(2, "b")]))
        shutil.copytree(tmp_path / "a", tmp_path / "b", ignore=shutil.ignore_patterns("lock"))
    async with running(tmp_path / "b", found, **SHORT):
        await found.wait_for_items(1)
        assert names_of(found) == ["a"]


async def test_late_spans_follow_decisions_of_an_earlier_process(tmp_path: Path) -> None:
    """Decisions are on disk, with the chance that was taken."""
    first, second = Sink(), Sink()
    async with running(tmp_path, first, **SHORT) as processor:
        await processor.consume(spans_batch([SpanOf(1, error=True), SpanOf(2)]))
        await first.wait_for_items(1)
    async with running(tmp_path, second, **LONG) as processor:
        await processor.consume(spans_batch([SpanOf(1, "late"), SpanOf(2, "lost", error=True)]))
        assert names_of(second) == ["late"]
        assert second.drops == {"sampled": 1}


async def test_what_was_decided_and_not_accepted_comes_again(tmp_path: Path) -> None:
    """A kept trace that next refuses until the end is sent by the next process; it is not decided anew."""
    refusing, second = FailingSink(), Sink()
    async with running(tmp_path, refusing, **SHORT) as processor:
        await processor.consume(spans_batch([SpanOf(1, "a", error=True)]))
        await until(lambda: refusing.calls)
    async with running(tmp_path, second, **LONG):
        await second.wait_for_items(1)
        assert names_of(second) == ["a"]


async def test_a_kill_between_decision_and_delivery_repeats_and_loses_nothing(tmp_path: Path) -> None:
    """Fragments that are found after a crash follow the decision that is found beside them."""
    sink, second = BlockingSink(), Sink()
    async with running(tmp_path / "a", sink, **SHORT) as processor:
        await processor.consume(spans_batch([SpanOf(1, "a", error=True), SpanOf(2, "b")]))
        await sink.wait_for_calls(1)
        shutil.copytree(tmp_path / "a", tmp_path / "b", ignore=shutil.ignore_patterns("lock"))
        sink.release.set()
    async with running(tmp_path / "b", second, **LONG) as processor:
        await second.wait_for_items(1)
        assert names_of(second) == ["a"]
        assert processor.pending_items() == 0


async def test_payloads_are_left_to_the_disk(tmp_path: Path) -> None:
    """Beyond memory_limit only what is known about traces stays in memory; all of them come out complete."""
    sink, meter = Sink(), RecordingMeter()
    options = {**LONG, "idle_time": "500ms", "memory_limit": "1MiB"}
    async with running(tmp_path, sink, meter, **options) as processor:
        for part in range(2):
            for trace in range(40):
                span = SpanOf(trace, f"{trace}.{part}", {"text": f"{trace}" * 30_000}, error=trace % 2 == 0)
                await processor.consume(spans_batch([span]))
                assert meter.value("processor_tail_sampling_pending_bytes") <= 1024 * 1024
        assert meter.value("processor_tail_sampling_spilled_fragments") > 40
        assert meter.value("processor_tail_sampling_sampling_traces_decided_early") == 0
        await sink.wait_for_items(40)
        assert names_of(sink) == sorted(f"{trace}.{part}" for trace in range(0, 40, 2) for part in range(2))
        assert set(map(len, sink.column(attribute("text")))) == {30_000, 60_000}  # type: ignore[arg-type]  strings
        await until(lambda: balanced(meter) and processor.pending_items() == 0)


async def test_a_full_disk_is_told_to_the_sender(tmp_path: Path) -> None:
    """Nothing is taken then, and the sum is right."""
    sink, meter = Sink(), RecordingMeter()
    async with storage(tmp_path, max_size="1MiB") as host:
        processor = make(sink, meter, **LONG)
        await processor.start(host)
        large = [spans_batch([SpanOf(trace, attributes={"text": "x" * 200_000})]) for trace in range(20)]
        answers = await asyncio.gather(*(processor.consume(one) for one in large), return_exceptions=True)
        assert {type(answer) for answer in answers} == {type(None), RetryableError}
        assert balanced(meter)
        assert processor.pending_items() == meter.value("ledger_items", state="accepted") > 0
        await processor.shutdown()


async def test_long_traces_do_not_hold_up_the_disk(tmp_path: Path) -> None:
    """What waits among much that has ended is written anew, so that its room becomes free; it is still complete."""
    sink, meter = Sink(), RecordingMeter()
    text = {"text": "x" * 20_000}
    options = {"decide_on": "root_end", "idle_time": "1h", "decision_wait_after_root_received": "10ms"}
    async with storage(tmp_path, max_size="4MiB") as host:
        processor = make(sink, meter, **options)
        await processor.start(host)
        for trace in range(1, 400):
            spans = [SpanOf(trace, f"{trace}", text, root=True)]
            if trace % 2 == 0:
                spans.append(SpanOf(0, f"long {trace}"))
            await processor.consume(spans_batch(spans))
            if trace % 50 == 0:
                await until(lambda: meter.value("processor_tail_sampling_sampling_traces_on_memory") == 1)
                await processor.tidy()
        await processor.consume(spans_batch([SpanOf(0, "the end", error=True, root=True)]))
        await sink.wait_for_items(200)
        assert names_of(sink) == sorted(["the end", *(f"long {trace}" for trace in range(2, 400, 2))])
        await until(lambda: processor.pending_items() == 0)
        assert balanced(meter)
        await processor.shutdown()
    again = RecordingMeter()
    async with running(tmp_path, Sink(), again, **options):
        assert again.value("ledger_items", state="accepted") == meter.value("ledger_items", state="accepted") == 599
        assert balanced(again)


async def test_a_sender_who_leaves_is_unacknowledged(tmp_path: Path) -> None:
    """What is on disk by then stays, and is counted as taken twice perhaps."""
    sink, meter = Sink(), RecordingMeter()
    async with running(tmp_path, sink, meter, **LONG) as processor:
        call = asyncio.create_task(processor.consume(spans_batch([SpanOf(1), SpanOf(2)])))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert meter.value("ledger_items", state="unacknowledged") == processor.pending_items() == 2
        assert balanced(meter)


async def test_a_reload_hands_the_traces_over(tmp_path: Path) -> None:
    """The new processor starts while the old one still has the storage, and goes on with what that one held."""
    old_sink, new_sink = Sink(), Sink()
    async with storage(tmp_path) as host:
        old, new = make(old_sink, **LONG), make(new_sink, **SHORT)
        await old.start(host)
        await old.consume(spans_batch([SpanOf(1, "a", error=True)]))
        await new.start(host)
        waiting = asyncio.create_task(new.consume(spans_batch([SpanOf(1, "b")])))
        await old.shutdown()
        await waiting
        await new_sink.wait_for_items(2)
        assert names_of(new_sink) == ["a", "b"]
        assert not old_sink.batches
        await new.shutdown()


async def test_a_storage_that_is_none() -> None:
    """An extension that keeps no journals is named."""
    processor = make(Sink())
    with pytest.raises(StartError, match="file_storage keeps no journals"):
        await processor.start(StubHost({"file_storage": object()}))  # type: ignore[dict-item]  that is the point
    await processor.shutdown()
