"""The queue over a journal: what is taken, in which order, and what becomes of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest

from tests.support.memory_journal import MemoryJournal
from untrace_pipeline.data import Batch
from untrace_pipeline.delivery.config import Overflow, QueueSizer
from untrace_pipeline.delivery.disk_queue import PREFETCH_BYTES, DiskQueue
from untrace_pipeline.delivery.records import to_record
from untrace_pipeline.delivery.request import Entry
from untrace_pipeline.delivery.storage import Journal, Record
from untrace_pipeline.errors import OversizeError, QueueFullError, RetryableError
from untrace_pipeline.testing import make_batch


def entry(items: int = 1, seed: int = 0) -> Entry:
    return Entry(make_batch(items=items, seed=seed), items, asyncio.get_running_loop().time())


def queue(
    journal: Journal,
    capacity: int = 100,
    sizer: QueueSizer = QueueSizer.REQUESTS,
    overflow: Overflow = Overflow.REFUSE,
    time: float = 0.0,
) -> DiskQueue:
    return DiskQueue(journal, capacity, sizer, overflow, owner="the queue", clock=lambda: time)


async def got(q: DiskQueue) -> Entry:
    found = await q.get()
    assert found is not None
    return found


def delivered(one: Entry) -> Entry:
    one.ended = Counter({"delivered": one.items})
    return one


async def test_entries_come_out_in_order_and_end() -> None:
    """What was put comes out as it was, in order, is held until it is done, and ends as it is told."""
    journal = MemoryJournal()
    q = queue(journal)
    batches = [entry(items, seed=items) for items in (3, 1, 2)]
    for one in batches:
        assert await q.put(one) == []
        assert one.committed
    assert q.size == 3
    for one in batches:
        out = await got(q)
        assert (out.batch.to_otlp(), out.items) == (one.batch.to_otlp(), one.items)
        assert q.size == 3 - batches.index(one)
        q.done(delivered(out))
    assert q.size == 0
    assert journal.ended == {"delivered": 6}


async def test_put_returns_when_the_entry_is_durable() -> None:
    """Nothing is acknowledged, and nothing can be got, before the medium has it."""
    journal = MemoryJournal(manual=True)
    q = queue(journal)
    one = entry()
    putting, getting = asyncio.create_task(q.put(one)), asyncio.create_task(q.get())
    await asyncio.sleep(0.01)
    assert not putting.done()
    assert not getting.done()
    assert not one.committed
    assert q.size == 1
    journal.commit()
    await putting
    assert (await getting) is not None


@pytest.mark.parametrize(("sizer", "size"), [(QueueSizer.REQUESTS, 1), (QueueSizer.ITEMS, 7)])
async def test_size_in_the_unit_of_the_sizer(sizer: QueueSizer, size: int) -> None:
    """A queue counts requests or items as it was told."""
    q = queue(MemoryJournal(), 100, sizer)
    await q.put(entry(7))
    assert q.size == size


async def test_what_was_there_counts() -> None:
    """Records of an earlier process are part of the size, and come out first."""
    journal = MemoryJournal()
    old = make_batch(items=4, seed=9)
    await journal.append(to_record(old, 4, -60.0))
    q = queue(journal, 5, QueueSizer.ITEMS)
    assert q.size == 4
    assert q.oldest_age(0.0) == 60
    with pytest.raises(QueueFullError):
        await q.put(entry(2))
    await q.put(entry(1))
    out = await got(q)
    assert out.batch.to_otlp() == old.to_otlp()
    assert asyncio.get_running_loop().time() - out.enqueued_at >= 60


async def test_full_and_too_large() -> None:
    """A full queue says come back; what can never fit is refused for good; both before the request is read."""
    q = queue(MemoryJournal(), 2, QueueSizer.ITEMS)
    await q.put(entry(2))
    assert not q.fits(entry(1))
    with pytest.raises(QueueFullError, match=r"the queue is full \(2 of 2 items\)") as raised:
        await q.put(entry(1))
    assert raised.value.retry_after
    with pytest.raises(QueueFullError):
        q.check(0)
    with pytest.raises(OversizeError, match="queue_size 2"):
        await q.put(entry(3))


async def test_a_full_disk_is_back_pressure() -> None:
    """What the medium refuses is refused with its wish when to come back; until then nothing is even read."""
    journal = MemoryJournal()
    q = queue(journal)
    journal.error = RetryableError("no space left", retry_after=0.05)
    one = entry()
    with pytest.raises(QueueFullError, match="the queue: no space left") as raised:
        await q.put(one)
    assert raised.value.retry_after == 0.05
    assert not one.committed
    assert q.size == 0
    with pytest.raises(QueueFullError, match="takes nothing for now"):
        q.check(100)
    journal.error = None
    await asyncio.sleep(0.06)
    q.check(100)
    await q.put(one)


async def test_blocked_callers_are_served_in_order() -> None:
    """A large batch that waits for room is not overtaken by small ones."""
    journal = MemoryJournal()
    q = queue(journal, 10, QueueSizer.ITEMS, Overflow.BLOCK)
    await q.put(entry(8))
    first = await got(q)
    large, small = entry(6, seed=1), entry(1, seed=2)
    putting = [asyncio.create_task(q.put(large)), asyncio.create_task(q.put(small))]
    await asyncio.sleep(0)
    assert q.size == 8
    q.done(delivered(first))
    await asyncio.gather(*putting)
    assert [(await got(q)).items for _ in range(2)] == [6, 1]


async def test_a_failed_write_lets_the_next_in_line_try() -> None:
    """Room that was claimed and not used goes to whoever waits for it."""
    journal = MemoryJournal(manual=True)
    q = queue(journal, 1, overflow=Overflow.BLOCK)
    putting = [asyncio.create_task(q.put(entry(seed=seed))) for seed in range(2)]
    await asyncio.sleep(0)
    journal.error = RetryableError("full")
    journal.commit()
    journal.error = None
    with pytest.raises(QueueFullError):
        await putting[0]
    await asyncio.sleep(0.01)
    journal.commit()
    await putting[1]


async def test_drop_oldest_makes_room_and_says_what_went() -> None:
    """The oldest entries that wait go first, as many as are needed; the journal knows what became of them."""
    journal = MemoryJournal()
    q = queue(journal, 10, QueueSizer.ITEMS, Overflow.DROP_OLDEST)
    for seed in range(2):
        await q.put(entry(4, seed))
    evicted = await q.put(entry(6))
    assert [one.items for one in evicted] == [4]
    assert q.size == 10
    assert journal.ended == {"queue_full": 4}


async def test_drop_oldest_never_drops_what_is_under_way() -> None:
    """What a sender has cannot be taken back: then the new batch is refused, and nothing is dropped."""
    journal = MemoryJournal()
    q = queue(journal, 10, QueueSizer.ITEMS, Overflow.DROP_OLDEST)
    await q.put(entry(6))
    await q.put(entry(4))
    assert (await got(q)).items == 6
    with pytest.raises(QueueFullError):
        await q.put(entry(5))
    assert (await got(q)).items == 4
    assert not journal.ended


async def test_drop_oldest_drops_nothing_for_what_is_not_written() -> None:
    """Old entries give way only to what is durable; otherwise they come out as if nothing had been."""
    journal = MemoryJournal()
    q = queue(journal, 10, QueueSizer.ITEMS, Overflow.DROP_OLDEST)
    await q.put(entry(4, 1))
    await q.put(entry(6, 2))
    journal.error = RetryableError("full")
    with pytest.raises(QueueFullError):
        await q.put(entry(9))
    assert q.size == 10
    assert [(await got(q)).items for _ in range(2)] == [4, 6]
    assert not journal.ended


async def test_cancelled_while_it_is_written() -> None:
    """Who is cancelled while the medium works waits for it, and learns whether the entry was taken."""
    for error, committed in ((None, True), (RetryableError("full"), False)):
        journal = MemoryJournal(manual=True)
        q = queue(journal)
        one = entry()
        putting = asyncio.create_task(q.put(one))
        await asyncio.sleep(0)
        putting.cancel()
        await asyncio.sleep(0)
        assert not putting.done()
        journal.error = error
        journal.commit()
        with pytest.raises(asyncio.CancelledError):
            await putting
        assert one.committed is committed
        assert q.size == int(committed)


async def test_a_second_cancellation_does_not_wait() -> None:
    """A medium that hangs cannot hold a caller for ever."""
    journal = MemoryJournal(manual=True)
    putting = asyncio.create_task(queue(journal).put(entry()))
    for _ in range(2):
        await asyncio.sleep(0)
        putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    journal.commit()


async def test_several_getters_share_what_comes() -> None:
    """Each entry goes to one getter, none of them sleeps through one, and a cancelled one loses nothing."""
    q = queue(MemoryJournal())
    getters = [asyncio.create_task(q.get()) for _ in range(4)]
    await asyncio.sleep(0)
    getters[0].cancel()
    await asyncio.gather(*(q.put(entry(items)) for items in (1, 2, 3)))
    found = await asyncio.gather(*getters[1:])
    assert sorted(one.items for one in found if one) == [1, 2, 3]


async def test_reading_is_bounded() -> None:
    """Only a little of a backlog is in memory."""

    class Watched(MemoryJournal):
        asked: list[int] = []

        async def take(self, max_bytes: int) -> Sequence[Record]:
            self.asked.append(max_bytes)
            return (await super().take(1))[:1]

    journal = Watched()
    q = queue(journal)
    for _ in range(5):
        await q.put(entry())
    await got(q)
    assert journal.asked == [PREFETCH_BYTES]


async def test_close_gives_nothing_out_any_more() -> None:
    """After close, what waits stays where it is; who waits is told."""
    journal = MemoryJournal()
    q = queue(journal, 3, overflow=Overflow.BLOCK)
    for _ in range(3):
        await q.put(entry())
    one = await got(q)
    blocked = asyncio.create_task(q.put(entry()))
    await asyncio.sleep(0)
    q.close()
    q.close()
    with pytest.raises(RetryableError, match="shutting down"):
        await blocked
    assert await q.get() is None
    assert q.abandon() == []
    q.done(delivered(one))
    await q.release()
    await q.release()
    assert journal.closed
    assert journal.held.requests == 2


async def test_close_wakes_getters() -> None:
    """Senders that wait for work end."""
    q = queue(MemoryJournal())
    getters = [asyncio.create_task(q.get()) for _ in range(2)]
    await asyncio.sleep(0)
    q.close()
    assert await asyncio.gather(*getters) == [None, None]


async def test_keep_without_pieces_gives_back() -> None:
    """Entries of which nothing ended stay as they are, before younger ones."""
    journal = MemoryJournal()
    q = queue(journal)
    for items in (1, 2, 3):
        await q.put(entry(items))
    first, second = await got(q), await got(q)
    q.keep([second, first], [])
    assert [(await got(q)).items for _ in range(3)] == [1, 2, 3]
    assert q.size == 3


async def test_keep_moves_pieces() -> None:
    """What is left of an entry becomes a record with the age of the old one, which then ends."""
    journal = MemoryJournal(manual=True)
    q = queue(journal, time=50.0)
    journal.manual = False
    await q.put(entry(5))
    journal.manual = True
    one = await got(q)
    one.ended = Counter({"delivered": 3, "moved": 2})
    piece: Batch = make_batch(items=2, seed=7)
    q.keep([one], [piece])
    assert journal.ended == {}
    q.close()
    releasing = asyncio.create_task(q.release())
    await asyncio.sleep(0.01)
    assert not journal.closed
    journal.commit()
    await releasing
    assert journal.ended == {"delivered": 3, "moved": 2}
    [record] = journal.records.values()
    assert (record.payload, record.items, record.time) == (piece.to_otlp(), 2, 50.0)


async def test_keep_on_a_full_disk() -> None:
    """Where pieces cannot be written, the whole entry stays: rather twice than never."""
    journal = MemoryJournal()
    q = queue(journal)
    await q.put(entry(5))
    one = await got(q)
    one.ended = Counter({"delivered": 3, "moved": 2})
    journal.error = RetryableError("full")
    q.keep([one], [make_batch(items=2)])
    await q.release()
    assert journal.held.items == 5
    assert not journal.ended


async def test_damage_is_told() -> None:
    """What the journal could not read, and what is intact and not ours, is handed to the books once."""
    journal = MemoryJournal()
    await journal.append(Record(b"?", b"", 3, 0.0))
    q = queue(journal)
    await q.put(entry(1))
    journal.damaged = 4
    assert (await got(q)).items == 1
    assert journal.ended == {"damaged": 3}
    assert q.take_damaged() == 7
    assert q.take_damaged() == 0
