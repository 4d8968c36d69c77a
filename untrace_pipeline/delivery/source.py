"""Where senders get their requests: from the queue, merged on the way where batching is on."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from untrace_pipeline.delivery.batcher import Batcher
from untrace_pipeline.delivery.queue import Queue
from untrace_pipeline.delivery.request import Entry, Request

__all__ = ["Source"]


class Source:
    """Gives requests to any number of senders. One of them collects at a time, the others wait for their turn.

    While all of them are busy nobody collects: the queue fills, and refuses.
    """

    def __init__(self, queue: Queue, batcher: Batcher | None, gone: Callable[[Entry], None]) -> None:
        """``gone`` ends an entry whose caller waited and has left."""
        self._queue = queue
        self._batcher = batcher
        self._gone = gone
        self._ready: deque[Request] = deque()
        self._collecting = asyncio.Lock()
        self._patience: asyncio.Timeout | None = None
        self._hurried = False

    async def next(self) -> Request | None:
        """Return the next request to send, or ``None`` when the queue is closed and everything was given out."""
        if self._batcher is None:
            entry = await self._next_entry()
            return Request(entry.batch, entry.items, (entry,)) if entry else None
        async with self._collecting:
            while not self._ready:
                if not await self._collect(self._batcher):
                    break
            return self._ready.popleft() if self._ready else None

    def make_way(self, entry: Entry) -> None:
        """Send what waits to be merged if an entry does not fit: then nothing can come that it could be merged with."""
        if self._batcher is None or self._queue.fits(entry):
            return
        self._hurried = True
        if self._patience is not None and self._patience.when() is not None and not self._patience.expired():
            self._patience.reschedule(asyncio.get_running_loop().time())

    def abandon(self) -> tuple[list[Request], list[Entry]]:
        """Return what no sender has got, for counting."""
        requests, entries = list(self._ready), self._queue.abandon()
        self._ready.clear()
        if self._batcher is not None:
            requests += self._batcher.flush()
        return requests, entries

    async def _collect(self, batcher: Batcher) -> bool:
        """Move one entry from the queue to the batcher, or time on; return whether there is more to come."""
        loop = asyncio.get_running_loop()
        due = batcher.deadline
        if due is not None and self._hurried:
            due = loop.time()
        try:
            async with asyncio.timeout_at(due) as self._patience:
                entry = await self._next_entry()
        except TimeoutError:
            if self._hurried:
                self._hurried = False
                self._ready.extend(batcher.flush())
        else:
            if entry is None:
                self._ready.extend(batcher.flush())
                return False
            self._ready.extend(batcher.add(entry, loop.time()))
        finally:
            self._patience = None
        self._ready.extend(batcher.due(loop.time()))
        return True

    async def _next_entry(self) -> Entry | None:
        while entry := await self._queue.get():
            if entry.result is None or not entry.result.cancelled():
                return entry
            self._gone(entry)
        return None
