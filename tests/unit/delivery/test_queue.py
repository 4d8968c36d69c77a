"""The queue in memory: bounded, in order, fair, safe under cancellation."""

from __future__ import annotations

import asyncio

import pytest

from untrace_pipeline.delivery import Entry, MemoryQueue, Overflow, QueueSizer
from untrace_pipeline.errors import OversizeError, QueueFullError, RetryableError
from untrace_pipeline.testing import make_batch


def entry(items: int = 1) -> Entry:
    return Entry(make_batch(items=items), items, asyncio.get_running_loop().time())


def queue(capacity: int, sizer: QueueSizer = QueueSizer.REQUESTS, overflow: Overflow = Overflow.REFUSE) -> MemoryQueue:
    return MemoryQueue(capacity, sizer, overflow)


async def test_entries_come_out_in_order() -> None:
    """First in, first out."""
    q = queue(10)
    entries = [entry() for _ in range(3)]
    for one in entries:
        await q.put(one)
    assert [await q.get() for _ in range(3)] == entries


async def test_what_was_taken_out_still_counts_until_it_is_done() -> None:
    """The capacity bounds what is held, so that memory is bounded however slow the destination is."""
    q = queue(1)
    one = entry()
    await q.put(one)
    await q.get()
    with pytest.raises(QueueFullError) as refused:
        await q.put(entry())
    assert refused.value.retry_after == 1
    q.done(one)
    await q.put(entry())
    assert q.size == 1


@pytest.mark.parametrize(("sizer", "size"), [(QueueSizer.REQUESTS, 1), (QueueSizer.ITEMS, 7)])
async def test_size_counts_in_its_unit(sizer: QueueSizer, size: int) -> None:
    """A queue counts requests or items as it was told."""
    q = queue(100, sizer)
    await q.put(entry(7))
    assert q.size == size


async def test_size_in_bytes() -> None:
    """A queue of bytes counts the serialized request."""
    q = queue(100_000, QueueSizer.BYTES)
    one = entry(3)
    await q.put(one)
    assert q.size == one.batch.byte_size


async def test_larger_than_the_queue_is_refused_for_good() -> None:
    """A batch that can never fit is no reason to try again, whatever the policy."""
    for overflow in Overflow:
        with pytest.raises(OversizeError, match="queue_size 5"):
            await queue(5, QueueSizer.ITEMS, overflow).put(entry(6))


async def test_check_refuses_before_the_request_is_read() -> None:
    """Admission says no exactly where put would."""
    q = queue(1)
    q.check(0)
    await q.put(entry())
    with pytest.raises(QueueFullError):
        q.check(0)
    blocking = queue(1, overflow=Overflow.BLOCK)
    await blocking.put(entry())
    blocking.check(0)


async def test_drop_oldest_makes_room_and_says_what_went() -> None:
    """The oldest entries that wait go first; as many as are needed."""
    q = queue(10, QueueSizer.ITEMS, Overflow.DROP_OLDEST)
    old = [entry(4), entry(4)]
    for one in old:
        await q.put(one)
    assert await q.put(entry(6)) == old[:1]
    assert q.size == 10


async def test_drop_oldest_never_drops_what_is_under_way() -> None:
    """What a sender has cannot be taken back: then the new batch is refused, and nothing is dropped."""
    q = queue(10, QueueSizer.ITEMS, Overflow.DROP_OLDEST)
    under_way, waiting = entry(6), entry(4)
    await q.put(under_way)
    await q.put(waiting)
    assert await q.get() is under_way
    with pytest.raises(QueueFullError):
        await q.put(entry(5))
    assert await q.get() is waiting


async def test_blocked_callers_are_served_in_order() -> None:
    """A large batch that waits for room is not overtaken by small ones."""
    q = queue(10, QueueSizer.ITEMS, Overflow.BLOCK)
    first = entry(8)
    await q.put(first)
    large, small = entry(6), entry(1)
    putting = [asyncio.create_task(q.put(large)), asyncio.create_task(q.put(small))]
    await asyncio.sleep(0)
    assert q.size == 8
    assert await q.get() is first
    q.done(first)
    await asyncio.gather(*putting)
    assert [await q.get(), await q.get()] == [large, small]


async def test_cancelled_while_waiting_for_room_takes_nothing() -> None:
    """Whoever gives up waiting leaves no trace, and the next in line gets the room."""
    q = queue(1, overflow=Overflow.BLOCK)
    first, last = entry(), entry()
    await q.put(first)
    gone = asyncio.create_task(q.put(entry()))
    stays = asyncio.create_task(q.put(last))
    await asyncio.sleep(0)
    await q.get()
    q.done(first)
    gone.cancel()
    await stays
    assert await q.get() is last
    assert gone.cancelled()
    assert q.size == 1


async def test_a_cancelled_getter_passes_its_turn_on() -> None:
    """A wake-up that meets a cancellation is not lost."""
    q = queue(10)
    getters = [asyncio.create_task(q.get()) for _ in range(2)]
    await asyncio.sleep(0)
    one = entry()
    await q.put(one)
    getters[0].cancel()
    assert await getters[1] is one


async def test_close_lets_getters_drain_and_refuses_putters() -> None:
    """After close, what is held comes out, then ``None``; nothing goes in."""
    q = queue(1, overflow=Overflow.BLOCK)
    one = entry()
    await q.put(one)
    blocked = asyncio.create_task(q.put(entry()))
    await asyncio.sleep(0)
    q.close()
    q.close()
    with pytest.raises(RetryableError):
        await blocked
    assert await q.get() is one
    assert await q.get() is None


async def test_age_is_that_of_the_oldest_entry_held() -> None:
    """The age covers entries under way: they may be the problem."""
    q = queue(10)
    now = asyncio.get_running_loop().time()
    assert q.oldest_age(now) == 0
    one = entry()
    await q.put(one)
    await q.get()
    assert q.oldest_age(one.enqueued_at + 5) == 5
    q.done(one)
    assert q.oldest_age(now) == 0
