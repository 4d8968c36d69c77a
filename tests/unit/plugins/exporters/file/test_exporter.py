"""The exporter ``file``: written before accepted, whole records only, back-pressure when the disk is full."""

from __future__ import annotations

import asyncio
import errno
import gzip
import os
import struct
from pathlib import Path
from typing import Any

import pytest
import zstandard
from pydantic import ValidationError

from tests.support.exporters import QUICK_RETRY, Running, running
from untrace_pipeline.api import PermanentError, RetryableError, StartError
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.testing import make_batch
from untrace_plugins.exporters.file import FACTORY
from untrace_plugins.exporters.file.writer import FileWriter


def records(path: Path) -> list[bytes]:
    """Read what is framed by lengths, as the Collector writes it."""
    data, found = path.read_bytes(), []
    while data:
        (length,) = struct.unpack(">I", data[:4])
        found.append(data[4 : 4 + length])
        data = data[4 + length :]
    return found


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"path": ""},
        {"path": "x", "format": "xml"},
        {"path": "x", "compression": "gzip"},
        {"path": "x", "rotation": {"max_megabytes": 0}},
        {"path": "x", "sending_queue": {"num_consumers": 2}},
        {"path": "x", "directory_permissions": "rwx"},
    ],
)
def test_what_cannot_work_is_refused(options: dict[str, Any]) -> None:
    """A path is needed, and one writer."""
    with pytest.raises(ValidationError):
        FACTORY.config.model_validate(options)


@pytest.mark.parametrize("signal", list(Signal))
async def test_json_lines_are_written_before_they_are_accepted(tmp_path: Path, signal: Signal) -> None:
    """When consume returns, the line is in the file: another process reads it although we still run."""
    path = tmp_path / "out.jsonl"
    async with running(FACTORY, {"path": str(path)}) as r:
        for seed in range(3):
            await r.consume(make_batch(signal, 4, seed=seed))
            lines = path.read_bytes().splitlines()
            assert Batch.from_json(signal, lines[seed]).to_json() == make_batch(signal, 4, seed=seed).to_json()


async def test_protobuf_is_framed_by_its_length(tmp_path: Path) -> None:
    """Four bytes, big-endian, then the request as it came."""
    path = tmp_path / "out.binpb"
    async with running(FACTORY, {"path": str(path), "format": "proto"}) as r:
        await r.consume(make_batch(items=3))
        await r.consume(make_batch(items=4))
    assert records(path) == [make_batch(items=3).to_otlp(), make_batch(items=4).to_otlp()]


@pytest.mark.parametrize("format", ["json", "proto"])
async def test_zstd_compresses_each_record(tmp_path: Path, format: str) -> None:
    """As the Collector does: each request is a zstd frame behind its length, in both formats."""
    path = tmp_path / "out.zst"
    async with running(FACTORY, {"path": str(path), "format": format, "compression": "zstd"}) as r:
        await r.consume(make_batch(items=3))
        await r.consume(make_batch(items=3))
    (first, second) = [zstandard.ZstdDecompressor().decompress(record) for record in records(path)]
    assert first == second == (make_batch(items=3).to_otlp() if format == "proto" else make_batch(items=3).to_json())


async def test_reopening_keeps_what_was_written(tmp_path: Path) -> None:
    """A reload makes the exporter anew: what the process has written before is not emptied."""
    path = tmp_path / "out.jsonl"
    for seed in range(2):
        async with running(FACTORY, {"path": str(path)}) as r:
            await r.exporter.consume(make_batch(seed=seed))
    assert len(path.read_bytes().splitlines()) == 2


@pytest.mark.parametrize(("append", "lines"), [(True, 2), (False, 1)])
async def test_append_keeps_what_was_there(tmp_path: Path, append: bool, lines: int) -> None:
    """Without it a start empties the file, as in the Collector."""
    path = tmp_path / "out.jsonl"
    path.write_text("{}\n")
    async with running(FACTORY, {"path": str(path), "append": append}) as r:
        await r.consume(make_batch(items=1))
    assert len(path.read_text().splitlines()) == lines


async def test_requests_keep_their_order(tmp_path: Path) -> None:
    """Callers at once: the lines stand in the order of their arrival, and none is torn."""
    path = tmp_path / "out.binpb"
    async with running(FACTORY, {"path": str(path), "format": "proto"}) as r:
        await asyncio.gather(*(r.consume(make_batch(items=1, seed=seed)) for seed in range(50)))
    assert records(path) == [make_batch(items=1, seed=seed).to_otlp() for seed in range(50)]


async def test_missing_directories_are_made_on_demand(tmp_path: Path) -> None:
    """Otherwise the message says which option would make them."""
    path = tmp_path / "a" / "b" / "out.jsonl"
    made = Running(FACTORY, {"path": str(path)}, Signal)
    with pytest.raises(StartError, match="create_directory"):
        await made.exporter.start(made.host)
    await made.exporter.shutdown()
    options = {"path": str(path), "create_directory": True, "directory_permissions": "0700"}
    async with running(FACTORY, options) as r:
        await r.consume(make_batch(items=1))
    assert path.exists()
    assert path.parent.stat().st_mode & 0o777 == 0o700


async def test_an_unwritable_path_is_an_error_at_start(tmp_path: Path) -> None:
    """The message names the component, the path and the cause."""
    made = Running(FACTORY, {"path": str(tmp_path)}, Signal)
    with pytest.raises(StartError, match=r"exporter file/test: cannot write to .*: Is a directory"):
        await made.exporter.start(made.host)
    await made.exporter.shutdown()


# ------------------------------------------------------------------- rotation


async def test_rotation_sets_full_files_aside(tmp_path: Path) -> None:
    """No file grows beyond its limit, no record is torn or lost, and only max_backups are kept."""
    path = tmp_path / "out.binpb"
    rotation = {"max_megabytes": 1, "max_backups": 2}
    payload = {"prompt": "x" * 200_000}
    async with running(FACTORY, {"path": str(path), "format": "proto", "rotation": rotation}) as r:
        for seed in range(17):
            await r.consume(make_batch(items=1, seed=seed, attributes=payload))
    backups = sorted(p for p in tmp_path.iterdir() if p != path)
    assert len(backups) == 2
    assert all(p.stat().st_size <= 1 << 20 for p in (path, *backups))
    kept = [record for p in (*backups, path) for record in records(p)]
    assert kept == [make_batch(items=1, seed=seed, attributes=payload).to_otlp() for seed in range(5, 17)]
    assert all(p.name.startswith("out-2") and p.suffix == ".binpb" for p in backups)


async def test_old_files_are_removed_after_max_days(tmp_path: Path) -> None:
    """Only files that were set aside here are touched, whatever else lies in the directory."""
    old = tmp_path / "out-2020-01-02T03-04-05.678.jsonl"
    others = [tmp_path / name for name in ("out-2020.jsonl", "other-2020-01-02T03-04-05.678.jsonl", "out.jsonl.1")]
    for one in (old, *others):
        one.write_text("{}\n")
        os.utime(one, (0, 0))
    path = tmp_path / "out.jsonl"
    path.write_bytes(b"x" * (1 << 20))
    rotation = {"max_megabytes": 1, "max_days": 7, "localtime": True}
    async with running(FACTORY, {"path": str(path), "rotation": rotation}) as r:
        await r.consume(make_batch(items=1))
    assert not old.exists()
    assert all(one.exists() for one in others)


async def test_a_file_that_logrotate_moved_away_is_made_anew(tmp_path: Path) -> None:
    """Renamed, removed, or emptied in place: writing goes on in the file of the configured name."""
    path = tmp_path / "out.jsonl"
    async with running(FACTORY, {"path": str(path)}) as r:
        await r.consume(make_batch(items=1))
        path.rename(tmp_path / "out.jsonl.1")
        await r.consume(make_batch(items=1))
        assert len(path.read_bytes().splitlines()) == 1
        (tmp_path / "out.jsonl.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
        await r.consume(make_batch(items=1))
        assert len(path.read_bytes().splitlines()) == 1
        os.truncate(path, 0)
        await r.consume(make_batch(items=1))
        assert len(path.read_bytes().splitlines()) == 1


# ----------------------------------------------------------------- full disks


class FullDisk:
    """Stands for ``os.write`` on a disk that has room for some bytes, then none, then again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.room: float = room
        self._write = os.write
        monkeypatch.setattr("untrace_plugins.exporters.file.writer.os.write", self.write)

    def write(self, file: int, data: Any) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        part = data[: int(min(self.room, len(data)))]
        self.room -= len(part)
        return self._write(file, part)


async def test_a_full_disk_is_back_pressure_and_recovers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a record is taken back, callers wait, the status tells, and when there is room everything is written."""
    path = tmp_path / "out.jsonl"
    async with running(FACTORY, {"path": str(path), "retry_on_failure": QUICK_RETRY}) as r:
        await r.consume(make_batch(items=1))
        size = path.stat().st_size
        disk = FullDisk(monkeypatch, 100)
        waiting = [asyncio.create_task(r.consume(make_batch(items=2))) for _ in range(3)]
        await r.until(lambda: bool(r.host.reports))
        assert "No space left on device" in r.host.reports[0][1]
        assert path.stat().st_size == size
        assert not any(task.done() for task in waiting)
        disk.room = float(1 << 40)
        await asyncio.gather(*waiting)
    lines = path.read_bytes().splitlines()
    assert [Batch.from_json(Signal.TRACES, line).item_count for line in lines] == [1, 2, 2, 2]
    assert [status.name for status, _ in r.host.reports] == ["RECOVERABLE_ERROR", "OK"]


async def test_a_disk_that_stays_full_is_told_to_the_sender(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the retries the batch goes back with a retryable error: nothing is lost silently."""
    retry = {**QUICK_RETRY, "max_elapsed_time": "200ms"}
    async with running(FACTORY, {"path": str(tmp_path / "out.jsonl"), "retry_on_failure": retry}) as r:
        FullDisk(monkeypatch, 0)
        with pytest.raises(RetryableError, match="No space left"):
            await r.consume(make_batch(items=2))
        assert r.dropped == {}


def test_a_late_thread_does_not_open_the_file_again(tmp_path: Path) -> None:
    """A write cannot be cancelled: after shutdown it fails, as it was counted, and leaves no file open."""
    writer = FileWriter(tmp_path / "a", None)
    writer.open()
    writer.write(b"one\n")
    writer.close()
    with pytest.raises(OSError, match="closed"):
        writer.write(b"two\n")
    assert (tmp_path / "a").read_bytes() == b"one\n"


async def test_devices_can_be_written() -> None:
    """A path need not be a regular file."""
    async with running(FACTORY, {"path": "/dev/null"}) as r:
        await r.consume(make_batch(items=1))


async def test_bytes_that_are_no_otlp_go_back(tmp_path: Path) -> None:
    """JSON cannot be made of them: the sender is told for good, and the file stays clean."""
    path = tmp_path / "out.jsonl"
    bad = Batch(Signal.TRACES, make_batch(items=1).to_otlp().replace(b"gen_ai.operation.name", b"\xff" * 21))
    async with running(FACTORY, {"path": str(path)}) as r:
        with pytest.raises(PermanentError):
            await r.consume(bad)
        await r.consume(make_batch(items=1))
    assert len(path.read_bytes().splitlines()) == 1


def test_workers_cannot_share_a_file() -> None:
    """A file has one writer: with several workers its name must hold the worker's number."""
    assert list(FACTORY.config.model_validate({"path": "out.jsonl"}).unshared()) == ["path"]
