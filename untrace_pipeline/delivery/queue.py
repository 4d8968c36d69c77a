"""Queues between ``consume`` and the senders: the protocol, and the one in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from untrace_pipeline.data import Batch
from untrace_pipeline.delivery.config import Overflow, QueueSizer
from untrace_pipeline.delivery.request import Entry
from untrace_pipeline.delivery.room import Room, Waiters
from untrace_pipeline.errors import RetryableError

__all__ = ["Keeper", "MemoryQueue", "PersistentQueue", "Queue", "Removal"]


class Queue(Protocol):
    """Holds entries from :meth:`put` until :meth:`done`: what was taken out by :meth:`get` still counts as held.

    So a crash between the two loses nothing in a queue on disk, and the capacity bounds all memory of a delivery.
    """

    @property
    def capacity(self) -> int:
        """Greatest size, in the unit of the queue."""

    @property
    def size(self) -> int:
        """What is held, in the unit of the queue."""

    def check(self, byte_size: int) -> None:
        """Raise :class:`QueueFullError` if an entry of about that many bytes would be refused now."""

    def fits(self, entry: Entry) -> bool:
        """Return whether :meth:`put` would take an entry now without refusing, waiting or evicting."""

    async def put(self, entry: Entry) -> Sequence[Entry]:
        """Commit an entry; return the oldest ones that had to make room for it.

        Raises :class:`QueueFullError`, before anything was taken, :class:`OversizeError` for an entry larger than the
        whole queue, :class:`RetryableError` when closed. Cancelled while it waits for room, it has taken nothing;
        cancelled while it waits for a medium, it has taken the entry, and ``entry.committed`` says so.
        """

    async def get(self) -> Entry | None:
        """Return the oldest entry that nobody has, waiting for one; ``None`` when closed and empty."""

    def done(self, entry: Entry) -> None:
        """Forget an entry whose outcome is known: ``entry.ended`` says what became of its items, by state."""

    def oldest_age(self, now: float) -> float:
        """Return seconds since the oldest entry held was put; 0 when empty."""

    def close(self) -> None:
        """Take no more entries; those held can still be got. Safe twice."""

    def abandon(self) -> list[Entry]:
        """Return the entries that nobody has got and that end here, for counting; none for a persistent queue."""


class Keeper(Protocol):
    """Takes what has no outcome when a delivery stops, so that it is not given up."""

    def keep(self, entries: Sequence[Entry], pieces: Sequence[Batch]) -> None:
        """Hold on to entries that were got and not finished, for whoever opens the queue next. Never raises.

        ``pieces`` are what has no outcome yet of entries that ended in part: they become records of their own, and once
        those are durable the entries are ended as ``entry.ended`` says. Without pieces, nothing of the entries ended.
        """

    def take_damaged(self) -> int:
        """Return how many items that waited could not be read since this was asked last."""

    async def release(self) -> None:
        """Make everything durable and let another owner open the queue, after it was closed. Safe twice."""


class PersistentQueue(Queue, Keeper, Protocol):
    """A queue whose entries survive the process.

    Once it is closed, :meth:`get` gives nothing out any more: what waits is safe where it is.
    """


class Removal:
    """Takes what a queue in memory holds out of it, for another delivery: see ``Delivery.withdraw``."""

    def __init__(self, queue: Queue, kept: list[Batch]) -> None:
        self._queue = queue
        self._kept = kept

    def keep(self, entries: Sequence[Entry], pieces: Sequence[Batch]) -> None:
        """Take what has no outcome yet, and let go of the entries."""
        self._kept += pieces or [entry.batch for entry in entries]
        for entry in entries:
            self._queue.done(entry)

    def take_damaged(self) -> int:
        """Return 0: memory is not damaged."""
        return 0

    async def release(self) -> None:
        """Nothing is held by the queue any more."""


class MemoryQueue:
    """A queue in memory, bounded in requests, items or bytes."""

    def __init__(self, capacity: int, sizer: QueueSizer, overflow: Overflow, *, owner: str = "sending queue") -> None:
        self.capacity = capacity
        self.size = 0
        self._owner = owner
        self._room = Room(capacity, sizer, overflow, lambda: self.size, owner=owner)
        self._waiting: deque[Entry] = deque()
        self._held: dict[Entry, None] = {}
        self._taken = 0
        self._getters = Waiters()
        self._closed = False

    def check(self, byte_size: int) -> None:
        """Refuse what :meth:`put` would refuse."""
        self._room.check(byte_size)

    def fits(self, entry: Entry) -> bool:
        """Return whether there is room, and nobody waits for it."""
        return self._room.takes(self._weigh(entry))

    async def put(self, entry: Entry) -> Sequence[Entry]:
        """Take an entry, or apply the overflow policy."""
        entry.weight = weight = self._weigh(entry)
        evicted: Sequence[Entry] = ()
        if self.size + weight > self.capacity or self._room.contended:
            evicted = await self._make_room(weight)
        if self._closed:
            raise RetryableError(f"{self._owner} is closed: shutting down")
        self.size += weight
        entry.committed = True
        self._waiting.append(entry)
        self._held[entry] = None
        self._getters.wake()
        if self._room.contended:
            self._room.filled()
        return evicted

    async def get(self) -> Entry | None:
        """Return the next entry, in order of arrival."""
        while not self._waiting:
            if self._closed:
                return None
            await self._getters.sleep()
        entry = self._waiting.popleft()
        self._taken += entry.weight
        return entry

    def done(self, entry: Entry) -> None:
        """Give the room of an entry back."""
        self._taken -= entry.weight
        self._release(entry)

    def oldest_age(self, now: float) -> float:
        """Return the age of the oldest entry, under way or not."""
        oldest = next(iter(self._held), None)
        return now - oldest.enqueued_at if oldest else 0.0

    def close(self) -> None:
        """Wake everybody: senders drain, and callers who wait for room are refused."""
        self._closed = True
        self._getters.wake_all()
        self._room.close()

    def abandon(self) -> list[Entry]:
        """Empty the queue and return what was in it."""
        left = list(self._waiting)
        self._waiting.clear()
        for entry in left:
            self._release(entry)
        return left

    def _weigh(self, entry: Entry) -> int:
        weight = self._room.weigh(entry.items, entry.batch.byte_size)
        self._room.admit(weight)
        return weight

    async def _make_room(self, weight: int) -> Sequence[Entry]:
        room = self._room
        if room.overflow is Overflow.BLOCK:
            await room.wait(weight)
            return ()
        if room.overflow is not Overflow.DROP_OLDEST or self._taken + weight > self.capacity:
            raise room.full()  # drop_oldest: all the rest is under way, and that is never dropped
        evicted = []
        while self.size + weight > self.capacity:
            evicted.append(self._waiting.popleft())
            self._release(evicted[-1])
        return evicted

    def _release(self, entry: Entry) -> None:
        del self._held[entry]
        self.size -= entry.weight
        self._room.freed()
