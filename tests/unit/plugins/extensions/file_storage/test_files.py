"""What the operating system may answer: parts of writes, sectors that cannot be read, no room, no such call."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.journals import append_all, ledger_of, numbers, open_journal, record, take_all
from untrace_pipeline.api import RetryableError
from untrace_plugins.extensions.file_storage import journal as module
from untrace_plugins.extensions.file_storage.files import Files, is_full


def test_many_buffers_are_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More buffers than one call takes, and calls that write only a part."""
    files = Files()
    file = files.create(tmp_path / "file")
    real = os.pwritev
    monkeypatch.setattr(os, "pwritev", lambda fd, buffers, offset: real(fd, [b"".join(buffers)[:1000]], offset))
    buffers = [b"%05d" % number for number in range(3000)]
    files.write(file, [b"head", *buffers], 10)
    monkeypatch.undo()
    assert files.read(file, 1 << 20, 0) == bytes(10) + b"head" + b"".join(buffers)
    assert files.size(file) == 14 + 15_000
    files.close(file)


def test_sectors_that_cannot_be_read_are_zeros(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad sector costs its page, and not what is read along with it; other errors are errors."""
    files = Files()
    (tmp_path / "file").write_bytes(b"x" * 20_000)
    file = files.open_to_read(tmp_path / "file")
    real = os.pread

    def bad(fd: int, size: int, offset: int) -> bytes:
        if offset <= 9000 < offset + size:
            raise OSError(errno.EIO, "bad sector")
        return real(fd, size, offset)

    monkeypatch.setattr(os, "pread", bad)
    data = files.read(file, 20_000, 100)
    assert len(data) == 19_900
    assert data.count(b"x") == 19_900 - 4096
    assert data[9000 - 100] == 0
    monkeypatch.setattr(os, "pread", lambda *_: os.fstat(-1))
    with pytest.raises(OSError, match="Bad file descriptor"):
        files.read(file, 10, 0)
    monkeypatch.undo()
    files.close(file)


def test_reserving_where_that_does_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some file systems cannot reserve: then there is no reserve. No room is no room."""
    files = Files()
    file = files.create(tmp_path / "file")

    def refuse(code: int) -> None:
        def fallocate(*_: object) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(os, "posix_fallocate", fallocate)

    refuse(errno.EOPNOTSUPP)
    files.reserve(file, 100)
    refuse(errno.ENOSPC)
    with pytest.raises(OSError, match="No space") as raised:
        files.reserve(file, 100)
    assert is_full(raised.value)
    assert not is_full(OSError(errno.EIO, ""))
    files.close(file)


class BrokenDisk(Files):
    """Fails where it is told to."""

    def __init__(self) -> None:
        self.syncs_fail = False
        self.synced: list[int] = []

    def sync(self, file: int) -> None:
        if self.syncs_fail:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.synced.append(file)
        super().sync(file)


async def test_after_a_failed_sync_a_new_file_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not synced is refused, and its file is not trusted again; what was synced before is delivered."""
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.0)
    disk = BrokenDisk()
    journal = await open_journal(tmp_path, files=disk, fsync=True, segment_size=1 << 20)
    await append_all(journal, [record(number) for number in range(3)])
    disk.syncs_fail = True
    with pytest.raises(RetryableError, match="exporters/test: the disk fails: Input/output error"):
        await journal.append(record(3))
    assert journal.held.requests == 3
    disk.syncs_fail = False
    await journal.append(record(4))
    assert sorted(path.name for path in tmp_path.glob("*.seg")) == ["00000001.seg", "00000002.seg"]
    await journal.close()
    journal = await open_journal(tmp_path)
    assert numbers(await take_all(journal)) == [0, 1, 2, 4]
    assert ledger_of(journal)["held"] == journal.held.items
    await journal.close()


async def test_group_commit(tmp_path: Path) -> None:
    """What comes while the disk is busy is synced together."""

    class SlowDisk(BrokenDisk):
        def sync(self, file: int) -> None:
            super().sync(file)
            os.sched_yield()

    disk = SlowDisk()
    journal = await open_journal(tmp_path, files=disk, fsync=True, segment_size=1 << 20)
    await append_all(journal, [record(number) for number in range(200)])
    assert len(disk.synced) < 20
    await journal.close()


async def test_a_batch_over_several_files(tmp_path: Path) -> None:
    """When the disk fills up in the middle of a batch, the first ones are held, and only the others refused."""

    class FillingDisk(Files):
        writes = 0

        def write(self, file: int, buffers: Sequence[bytes], offset: int) -> None:
            self.writes += sum(map(len, buffers)) > 500
            if self.writes == 3:
                super().write(file, [b"".join(buffers)[:700]], offset)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            super().write(file, buffers, offset)

    journal = await open_journal(tmp_path, files=FillingDisk(), segment_size=2000)
    appending = [journal.append(record(number)) for number in range(60)]
    results = await asyncio.gather(*appending, return_exceptions=True)
    held = results.count(None)
    assert 0 < held < 60
    assert all("No space left" in str(error) for error in results[held:])
    assert journal.held.requests == held
    assert numbers(await take_all(journal)) == list(range(held))
    await journal.close()
    journal = await open_journal(tmp_path)
    assert numbers(await take_all(journal)) == list(range(held))
    await journal.close()
