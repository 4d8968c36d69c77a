"""A disk that is really full: back-pressure while it is, and nothing else; everything goes on when room returns."""

from __future__ import annotations

import asyncio
import os
import re
import resource
from pathlib import Path

import pytest

from tests.support.journals import Keeper, append_all, ledger_of, numbers, open_journal, record, take_all
from untrace_pipeline.api import RetryableError
from untrace_plugins.extensions.file_storage import journal as module

MEBIBYTE = 1024 * 1024


async def fill(journal: module.FileJournal, first: int) -> list[int]:
    """Append until the disk is full; return what was accepted."""
    accepted: list[int] = []
    refusal: RetryableError | None = None
    while refusal is None:
        number = first + len(accepted)
        try:
            await journal.append(record(number, 20_000, items=1))
        except RetryableError as error:
            refusal = error
        else:
            accepted.append(number)
    assert re.search("the disk is full: (No space left on device|File too large)", str(refusal))
    assert refusal.retry_after
    return accepted


async def test_full_and_free_again(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused while full, with ends that still reach the disk; accepted again when segments were delivered."""
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    keeper = Keeper()
    journal = await open_journal(small_disk / "queue", segment_size=256 * 1024, fsync=True, keeper=keeper)
    accepted = await fill(journal, 0)
    assert 150 < len(accepted) < 210
    assert keeper.trouble == "the disk is full: No space left on device"
    taken = await journal.take(3 * MEBIBYTE)
    for one in taken[1::2]:
        journal.end(one, {"delivered": 1})  # no segment is complete: nothing is freed
    with pytest.raises(RetryableError):
        await journal.append(record(0, 20_000))
    await journal.close()

    journal = await open_journal(small_disk / "queue", segment_size=256 * 1024, fsync=True, keeper=keeper)
    assert ledger_of(journal) == {"delivered": len(taken[1::2]), "held": len(accepted) - len(taken[1::2])}
    again = await take_all(journal, MEBIBYTE)
    assert numbers(again) == sorted(set(accepted) - set(numbers(taken[1::2])))
    for one in again[: len(again) // 2]:
        journal.end(one, {"delivered": 1})
    await asyncio.sleep(0.1)
    more = await fill(journal, 10_000)
    assert len(more) > 50
    await journal.close()

    journal = await open_journal(small_disk / "queue", segment_size=256 * 1024, fsync=True, keeper=keeper)
    rest = await take_all(journal, MEBIBYTE)
    assert numbers(rest) == [*numbers(again[len(again) // 2 :]), *more]
    for one in rest:
        journal.end(one, {"delivered": 1})
    await journal.close()
    assert [path.name for path in (small_disk / "queue").iterdir()] == ["ledger"]
    journal = await open_journal(small_disk / "queue")
    assert ledger_of(journal) == {"delivered": len(accepted) + len(more), "held": 0}
    await journal.close()


async def test_a_disk_filled_by_others(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening a journal on a full disk works; when whoever filled it has gone, so does appending."""
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    journal = await open_journal(small_disk / "queue", fsync=True)
    await append_all(journal, [record(number, items=1) for number in range(10)])
    await journal.close()
    other = small_disk / "other"
    with pytest.raises(OSError, match="No space left"):
        other.write_bytes(bytes(8 * MEBIBYTE))
    journal = await open_journal(small_disk / "queue", fsync=True)
    fresh = await open_journal(small_disk / "fresh", fsync=True)
    for one in (await take_all(journal))[:5]:
        journal.end(one, {"delivered": 1})
    for one in (journal, fresh):
        with pytest.raises(RetryableError, match="No space left"):
            await one.append(record(1, 20_000))
    other.unlink()
    await asyncio.sleep(0.02)
    for one in (journal, fresh):
        await one.append(record(100, 20_000, items=1))
        await one.close()
    journal = await open_journal(small_disk / "queue")
    assert ledger_of(journal) == {"delivered": 5, "held": 6}
    assert numbers(await take_all(journal)) == [5, 6, 7, 8, 9, 100]
    await journal.close()


async def test_a_limit_on_the_size_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit of the process (``ulimit -f``) is a full disk too: nothing half-written stays."""
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    journal = await open_journal(tmp_path, segment_size=MEBIBYTE, fsync=True)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        accepted = await fill(journal, 0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(accepted) == 14
    await asyncio.sleep(0.02)
    await journal.append(record(99, 20_000, items=1))
    assert numbers(await take_all(journal)) == [*accepted, 99]
    await journal.close()
    journal = await open_journal(tmp_path)
    assert numbers(await take_all(journal)) == [*accepted, 99]
    await journal.close()
    assert os.path.getsize(tmp_path / "00000001.seg") < 320_000
