"""Journals through the extension: who opens them when, what workers leave to each other, and what is in the way."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.journals import append_all, ledger_of, numbers, record, take_all
from untrace_pipeline.api import Kind, RetryableError, StartError, Status, Workers
from untrace_pipeline.delivery.storage import QueueStorage
from untrace_pipeline.testing import RecordingMeter, StubHost, make_settings
from untrace_plugins.extensions.file_storage import FACTORY
from untrace_plugins.extensions.file_storage.directory import Directory
from untrace_plugins.extensions.file_storage.journals import segment_size

NAME = "exporters/otlp/backend"
FOLDER = "queues/exporters+otlp+backend"


async def started(path: Path, workers: Workers | None = None, **options: Any) -> Any:
    config = FACTORY.config.model_validate({"directory": str(path), "timeout": "0s", **options})
    extension = FACTORY.create(config, make_settings(Kind.EXTENSION, "file_storage", signals=()))
    extension.host = StubHost(workers=workers) if workers else StubHost()
    await extension.start(extension.host)
    return extension


async def test_a_queue_survives_the_daemon(tmp_path: Path) -> None:
    """Journals of one extension are apart from each other, lie where the README says, and are found again."""
    extension = await started(tmp_path)
    assert isinstance(extension, QueueStorage)
    for number, name in enumerate((NAME, "exporters/otlp")):
        journal = await extension.open_journal(name)
        await journal.append(record(number, items=1))
    assert (tmp_path / FOLDER / "00000001.seg").exists()
    await extension.shutdown()
    extension = await started(tmp_path)
    for number, name in enumerate((NAME, "exporters/otlp")):
        journal = await extension.open_journal(name)
        assert numbers(await take_all(journal)) == [number]
    await extension.shutdown()


async def test_the_next_owner_waits_for_the_present_one(tmp_path: Path) -> None:
    """A reload starts the new exporter before the old one lets go; what came from an earlier process is told once."""
    old = await started(tmp_path)
    journal = await old.open_journal(NAME)
    assert ledger_of(journal)["held"] == 0
    await journal.append(record(1))
    new = await started(tmp_path, max_size="20MiB")
    assert new.in_use(NAME)
    opening = asyncio.create_task(new.open_journal(NAME))
    await asyncio.sleep(0.01)
    assert not opening.done()
    await journal.close()
    journal = await opening
    assert journal.recovery is None
    assert numbers(await take_all(journal)) == [1]
    await old.shutdown()
    assert new.in_use(NAME)
    await new.shutdown()
    assert not new.in_use(NAME)


async def test_opening_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    """Whoever gives up waiting for a journal does not keep it from others."""
    extension = await started(tmp_path)
    for turns in range(4):
        opening = asyncio.create_task(extension.open_journal(NAME))
        for _ in range(turns):
            await asyncio.sleep(0)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        if opening.cancelled():
            assert not extension.in_use(NAME)
        else:
            await opening.result().close()
    journal = await extension.open_journal(NAME)
    await journal.append(record(1))
    await extension.shutdown()


async def test_not_running(tmp_path: Path) -> None:
    """Before the start and after the end there are no journals."""
    extension = await started(tmp_path)
    await extension.shutdown()
    assert not extension.in_use(NAME)
    with pytest.raises(StartError, match="extension file_storage: it is not running"):
        await extension.open_journal(NAME)


@pytest.mark.parametrize("before", [1, 2, 5])
@pytest.mark.parametrize("after", [1, 2, 5])
async def test_workers_share_what_others_left(before: int, after: int, tmp_path: Path) -> None:
    """Whatever the numbers of workers were and are, each record comes out in exactly one of them."""
    for index in range(before):
        extension = await started(tmp_path, Workers(index, before))
        journal = await extension.open_journal(NAME)
        await append_all(journal, [record(index * 100 + number, items=1) for number in range(20)])
        for one in (await take_all(journal))[:10]:
            journal.end(one, {"delivered": 1})
        await extension.shutdown()
    found: list[int] = []
    sums: list[int] = []
    for index in range(after):
        extension = await started(tmp_path, Workers(index, after))
        journal = await extension.open_journal(NAME)
        sums.append(ledger_of(journal).total())
        taken = await take_all(journal)
        found += numbers(taken)
        for one in taken:
            journal.end(one, {"delivered": 1})
        await extension.shutdown()
    assert sorted(found) == sorted(index * 100 + number for index in range(before) for number in range(10, 20))
    assert sum(sums) == before * 20
    assert list(tmp_path.rglob("*.seg")) == []


async def test_adoption_waits_for_a_worker_that_lives(tmp_path: Path) -> None:
    """A directory that another process still has stops the start; nothing of it is touched."""
    (tmp_path / "worker-3").mkdir()
    held = await Directory.acquire(tmp_path / "worker-3", 0)
    script = f"""
import asyncio, sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
from untrace_pipeline.api import StartError
from untrace_plugins.extensions.file_storage.directory import Directory
try:
    asyncio.run(Directory.acquire(Path({str(tmp_path / "worker-3")!r}), 0.1))
except StartError as error:
    print(error)
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert f"in use by process {os.getpid()}" in output.decode()
    held.release()


async def test_status_tells_of_a_full_storage(tmp_path: Path) -> None:
    """At the size limit the extension reports it, and reports when it is over."""
    extension = await started(tmp_path, max_size="1MiB")
    journal = await extension.open_journal(NAME)
    outcomes = await asyncio.gather(
        *(journal.append(record(number, 50_000)) for number in range(40)), return_exceptions=True
    )
    refused = [error for error in outcomes if isinstance(error, RetryableError)]
    assert 15 < len(refused) < 25
    status, message = extension.host.reports[-1]
    assert status is Status.RECOVERABLE_ERROR
    assert message == "exporters/otlp/backend: the storage is full (max_size 1048576 bytes)"
    for one in await take_all(journal):
        journal.end(one, {"delivered": one.items})
    for _ in range(300):
        if await asyncio.gather(journal.append(record(1)), return_exceptions=True) == [None]:
            break
        await asyncio.sleep(0.01)
    assert extension.host.reports[-1] == (Status.OK, "")
    await extension.shutdown()


async def test_metrics(tmp_path: Path) -> None:
    """How much is on disk, how much may be, and how long the disk takes."""
    meter = RecordingMeter()
    config = FACTORY.config.model_validate({"directory": str(tmp_path), "max_size": "8MiB"})
    extension: Any = FACTORY.create(config, make_settings(Kind.EXTENSION, "file_storage", signals=(), meter=meter))
    await extension.start(StubHost(workers=Workers(0, 2)))
    journal = await extension.open_journal(NAME)
    await journal.append(record(1, 1000))
    assert meter.value("file_storage_capacity_bytes") == 4 * 1024**2
    assert meter.value("file_storage_size_bytes") == 64 + len(b"header 1") + 1000 + 64
    [seconds] = meter.recorded("file_storage_commit_seconds")
    assert 0 < seconds < 10
    for one in await take_all(journal):
        journal.end(one, {"delivered": one.items})
    await journal.close()
    assert meter.value("file_storage_size_bytes") == 0
    await extension.shutdown()


async def test_one_queue_leaves_room_for_others(tmp_path: Path) -> None:
    """A queue whose destination is dead takes half of the storage and its own share, and not the share of another."""
    extension = await started(tmp_path, max_size="1MiB")
    dead, alive = await extension.open_journal(NAME), await extension.open_journal("exporters/other")
    await asyncio.gather(*(dead.append(record(n, 10_000)) for n in range(200)), return_exceptions=True)
    assert dead.held.bytes == pytest.approx(1024**2 * 3 / 4, rel=0.05)
    await append_all(alive, [record(n, 10_000) for n in range(24)])
    await extension.shutdown()


def test_size_of_segments() -> None:
    """Room comes back in small parts of the limit, and in files of a reasonable size."""
    assert segment_size(1 << 20) == 32 << 10
    assert segment_size(1 << 30) == 16 << 20
    assert segment_size(10 << 30) == 32 << 20


async def test_what_is_in_the_way(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Foreign files stay, with a message; directories where files should be are set aside; nothing of it is fatal."""
    folder = tmp_path / FOLDER
    (folder / "00000001.seg").mkdir(parents=True)
    (folder / "00000002.done").mkdir()
    (folder / "00000003.seg").symlink_to("/etc/passwd")
    (folder / "ledger").mkdir()
    (folder / "notes.txt").write_text("mine")
    (folder / "00000004.seg").write_bytes(b"nothing that we wrote" * 100)
    (folder / "00000005.seg").write_bytes(b"")
    (folder / "00000006.done").write_bytes(b"")
    extension = await started(tmp_path)
    journal = await extension.open_journal(NAME)
    await journal.append(record(7))
    assert {path.name for path in folder.iterdir()} == {
        "00000007.seg",
        "00000007.done",
        "ledger",
        "notes.txt",
        "quarantine",
    }
    assert {path.name for path in (folder / "quarantine").iterdir()} == {
        "00000001.seg",
        "00000002.done",
        "00000003.seg",
        "00000004.seg",
        "ledger",
    }
    assert "holds what is not ours, which stays as it is: notes.txt" in caplog.text
    assert "00000004.seg holds nothing that can be read (2100 bytes)" in caplog.text
    await extension.shutdown()


async def test_quarantine_is_bounded(tmp_path: Path) -> None:
    """Only so many damaged files are kept, the youngest."""
    folder = tmp_path / FOLDER
    folder.mkdir(parents=True)
    for number in range(1, 41):
        (folder / f"{number:08d}.seg").write_bytes(b"damaged" * 100)
    extension = await started(tmp_path)
    await extension.open_journal(NAME)
    kept = sorted(path.name for path in (folder / "quarantine").iterdir())
    assert kept == [f"{number:08d}.seg" for number in range(25, 41)]
    await extension.shutdown()


async def test_no_permission_is_an_error_at_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The path and the cause are named; whoever mends it can open the journal then."""
    extension = await started(tmp_path)
    journal = await extension.open_journal(NAME)
    await journal.append(record(1))
    await journal.close()
    real = os.open

    def refuse(path: Any, *arguments: Any, **options: Any) -> int:
        if str(path).endswith("00000001.seg"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    pattern = rf"extension file_storage: cannot open the queue {NAME} at .*00000001\.seg: Permission denied"
    with pytest.raises(StartError, match=pattern):
        await extension.open_journal(NAME)
    monkeypatch.undo()
    journal = await extension.open_journal(NAME)
    assert numbers(await take_all(journal)) == [1]
    await extension.shutdown()


async def test_without_fsync_nothing_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``fsync: false`` leaves it to the operating system when the disk has it."""
    extension = await started(tmp_path, fsync=False)
    journal = await extension.open_journal(NAME)
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    monkeypatch.setattr(os, "fsync", synced.append)
    await journal.append(record(1))
    assert synced == []
    monkeypatch.undo()
    await extension.shutdown()
