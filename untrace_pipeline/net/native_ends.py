"""Where requests of the native clients end: one mailbox per event loop, one wake-up for many answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from untrace_pipeline.errors import Code, RetryableError

__all__ = ["Ends", "Flights"]

_by_loop: dict[asyncio.AbstractEventLoop, Ends] = {}


class Ends:
    """The mailbox of an event loop. Kept while a client uses it: each :meth:`acquire` has its :meth:`release`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        from untrace_pipeline_native import Egress  # noqa: PLC0415  never required

        self.egress = Egress()
        self.waiting: dict[int, asyncio.Future[Any]] = {}
        self.loop = loop
        self._users = 0

    @classmethod
    def acquire(cls) -> Ends:
        """Return the mailbox of the running loop."""
        loop = asyncio.get_running_loop()
        ends = _by_loop.get(loop)
        if ends is None:
            ends = _by_loop[loop] = cls(loop)
            loop.add_reader(ends.egress.fileno(), ends._take)
        ends._users += 1
        return ends

    def release(self) -> None:
        """Give the mailbox back; the last user's goes."""
        self._users -= 1
        if not self._users:
            del _by_loop[self.loop]
            self.loop.remove_reader(self.egress.fileno())

    def _take(self) -> None:
        pop = self.waiting.pop
        for end in self.egress.take():
            future = pop(end[0], None)  # none: left in the meantime
            if future is not None and not future.done():
                future.set_result(end)


class Flights:
    """The requests of one native client that are under way."""

    def __init__(self, ends: Ends, cancel: Callable[[int], None]) -> None:
        self._ends = ends
        self._cancel = cancel
        self._tokens: set[int] = set()

    async def end(self, token: int) -> Any:
        """Wait for a request; cancelling leaves it. Raises :class:`RetryableError` when the client is closed."""
        ends = self._ends
        future = ends.waiting[token] = ends.loop.create_future()
        self._tokens.add(token)
        try:
            return await future
        finally:
            self._tokens.discard(token)
            if ends.waiting.pop(token, None) is not None:  # cancelled
                self._cancel(token)

    async def finish(self, seconds: float) -> None:
        """Wait until no request is under way, but not longer than ``seconds``."""
        futures = [self._ends.waiting[token] for token in self._tokens if token in self._ends.waiting]
        if futures:
            await asyncio.wait(futures, timeout=seconds)

    def abandon(self) -> None:
        """End all requests with an error."""
        for token in self._tokens:
            future = self._ends.waiting.pop(token, None)
            if future is not None and not future.done():
                future.set_exception(RetryableError("the client is closed", code=Code.CANCELLED))
