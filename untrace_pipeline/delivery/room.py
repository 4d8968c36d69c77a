"""The room of a queue: who may come in now, who waits for it, and what is too large for ever."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from untrace_pipeline.delivery.config import Overflow, QueueSizer
from untrace_pipeline.errors import OversizeError, QueueFullError

__all__ = ["RETRY_AFTER_SECONDS", "Room", "Waiters"]

RETRY_AFTER_SECONDS = 1.0
"""When senders may come back to a full queue: a destination that is merely slow has taken something by then."""


class Waiters:
    """Tasks that wait for their turn, in order."""

    def __init__(self) -> None:
        self._futures: deque[asyncio.Future[None]] = deque()

    def __bool__(self) -> bool:
        return bool(self._futures)

    async def sleep(self, *, first: bool = False) -> None:
        """Wait for a wake-up; whoever is cancelled passes the turn on, because it may have had it already."""
        waiter = asyncio.get_running_loop().create_future()
        (self._futures.appendleft if first else self._futures.append)(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter in self._futures:
                self._futures.remove(waiter)
            self.wake()
            raise

    def wake(self) -> None:
        """Wake the first one that still waits."""
        while self._futures:
            waiter = self._futures.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def wake_all(self) -> None:
        """Wake everybody."""
        while self._futures:
            self.wake()


class Room:
    """Bounds a queue in requests, items or bytes; ``size`` tells how full it is, in that unit."""

    def __init__(
        self, capacity: int, sizer: QueueSizer, overflow: Overflow, size: Callable[[], int], *, owner: str
    ) -> None:
        self.capacity = capacity
        self.overflow = overflow
        self._sizer = sizer
        self._size = size
        self._owner = owner
        self._putters = Waiters()
        self._closed = False

    def weigh(self, items: int, byte_size: int, requests: int = 1) -> int:
        """Return the size of an entry, or of several together, in the unit of the queue."""
        if self._sizer is QueueSizer.REQUESTS:
            return requests
        return items if self._sizer is QueueSizer.ITEMS else byte_size

    def admit(self, weight: int) -> None:
        """Raise :class:`OversizeError` for what is larger than the whole queue."""
        if weight > self.capacity:
            msg = (
                f"{self._owner} refused {weight} {self._sizer}: more than it can ever hold (queue_size {self.capacity})"
            )
            raise OversizeError(msg)

    def check(self, byte_size: int) -> None:
        """Raise :class:`QueueFullError` if an entry of about that many bytes would be refused now."""
        weight = byte_size if self._sizer is QueueSizer.BYTES else 1
        if self._size() + weight > self.capacity and self.overflow is Overflow.REFUSE:
            raise self.full()

    @property
    def contended(self) -> bool:
        """Whether somebody waits for room."""
        return bool(self._putters)

    def takes(self, weight: int) -> bool:
        """Return whether there is room, and nobody waits for it."""
        return self._size() + weight <= self.capacity and not self._putters

    async def wait(self, weight: int) -> None:
        """Wait for room in order of arrival, so that a large batch is not starved by small ones; or for the close."""
        first = False
        while not self._closed and (self._size() + weight > self.capacity or (self._putters and not first)):
            await self._putters.sleep(first=first)
            first = True

    def filled(self) -> None:
        """Let the next one in line look, where what came in has left some room."""
        if self._putters and self._size() < self.capacity:
            self._putters.wake()

    def freed(self) -> None:
        """Let the next one in line look."""
        self._putters.wake()

    def close(self) -> None:
        """Wake everybody who waits."""
        self._closed = True
        self._putters.wake_all()

    def full(self) -> QueueFullError:
        """Return what to raise when nothing more goes in."""
        msg = f"{self._owner} is full ({self._size()} of {self.capacity} {self._sizer})"
        return QueueFullError(msg, retry_after=RETRY_AFTER_SECONDS)
