"""The queue over a journal: what it takes survives the process."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from untrace_pipeline.data import Batch
from untrace_pipeline.delivery.config import Overflow, QueueSizer
from untrace_pipeline.delivery.records import from_record, to_record
from untrace_pipeline.delivery.request import Entry, Reason
from untrace_pipeline.delivery.room import RETRY_AFTER_SECONDS, Room, Waiters
from untrace_pipeline.delivery.storage import Journal, Record
from untrace_pipeline.errors import QueueFullError, RetryableError

__all__ = ["DiskQueue"]

PREFETCH_BYTES = 1024 * 1024
"""Read from the journal at a time, so that senders do not wait for the disk."""


class DiskQueue:
    """A :class:`~untrace_pipeline.delivery.queue.PersistentQueue`, bounded in requests, items or bytes of what is held.

    Memory holds what senders work on and a little more, however much waits on the disk.
    """

    def __init__(
        self,
        journal: Journal,
        capacity: int,
        sizer: QueueSizer,
        overflow: Overflow,
        *,
        owner: str = "sending queue",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``clock`` tells seconds since the Unix epoch."""
        self.capacity = capacity
        self._journal = journal
        self._owner = owner
        self._clock = clock
        self._room = Room(capacity, sizer, overflow, lambda: self.size, owner=owner)
        self._getters = Waiters()
        self._arrivals = 0
        """Counts the times that something may have come to get."""
        self._ready: deque[Entry] = deque()
        self._under_way = 0
        """Weight of what was got and is not done."""
        self._leaving = 0
        """Weight of what is evicted, and held until that which comes instead is durable."""
        self._refused_until = 0.0
        self._damaged = 0
        self._moving: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def size(self) -> int:
        """What the journal holds, without that which is being evicted."""
        held = self._journal.held
        return self._room.weigh(held.items, held.bytes, held.requests) - self._leaving

    def check(self, byte_size: int) -> None:
        """Refuse what :meth:`put` would refuse, also while the disk is full."""
        left = self._refused_until - asyncio.get_running_loop().time()
        if left > 0:
            msg = f"{self._owner} takes nothing for now: its storage is full or fails"
            raise QueueFullError(msg, retry_after=left)
        self._room.check(byte_size)

    def fits(self, entry: Entry) -> bool:
        """Return whether there is room, and nobody waits for it."""
        return self._room.takes(self._weigh(entry))

    # --------------------------------------------------------------------- in

    async def put(self, entry: Entry) -> Sequence[Entry]:
        """Take an entry, or apply the overflow policy; returns once it is durable.

        The entries returned have ended in the journal as ``queue_full``. Cancelled while the entry is written, it waits
        for the disk all the same, so that ``entry.committed`` tells the truth; a second cancellation ends that, too.
        """
        entry.weight = weight = self._weigh(entry)
        self._room.admit(weight)
        evicted = await self._make_room(weight)
        try:
            await self._commit(entry)
        except BaseException:
            self._stay(evicted)
            raise
        for old in evicted:
            self._leaving -= old.weight
            self._end(old, {Reason.QUEUE_FULL: old.items})
        return evicted

    async def _commit(self, entry: Entry) -> None:
        if self._closed:
            raise RetryableError(f"{self._owner} is closed: shutting down")
        entry.record = to_record(entry.batch, entry.items, self._clock())
        written = self._journal.append(entry.record)
        written.add_done_callback(self._arrived)
        try:
            await asyncio.shield(written)
        except asyncio.CancelledError:
            await asyncio.wait([written])
            entry.committed = written.exception() is None
            raise
        except RetryableError as error:
            wait = RETRY_AFTER_SECONDS if error.retry_after is None else error.retry_after
            self._refused_until = asyncio.get_running_loop().time() + wait
            raise QueueFullError(f"{self._owner}: {error}", retry_after=wait) from error
        entry.committed = True

    def _arrived(self, written: asyncio.Future[None]) -> None:
        if not written.cancelled() and written.exception() is None:
            self._offer()
            self._room.filled()
        else:
            self._room.freed()

    def _offer(self) -> None:
        """There is something to get."""
        self._arrivals += 1
        self._getters.wake()

    async def _make_room(self, weight: int) -> list[Entry]:
        room, evicted = self._room, list[Entry]()
        if room.takes(weight):
            return evicted
        if room.overflow is Overflow.BLOCK:
            await room.wait(weight)
            return evicted
        if room.overflow is not Overflow.DROP_OLDEST or self._under_way + weight > self.capacity:
            raise room.full()  # drop_oldest: all the rest is under way, and that is never dropped
        try:
            while self.size + weight > self.capacity and (self._ready or await self._read()):
                if self._ready:
                    evicted.append(self._ready.popleft())
                    self._leaving += evicted[-1].weight
        except BaseException:
            self._stay(evicted)
            raise
        if self.size + weight > self.capacity:
            self._stay(evicted)
            raise room.full()
        return evicted

    def _stay(self, evicted: Sequence[Entry]) -> None:
        """Put back what was to be evicted."""
        for entry in evicted:
            self._leaving -= entry.weight
            self._give_back(entry)

    # -------------------------------------------------------------------- out

    async def get(self) -> Entry | None:
        """Return the next entry, in order of arrival; ``None`` once closed."""
        while not self._closed:
            if self._ready:
                entry = self._ready.popleft()
                self._under_way += entry.weight
                if self._ready:
                    self._getters.wake()
                return entry
            arrivals = self._arrivals
            if not await self._read() and arrivals == self._arrivals and not self._closed:
                await self._getters.sleep()
        return None

    async def _read(self) -> bool:
        """Read on in the journal; return whether there is something ready, or may be when asked again."""
        records = await self._journal.take(PREFETCH_BYTES)
        for record in records:
            entry = self._entry(record)
            if entry is None:  # intact, and yet none of ours: a later version wrote it
                self._damaged += record.items
                self._journal.end(record, {Reason.DAMAGED: record.items})
            else:
                self._ready.append(entry)
        return bool(records or self._ready)

    def _entry(self, record: Record) -> Entry | None:
        try:
            batch = from_record(record)
        except ValueError:
            return None
        waited = self._clock() - record.time
        entry = Entry(batch, record.items, asyncio.get_running_loop().time() - waited, committed=True, record=record)
        entry.key = self._journal.key(record)
        entry.weight = self._weigh(entry)
        return entry

    def done(self, entry: Entry) -> None:
        """Let go of an entry."""
        self._under_way -= entry.weight
        self._end(entry, entry.ended)

    def _end(self, entry: Entry, outcome: Mapping[str, int]) -> None:
        if entry.record is not None:
            self._journal.end(entry.record, outcome)
        self._room.freed()

    # ---------------------------------------------------------------- at last

    def keep(self, entries: Sequence[Entry], pieces: Sequence[Batch]) -> None:
        """Leave entries, or the pieces of them that have not ended, in the journal."""
        self._under_way -= sum(entry.weight for entry in entries)
        if not pieces:
            for entry in entries:
                self._give_back(entry)
            return
        since = min((entry.record.time for entry in entries if entry.record is not None), default=self._clock())
        written = [self._journal.append(to_record(piece, piece.item_count, since)) for piece in pieces]
        moving = asyncio.get_running_loop().create_task(self._move(entries, written))
        self._moving.add(moving)
        moving.add_done_callback(self._moving.discard)

    async def _move(self, entries: Sequence[Entry], written: Sequence[asyncio.Future[None]]) -> None:
        """End entries once their pieces are durable; where these cannot be written, the whole entries stay."""
        failed = any(await asyncio.gather(*written, return_exceptions=True))
        for entry in entries:
            if failed:
                self._give_back(entry)
            else:
                self._end(entry, entry.ended)
        self._offer()

    def _give_back(self, entry: Entry) -> None:
        """Let an entry be got again, and before those that are younger."""
        for one in (entry, *self._ready):
            if one.record is not None:
                self._journal.give_back(one.record)
        self._ready.clear()
        self._offer()

    def take_damaged(self) -> int:
        """Return the items that could not be read since this was asked last."""
        damaged, self._damaged = self._damaged, 0
        return damaged + self._journal.take_damaged()

    def oldest_age(self, now: float) -> float:
        """Return the age of the oldest entry held, which may have waited since an earlier process."""
        oldest = self._journal.oldest()
        return 0.0 if oldest is None else max(self._clock() - oldest, 0.0)

    def close(self) -> None:
        """Give nothing out any more, and refuse callers who wait for room."""
        self._closed = True
        self._getters.wake_all()
        self._room.close()

    def abandon(self) -> list[Entry]:
        """Return nothing: what nobody has got stays in the journal."""
        self._ready.clear()
        return []

    async def release(self) -> None:
        """Wait for what is being written, then close the journal."""
        self.close()
        while self._moving:
            await asyncio.wait(list(self._moving))
        await self._journal.close()

    def _weigh(self, entry: Entry) -> int:
        return self._room.weigh(entry.items, entry.batch.byte_size)
