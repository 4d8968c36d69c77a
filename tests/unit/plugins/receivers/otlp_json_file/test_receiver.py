"""Files of OTLP JSON: following, rotation, truncation, refusals."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import zstandard
from pydantic import ValidationError

from untrace_pipeline.api import Kind, PermanentError, Receiver, RetryableError, Status
from untrace_pipeline.data import Batch, Field, Level, Signal, attribute
from untrace_pipeline.testing import (
    FailingSink,
    RecordingMeter,
    Sink,
    StubHost,
    make_batch,
    make_request,
    make_settings,
)
from untrace_plugins.receivers.otlp_json_file import FACTORY, tail
from untrace_plugins.receivers.otlp_json_file import receiver as receiver_module

NAME = Field(Level.ITEM, "name")


def line(items: int = 1, signal: Signal = Signal.TRACES, seed: int = 0) -> bytes:
    """Return one line of OTLP JSON."""
    return make_batch(signal, items, seed=seed).to_json() + b"\n"


class Reading:
    """A running receiver with what it found."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.meter = RecordingMeter()
        self.host = StubHost()

    def skipped(self, reason: str) -> float:
        return self.meter.value("receiver_skipped_lines", reason=reason)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something holds; the receiver works in threads, so time is real."""
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.005)


@asynccontextmanager
async def reading(
    include: Path | str, sink: Sink | None = None, signals: tuple[Signal, ...] = tuple(Signal), **options: Any
) -> AsyncIterator[Reading]:
    """Run a receiver on files."""
    found = Reading(sink or Sink())
    given = {"include": [str(include)], "poll_interval": "5ms", "start_at": "beginning", **options}
    settings = make_settings(Kind.RECEIVER, "otlp_json_file", signals=signals, meter=found.meter)
    receiver = FACTORY.create(FACTORY.config.model_validate(given), settings, found.sink)
    await receiver.start(found.host)
    try:
        yield found
    finally:
        await receiver.shutdown()
    for task in found.host.tasks:
        if task.done() and not task.cancelled():
            task.result()


async def test_every_signal_is_read(tmp_path: Path) -> None:
    """Traces, metrics and logs in one file arrive, equal to what was written."""
    (tmp_path / "a.jsonl").write_bytes(b"".join(line(3, signal) for signal in Signal))
    async with reading(tmp_path / "*.jsonl", include_file_name=False) as run:
        await run.sink.wait_for_items(9)
    written = {signal: make_request(signal, 3) for signal in Signal}
    assert {
        batch.signal: type(written[batch.signal]).FromString(batch.to_otlp()) for batch in run.sink.batches
    } == written
    assert {batch.context.transport for batch in run.sink.batches} == {"file"}
    assert run.sink.batches[0].context.peer == str(tmp_path / "a.jsonl")


async def test_items_say_which_file_they_came_from(tmp_path: Path) -> None:
    """Spans and log records have file name and path as attributes, metrics in their metadata."""
    (tmp_path / "a.jsonl").write_bytes(b"".join(line(2, signal) for signal in Signal))
    async with reading(tmp_path / "*.jsonl", include_file_path=True) as run:
        await run.sink.wait_for_items(6)
    for batch in run.sink.batches:
        level = Level.METRIC if batch.signal is Signal.METRICS else Level.ITEM
        assert batch.column(attribute("log.file.name", level)) == ["a.jsonl"] * 2
        assert batch.column(attribute("log.file.path", level)) == [str(tmp_path / "a.jsonl")] * 2


async def test_lines_of_other_signals_are_counted(tmp_path: Path) -> None:
    """A signal without a pipeline is skipped and counted."""
    (tmp_path / "a").write_bytes(line(1, Signal.LOGS) + line(1))
    async with reading(tmp_path / "a", signals=(Signal.TRACES,)) as run:
        await run.sink.wait_for_items(1)
    assert run.sink.item_count == 1
    assert run.skipped("no_pipeline") == 1


async def test_start_at_end_reads_what_is_added(tmp_path: Path) -> None:
    """With ``end``, old lines are left out, new ones and new files are read."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(line(5))
    async with reading(tmp_path / "*.jsonl", start_at="end") as run:
        with path.open("ab") as file:
            file.write(line(2))
        await run.sink.wait_for_items(2)
        (tmp_path / "b.jsonl").write_bytes(line(3))
        await run.sink.wait_for_items(5)
    assert run.sink.item_count == 5


async def test_unfinished_line_waits_for_its_end(tmp_path: Path) -> None:
    """A line is read when its line end is there, and then whole."""
    path, whole = tmp_path / "a", line(4)
    path.write_bytes(line(1) + whole[:100])
    async with reading(path) as run:
        await run.sink.wait_for_items(1)
        with path.open("ab") as file:
            file.write(whole[100:])
        await run.sink.wait_for_items(5)
    assert run.skipped("malformed") == 0


async def test_bad_line_is_skipped_with_its_place(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Lines that are no OTLP are counted and named; the others arrive."""
    bad = [b"not json\n", b"[1]\n", b'{"spans": []}\n', b'{"resourceSpans": 3}\n', b"\n", b'{"resourceSpans": []}\n']
    (tmp_path / "a").write_bytes(line(1) + b"".join(bad) + line(1, seed=1))
    async with reading(tmp_path / "a") as run:
        await run.sink.wait_for_items(2)
    assert run.skipped("malformed") == 4
    assert f"{tmp_path / 'a'}:2 (byte {len(line(1))}) is skipped" in caplog.text


async def test_too_long_line_is_skipped(tmp_path: Path) -> None:
    """A line beyond the limit is skipped, also when it is longer than what is read at once."""
    (tmp_path / "a").write_bytes(b"x" * 5000 + b"\n" + line(1) + b"y" * 3_000_000 + b"\n" + line(1))
    async with reading(tmp_path / "a", max_log_size=4096) as run:
        await run.sink.wait_for_items(2)
    assert run.skipped("too_long") == 2


async def test_refused_line_is_offered_until_accepted(tmp_path: Path) -> None:
    """A retryable refusal holds the position; nothing is lost and nothing comes twice."""
    (tmp_path / "a").write_bytes(line(1) + line(2, seed=1))
    errors = [RetryableError("full", retry_after=0.01) for _ in range(3)]
    async with reading(tmp_path / "a", FailingSink(errors)) as run:
        await run.sink.wait_for_items(3)
    assert run.sink.item_count == 3
    assert (Status.RECOVERABLE_ERROR, f"{tmp_path / 'a'} waits: full") in run.host.reports


async def test_a_refusal_that_names_no_wait_is_not_asked_again_at_once(tmp_path: Path) -> None:
    """``retry_after`` of 0 would turn the wait into a busy loop."""
    (tmp_path / "a").write_bytes(line(1))
    sink = FailingSink(RetryableError("full", retry_after=0.0))
    async with reading(tmp_path / "a", sink) as run:
        await run.until(lambda: bool(run.host.reports))
        for _ in range(50):
            await asyncio.sleep(0)
    assert len([status for status, _ in run.host.reports if status is Status.RECOVERABLE_ERROR]) == 1


def new_receiver(include: Path, sink: Sink) -> Receiver:
    config = FACTORY.config.model_validate({"include": [str(include)], "poll_interval": "5ms", "start_at": "beginning"})
    return FACTORY.create(config, make_settings(Kind.RECEIVER, "otlp_json_file", signals=tuple(Signal)), sink)


async def test_shutdown_closes_files_after_reading_failed(tmp_path: Path) -> None:
    """An unexpected error ended the task; shutdown neither raises it again nor leaves a file open."""

    class Broken(Sink):
        async def consume(self, batch: Batch) -> None:
            raise ZeroDivisionError

    (tmp_path / "a").write_bytes(line(1))
    receiver, host = new_receiver(tmp_path / "a", Broken()), StubHost()
    await receiver.start(host)
    with pytest.raises(ZeroDivisionError):
        await next(iter(host.tasks))
    await receiver.shutdown()


async def test_shutdown_closes_what_a_late_look_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that looks for files cannot be cancelled; what it opens meanwhile is closed too."""
    opening, go_on = threading.Event(), threading.Event()
    opened: list[Any] = []

    def slow(path: str, max_line_bytes: int) -> Any:
        opening.set()
        go_on.wait(10)
        opened.append(tail.open_tail(path, max_line_bytes))
        return opened[-1]

    monkeypatch.setattr(receiver_module, "open_tail", slow)
    receiver = new_receiver(tmp_path / "*", Sink())
    await receiver.start(StubHost())
    (tmp_path / "a").write_bytes(line(1))
    await asyncio.to_thread(opening.wait, 10)
    stopping = asyncio.create_task(receiver.shutdown())
    await asyncio.sleep(0)
    go_on.set()
    await stopping
    with pytest.raises(ValueError, match="closed file"):
        opened[0].read()


async def test_line_refused_for_good_is_counted(tmp_path: Path) -> None:
    """A permanent refusal skips the line."""
    (tmp_path / "a").write_bytes(line(1) + line(2))
    async with reading(tmp_path / "a", FailingSink([PermanentError("never")])) as run:
        await run.sink.wait_for_items(1)
        await run.until(lambda: run.skipped("refused") == 1)


class Limiter(Sink):
    """Refuses to admit a few times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def admit(self, byte_size: int) -> None:
        self.times -= 1
        if self.times >= 0:
            raise RetryableError("memory", retry_after=0.001)


async def test_admission_is_asked_before_decoding(tmp_path: Path) -> None:
    """A memory limiter's refusal makes the line wait."""
    (tmp_path / "a").write_bytes(line(1))
    async with reading(tmp_path / "a", Limiter(3)) as run:
        await run.sink.wait_for_items(1)


async def test_truncated_file_is_read_again(tmp_path: Path) -> None:
    """After copy-and-truncate the new content is read, even if it is longer than the old."""
    path = tmp_path / "a"
    path.write_bytes(line(3))
    async with reading(path) as run:
        await run.sink.wait_for_items(3)
        path.write_bytes(line(1, seed=5))
        await run.sink.wait_for_items(4)
        path.write_bytes(line(9, Signal.LOGS))
        await run.sink.wait_for_items(13)
    assert run.sink.item_count == 13


async def test_renamed_file_is_read_on(tmp_path: Path) -> None:
    """Rotation by renaming neither repeats nor loses lines, also those written just before."""
    path = tmp_path / "app.jsonl"
    path.write_bytes(line(1))
    async with reading(tmp_path / "app.jsonl*") as run:
        await run.sink.wait_for_items(1)
        with path.open("ab") as old:
            old.write(line(2))
            old.flush()
            path.rename(tmp_path / "app.jsonl.1")
            path.write_bytes(line(3))
            await run.sink.wait_for_items(6)
            old.write(line(4))
        await run.sink.wait_for_items(10)
    assert run.sink.item_count == 10


async def test_removed_file_is_read_to_its_end(tmp_path: Path) -> None:
    """What was written before a file went away is read."""
    path = tmp_path / "a"
    path.write_bytes(line(1))
    async with reading(path) as run:
        await run.sink.wait_for_items(1)
        with path.open("ab") as file:
            path.unlink()
            file.write(line(2))
            file.flush()
        await run.sink.wait_for_items(3)


@pytest.mark.parametrize(
    ("suffix", "compress"), [(".gz", gzip.compress), (".zst", lambda data: zstandard.ZstdCompressor().compress(data))]
)
async def test_compressed_files(tmp_path: Path, suffix: str, compress: Callable[[bytes], bytes]) -> None:
    """Compressed files are read whole, more of them when more is appended, and the last line needs no end."""
    path = tmp_path / f"a{suffix}"
    path.write_bytes(compress(line(1) + b"x" * 9000 + b"\n" + line(2)))
    async with reading(path, max_log_size=8192) as run:
        await run.sink.wait_for_items(3)
        with path.open("ab") as file:
            file.write(compress(line(3).rstrip()))
        await run.sink.wait_for_items(6)
    assert run.sink.item_count == 6
    assert run.skipped("too_long") == 1


async def test_damaged_compressed_file_is_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that is not what its name says is a warning, and the others are read."""
    (tmp_path / "a.gz").write_bytes(b"not gzip at all")
    (tmp_path / "b.zst").write_bytes(b"not zstd at all")
    (tmp_path / "c").write_bytes(line(1))
    async with reading(tmp_path / "*") as run:
        await run.sink.wait_for_items(1)
        await run.until(lambda: caplog.text.count("cannot be read") == 2)


async def test_excluded_and_unreadable_files(tmp_path: Path) -> None:
    """Excluded files and directories are left alone."""
    (tmp_path / "dir").mkdir()
    (tmp_path / "keep").write_bytes(line(1))
    (tmp_path / "leave").write_bytes(line(5))
    async with reading(tmp_path / "**", exclude=[str(tmp_path / "leave")]) as run:
        await run.sink.wait_for_items(1)
    assert run.sink.item_count == 1


async def test_replay_begins_again(tmp_path: Path) -> None:
    """With ``replay_file`` the same lines come again and again."""
    (tmp_path / "a").write_bytes(line(1))
    (tmp_path / "b.gz").write_bytes(gzip.compress(line(1)))
    async with reading(tmp_path / "*", replay_file=True) as run:
        await run.sink.wait_for_items(20)


async def test_many_lines_keep_their_number(tmp_path: Path) -> None:
    """More lines than fit into one block arrive once each."""
    (tmp_path / "a").write_bytes(line(1) * 500)
    async with reading(tmp_path / "a") as run:
        await run.sink.wait_for_items(500)
    assert run.sink.item_count == 500


async def test_start_and_shutdown_without_files(tmp_path: Path) -> None:
    """No file is no problem; shutting down leaves no task and no open file."""
    async with reading(tmp_path / "none") as run:
        assert not run.sink.batches
    assert all(task.done() for task in run.host.tasks)


@pytest.mark.parametrize("options", [{}, {"include": []}, {"include": ["a"], "poll_interval": "0s"}])
def test_options_that_make_no_sense(options: dict[str, Any]) -> None:
    """Something must be included, and polling takes time."""
    with pytest.raises(ValidationError):
        FACTORY.config.model_validate(options)
