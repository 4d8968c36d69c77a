"""A journal that nothing happens to: order, durability, sums, memory, room."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.support.journals import Keeper, append_all, ledger_of, numbers, open_journal, record, take_all
from untrace_pipeline.api import RetryableError
from untrace_pipeline.delivery.storage import Journal, Totals
from untrace_plugins.extensions.file_storage.journal import FileJournal


def segments(path: Path) -> list[str]:
    return sorted(found.name for found in path.glob("*.seg"))


async def copy_of(path: Path, target: Path) -> FileJournal:
    """Open what the operating system has at this moment: what a kill -9 would leave. Nothing is deleted meanwhile."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(path, target)
    return await open_journal(target)


async def test_records_come_out_as_they_went_in(tmp_path: Path) -> None:
    """In order, unchanged, and with places that grow."""
    journal: Journal = await open_journal(tmp_path)
    records = [record(number) for number in range(100)]
    await asyncio.gather(*(journal.append(one) for one in records))
    assert journal.held == Totals(100, sum(one.items for one in records), 100 * 96)
    assert journal.oldest() == 1000.0
    out = [one for _ in range(50) for one in await journal.take(200)]
    assert [(one.header, one.payload, one.items, one.time) for one in out] == [
        (one.header, one.payload, one.items, one.time) for one in records
    ]
    places = [one.place for one in out]
    assert places == sorted(set(places))
    assert await journal.take(200) == []
    for one in out:
        journal.end(one, {"delivered": one.items})
    assert journal.held == Totals()
    assert journal.oldest() is None
    await journal.close()


async def test_what_is_held_survives(tmp_path: Path) -> None:
    """A journal that was closed has the same id, the records that were held, in order, and the sums of the others."""
    journal = await open_journal(tmp_path)
    assert ledger_of(journal) == {"held": 0}
    await append_all(journal, [record(number, items=2) for number in range(10)])
    taken = await take_all(journal)
    journal.end(taken[0], {"delivered": 1, "rejected": 1})
    journal.end(taken[5], {"moved": 2})
    journal.end(taken[6], {"unheard_of": 2})
    journal.give_back(taken[3])
    await journal.close()
    await journal.close()
    journal = await open_journal(tmp_path)
    assert ledger_of(journal) == {"delivered": 1, "rejected": 1, "moved": 2, "unheard_of": 2, "held": 14}
    assert numbers(await take_all(journal)) == [1, 2, 3, 4, 7, 8, 9]
    await journal.close()


async def test_durable_means_that_a_kill_loses_nothing(tmp_path: Path) -> None:
    """What the future said is durable is found by another process at that moment, with the sums to the item."""
    journal = await open_journal(tmp_path / "a")
    for number in range(200):
        await journal.append(record(number))
        if number % 20 == 0:
            copy = await copy_of(tmp_path / "a", tmp_path / "b")
            assert ledger_of(copy) == {"held": sum(n % 5 + 1 for n in range(number + 1))}
            assert numbers(await take_all(copy)) == list(range(number + 1))
            await copy.close()
    await journal.close()


async def test_ends_reach_the_disk_soon(tmp_path: Path) -> None:
    """Without a close, what has ended is known to another process after a few milliseconds."""
    journal = await open_journal(tmp_path / "a", segment_size=1 << 20)
    await append_all(journal, [record(number, items=1) for number in range(100)])
    for one in (await take_all(journal))[:90]:
        journal.end(one, {"delivered": 1})
    for _ in range(200):
        copy = await copy_of(tmp_path / "a", tmp_path / "b")
        ledger = ledger_of(copy)
        await copy.close()
        if ledger == {"delivered": 90, "held": 10}:
            break
        await asyncio.sleep(0.01)
    else:
        pytest.fail(f"the ends are not there: {ledger}")
    await journal.close()


async def test_segments_that_ended_are_deleted(tmp_path: Path) -> None:
    """Room comes back segment by segment, in whatever order they end, and the sums stay."""
    journal = await open_journal(tmp_path)
    await append_all(journal, [record(number, items=1) for number in range(200)])
    count = len(segments(tmp_path))
    assert count > 5
    taken = await take_all(journal)
    for one in reversed(taken[:150]):
        journal.end(one, {"delivered": 1})
    await journal.close()
    assert len(segments(tmp_path)) < count / 2
    journal = await open_journal(tmp_path)
    assert ledger_of(journal) == {"delivered": 150, "held": 50}
    rest = await take_all(journal)
    assert numbers(rest) == list(range(150, 200))
    for one in rest:
        journal.end(one, {"expired": 1})
    await journal.close()
    assert sorted(found.name for found in tmp_path.iterdir()) == ["ledger"]
    journal = await open_journal(tmp_path)
    assert ledger_of(journal) == {"delivered": 150, "expired": 50, "held": 0}
    await journal.append(record(1))
    [one] = await journal.take(1)
    assert one.place > rest[-1].place, "a place never comes again"
    await journal.close()


async def test_a_backlog_is_read_from_the_disk(tmp_path: Path) -> None:
    """What does not fit into memory is read when its turn comes, and what comes meanwhile waits behind it."""
    journal = await open_journal(tmp_path, keeper=Keeper(memory=1000))
    seen: list[int] = []
    for turn in range(30):
        await append_all(journal, [record(turn * 20 + number) for number in range(20)])
        assert sum(len(one.payload) for one in journal._hot) <= 1000
        for one in await journal.take(1500 if turn % 3 else 10):
            seen += numbers([one])
            journal.end(one, {"delivered": one.items})
    rest = await take_all(journal)
    assert seen + numbers(rest) == list(range(600))
    await append_all(journal, [record(number) for number in range(5)])
    assert len(journal._hot) == 5, "reading has caught up"
    await journal.close()


async def test_damage_while_it_runs(tmp_path: Path) -> None:
    """What somebody spoils on the disk before it was read is counted and skipped, at the end of the newest file too."""
    for spoilt in (3, 9):
        path = tmp_path / str(spoilt)
        journal = await open_journal(path, keeper=Keeper(memory=1))
        await append_all(journal, [record(number, items=1) for number in range(10)])
        [file] = path.glob("*.seg")
        data = file.read_bytes()
        begin = data.index(b"header %d" % spoilt) - 64
        file.write_bytes(data[:begin] + bytes(64) + data[begin + 64 :])
        taken = await take_all(journal)
        assert numbers(taken) == [number for number in range(10) if number != spoilt]
        assert journal.take_damaged() == 1
        for one in taken:
            journal.end(one, {"delivered": 1})
        await journal.append(record(10, items=1))
        assert numbers(await take_all(journal)) == [10]
        await journal.close()
        journal = await open_journal(path)
        assert ledger_of(journal) == {"delivered": 9, "damaged": 1, "held": 1}
        await journal.close()


async def test_a_file_that_vanishes(tmp_path: Path) -> None:
    """A segment that somebody deletes while it waits is counted as damaged; the others are delivered."""
    journal = await open_journal(tmp_path, keeper=Keeper(memory=1))
    await append_all(journal, [record(number, items=1) for number in range(100)])
    (tmp_path / "00000002.seg").unlink()
    taken = await take_all(journal)
    damaged = journal.take_damaged()
    assert 10 < damaged < 30
    assert len(taken) == 100 - damaged
    assert journal.held.items == len(taken)
    await journal.close()


async def test_what_is_given_back_comes_first(tmp_path: Path) -> None:
    """A record that was given back is older than what was not taken."""
    journal = await open_journal(tmp_path)
    await append_all(journal, [record(number) for number in range(6)])
    first = await journal.take(300)
    for one in reversed(first):
        journal.give_back(one)
    journal.give_back(first[0])
    assert journal.oldest() == 1000.0
    assert numbers(await take_all(journal)) == list(range(6))
    await journal.close()


async def test_only_what_was_taken_can_end(tmp_path: Path) -> None:
    """Ending twice changes nothing."""
    journal = await open_journal(tmp_path)
    await journal.append(record(1, items=3))
    [one] = await journal.take(1)
    journal.end(one, {"delivered": 3})
    journal.end(one, {"delivered": 3})
    journal.give_back(one)
    assert journal.held == Totals()
    assert await journal.take(1) == []
    await journal.close()


async def test_idempotency_keys(tmp_path: Path) -> None:
    """Each record has a key of its own, and the same one whoever reads it: the next process, or one that adopts it."""
    keys = set[str]()
    for name in ("a", "b"):
        journal = await open_journal(tmp_path / name)
        await append_all(journal, [record(number) for number in range(50)])
        keys |= {journal.key(one) for one in await take_all(journal)}
        await journal.close()
    assert len(keys) == 100
    journal = await open_journal(tmp_path / "a", tmp_path / "b")
    assert {journal.key(one) for one in await take_all(journal)} == keys
    await journal.close()


async def test_a_cancelled_take_has_taken_nothing(tmp_path: Path) -> None:
    """What was read from the disk for somebody who left is there for the next one."""
    journal = await open_journal(tmp_path)
    await append_all(journal, [record(number) for number in range(10)])
    await journal.close()
    journal = await open_journal(tmp_path)
    taking = asyncio.create_task(journal.take(500))
    await asyncio.sleep(0)
    taking.cancel()
    assert numbers(await take_all(journal)) == list(range(10))
    await journal.close()


async def test_closing_while_records_are_written(tmp_path: Path) -> None:
    """What was appended before the close is written; what comes after is refused."""
    journal = await open_journal(tmp_path)
    writing = [journal.append(record(number)) for number in range(50)]
    closing = asyncio.create_task(journal.close())
    await asyncio.sleep(0)
    with pytest.raises(RetryableError, match="shutting down"):
        await journal.append(record(99))
    await closing
    assert all(one.done() and one.exception() is None for one in writing)
    journal = await open_journal(tmp_path)
    assert numbers(await take_all(journal)) == list(range(50))
    await journal.close()


async def test_a_record_larger_than_a_segment(tmp_path: Path) -> None:
    """It has a segment of its own, and is read in one piece."""
    journal = await open_journal(tmp_path)
    records = [record(0), record(1, 3_000_000), record(2)]
    await append_all(journal, records)
    await journal.close()
    assert len(segments(tmp_path)) == 3
    journal = await open_journal(tmp_path)
    assert [one.payload for one in await take_all(journal)] == [one.payload for one in records]
    await journal.close()


async def test_size_limit(tmp_path: Path) -> None:
    """At the limit appending is refused as retryable and the owner hears of it; room that comes back is used again."""
    keeper = Keeper()
    journal = await open_journal(tmp_path, limit=20_000, keeper=keeper, segment_size=2048)
    outcomes = await asyncio.gather(*(journal.append(record(0)) for _ in range(100)), return_exceptions=True)
    accepted = outcomes.count(None)
    refusal = outcomes[accepted]
    assert isinstance(refusal, RetryableError)
    assert str(refusal) == "exporters/test: the storage is full (max_size 20000 bytes)"
    assert 70 < accepted < 90
    assert refusal.retry_after
    assert "full" in keeper.trouble
    with pytest.raises(RetryableError):
        await journal.append(record(0))
    for one in await take_all(journal):
        journal.end(one, {"delivered": one.items})
    journal._refuse_until = 0.0
    await journal.append(record(0))
    assert keeper.trouble == ""
    await journal.close()


async def test_an_adopted_folder_is_finished(tmp_path: Path) -> None:
    """What another worker left is delivered, counted and deleted in its own folder; new records go to the own one."""
    for name in ("own", "other"):
        journal = await open_journal(tmp_path / name)
        await append_all(journal, [record(number, items=1) for number in range(100)])
        for one in (await take_all(journal))[:50]:
            journal.end(one, {name: 1})
        await journal.close()
    journal = await open_journal(tmp_path / "own", tmp_path / "other")
    assert ledger_of(journal) == {"own": 50, "other": 50, "held": 100}
    await journal.append(record(100, items=1))
    taken = await take_all(journal)
    assert numbers(taken) == [*range(50, 100), *range(50, 101)]
    assert len({one.place for one in taken}) == 101
    for one in taken[:60]:
        journal.end(one, {"delivered": 1})
    await journal.close()
    assert segments(tmp_path / "other") == []
    other = await open_journal(tmp_path / "other")
    assert ledger_of(other) == {"other": 50, "delivered": 50, "held": 0}
    await other.close()
    journal = await open_journal(tmp_path / "own", tmp_path / "other")
    assert ledger_of(journal) == {"own": 50, "other": 50, "delivered": 60, "held": 41}
    await journal.close()


async def test_payloads_are_read_again(tmp_path: Path) -> None:
    """Whoever lets go of the payloads finds them where they are, in the process that wrote them and in the next one."""
    journal = await open_journal(tmp_path)
    records = [record(number) for number in range(100)]
    payloads = [one.payload for one in records]
    await asyncio.gather(*(journal.append(one, taken=True) for one in records))
    assert await journal.take(1 << 20) == []
    for one in records:
        one.payload = b""
    assert await journal.payloads(records) == payloads
    journal.end(records[0], {"passed": records[0].items})
    await journal.close()
    journal = await open_journal(tmp_path)
    taken = await take_all(journal)
    assert numbers(taken) == list(range(1, 100))
    assert await journal.payloads(taken[::-1]) == payloads[:0:-1]
    for one in taken:
        one.payload = b""
        journal.end(one, {"passed": one.items})
    assert journal.held == Totals()
    await journal.close()


async def test_a_payload_that_is_damaged_is_none(tmp_path: Path) -> None:
    """Of records that are read again, damage costs those that it hits; a file that is gone, all of its own."""
    journal = await open_journal(tmp_path)
    records = [record(number) for number in range(60)]
    await asyncio.gather(*(journal.append(one, taken=True) for one in records))
    first = segments(tmp_path)[0]
    data = bytearray((tmp_path / first).read_bytes())
    data[records[2].position + 70] ^= 1
    (tmp_path / first).write_bytes(data)
    found = await journal.payloads(records[:5])
    assert found == [records[0].payload, records[1].payload, None, records[3].payload, records[4].payload]
    (tmp_path / first).unlink()
    assert await journal.payloads(records[:1]) == [None]
    for one in records:
        journal.end(one, {"passed": one.items})
    await journal.close()
