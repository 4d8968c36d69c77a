"""What was decided to be kept, on its way to what comes next."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from untrace_pipeline.api import ConsumeError, Outlet, RetryableError, Settings
from untrace_pipeline.data import Batch, Context, Signal
from untrace_plugins.sampling.books import PASSED
from untrace_plugins.sampling.trace import Fragment, Trace, Verdict

__all__ = ["Outbox", "Parcel"]

PARCEL_BYTES = 1024 * 1024
"""Fragments are merged up to this: few calls, and small enough for any receiver."""
IN_FLIGHT = 16
"""Parcels that may wait for acceptance at once: a batch processor answers only when its batch has left."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Seconds before another attempt where nobody says when; doubled each time."""


@dataclass(slots=True, eq=False)
class Parcel:
    """Fragments of traces with one verdict and one sender, merged."""

    sender: Context
    verdict: Verdict
    fragments: list[Fragment] = field(default_factory=list)
    size: int = 0
    items: int = 0

    def add(self, fragment: Fragment) -> None:
        """Put a fragment in."""
        self.fragments.append(fragment)
        self.size += fragment.size
        self.items += fragment.items

    def remove(self, fragment: Fragment) -> None:
        """Take a fragment out."""
        self.fragments.remove(fragment)
        self.items -= fragment.items

    def batch(self) -> Batch:
        """Return the fragments as one request; their payloads must be in memory."""
        payload = b"".join([fragment.payload for fragment in self.fragments])
        return Batch.decoded(Signal.TRACES, payload, self.sender, self.items)


class Outbox:
    """Sends parcels, some at a time, and again where they are refused for now."""

    def __init__(
        self,
        settings: Settings,
        next: Outlet,
        prepare: Callable[[Parcel], Awaitable[Batch | None]],
        ended: Callable[[Parcel, str], None],
    ) -> None:
        """``prepare`` returns what a parcel is sent as, ``None`` if nothing is left of it, and may raise as ``next``
        does. ``ended`` is told what became of a parcel: ``passed``, or why it was dropped.
        """
        self._name = f"processor {settings.id}"
        self._logger = settings.logger
        self._next = next
        self._prepare = prepare
        self._ended = ended
        self._queue: deque[Parcel] = deque()
        self._tasks: dict[asyncio.Task[None], Parcel] = {}
        self._stopping = asyncio.Event()
        self.size = 0
        """Bytes of what is queued or under way."""
        self._troubled = False

    def put(self, traces: Sequence[tuple[Trace, Verdict]]) -> None:
        """Send what these traces have so far."""
        open_: dict[tuple[int, Verdict], Parcel] = {}
        for trace, verdict in traces:
            for fragment in trace.fragments:
                key = (id(fragment.sender), verdict)
                parcel = open_.get(key)
                if parcel is None or (parcel.size and parcel.size + fragment.size > PARCEL_BYTES):
                    parcel = open_[key] = Parcel(fragment.sender, verdict)
                    self._queue.append(parcel)
                parcel.add(fragment)
                self.size += fragment.size
        self._pump()

    async def drain(self) -> None:
        """Return when everything has been sent. Cancelled, give the rest back: see :meth:`abandon`."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self) -> None:
        """Wait for attempts under way; what was not accepted by then stays with its owner, unended."""
        self._queue.clear()
        self._stopping.set()
        await self.drain()

    async def abandon(self) -> list[Parcel]:
        """Stop at once and return what was not accepted."""
        left = [*self._tasks.values(), *self._queue]
        self._queue.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return left

    def _pump(self) -> None:
        while self._queue and len(self._tasks) < IN_FLIGHT:
            parcel = self._queue.popleft()
            task = asyncio.get_running_loop().create_task(self._send(parcel), name=f"{self._name} sends")
            self._tasks[task] = parcel
            task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        parcel = self._tasks.pop(task)
        self.size -= parcel.size
        if not task.cancelled() and (error := task.exception()) is not None:
            self._logger.error("unexpected %s; spans are dropped", type(error).__name__, exc_info=error)
            self._ended(parcel, "internal")
        if not self._stopping.is_set():
            self._pump()

    async def _send(self, parcel: Parcel) -> None:
        wait = FIRST_WAIT
        while True:
            try:
                batch = await self._prepare(parcel)
                if batch is not None:
                    await self._next.consume(batch)
            except RetryableError as error:
                self._trouble(error)
                pause, wait = error.retry_after or wait, min(wait * 2, LONGEST_WAIT)
                if self._stopping.is_set() or await self._stopped_within(pause):
                    return
            except ConsumeError as error:
                self._logger.error("%d spans are dropped: %s", parcel.items, error)  # noqa: TRY400  expected, no traceback
                self._ended(parcel, "permanent")
                return
            else:
                if self._troubled:
                    self._troubled = False
                    self._logger.info("what was decided is accepted again")
                self._ended(parcel, PASSED)
                return

    def _trouble(self, error: RetryableError) -> None:
        """Say once that something refuses; the rest of the refusals say nothing new."""
        if not self._troubled:
            self._logger.warning("what was decided is refused, and offered again: %s", error)
        self._troubled = True

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return False
        return True
