"""One place among the workers: keeps a process running there, and exchanges it when their number changes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable
from typing import Protocol

from untrace_pipeline.api.status import Status, StatusEvent
from untrace_pipeline.engine.account import Left
from untrace_pipeline.errors import WorkerError
from untrace_pipeline.supervisor.backoff import Backoff
from untrace_pipeline.supervisor.messages import Groups, Orders
from untrace_pipeline.supervisor.process import KILL_SECONDS, RELOAD_SECONDS, WorkerProcess, cause

__all__ = ["Launch", "Observer", "Slot"]


class Launch(Protocol):
    """Starts the process of a place, see :func:`~untrace_pipeline.supervisor.process.spawn`. Raises ``OSError``."""

    def __call__(self, index: int, orders: Orders, *, successor: bool) -> Awaitable[WorkerProcess]:
        """Return it once it runs."""


SILENT_SECONDS = 10.0
"""A worker that has not answered for so long is not ready: its event loop is blocked, or the process is stopped."""

logger = logging.getLogger(__name__)


class Observer(Protocol):
    """Who looks after all places."""

    def ready(self, process: WorkerProcess) -> None:
        """A process has become ready."""

    def ended(self, process: WorkerProcess, *, succeeded: bool) -> None:
        """A process has ended; another one goes on with what it left, or none does."""

    def restarted(self, index: int) -> None:
        """A process is started in place of one that had ended unasked."""


class Slot:
    """Runs one process after the other, until it is stopped."""

    def __init__(
        self,
        index: int,
        orders: Orders,
        launch: Launch,
        observer: Observer,
        *,
        late: bool = False,
    ) -> None:
        """``late``: the service ran before without this place, so that others may have counted what it finds."""
        self.index = index
        self.orders = orders
        self.process: WorkerProcess | None = None
        self.exit_code = 0
        """Of the process that ended last."""
        self.end = ""
        """How the process ended that ended last: ``was killed by SIGKILL``."""
        self.established = False
        """Whether an end is news: whoever waits for the first process to become ready tells of its end himself."""
        self.left: Left | None = Left()
        """What the process that ended last could not deliver; unknown if it ended out of order."""
        self._event = StatusEvent(Status.STARTING, "", time.time())
        self._launch = launch
        self._observer = observer
        self._backoff = Backoff(asyncio.get_running_loop().time)
        self._settled = asyncio.Event()
        self._wake = asyncio.Event()
        self._leaving: WorkerProcess | None = None
        self._stopping = False
        self._succeeded = True
        self._successor = late
        self._keeper = asyncio.create_task(self._keep(), name=f"keep worker {index}")

    @property
    def up(self) -> bool:
        """Whether its process is ready, and is not about to be exchanged."""
        return self.process is not None and self.process.ready and self.process is not self._leaving

    @property
    def event(self) -> StatusEvent:
        """How this place is, for the health of the service."""
        silent = self.process.silent_seconds if self.process is not None and self.up else 0.0
        if silent < SILENT_SECONDS:
            return self._event
        return StatusEvent(Status.RECOVERABLE_ERROR, f"has not answered for {silent:.0f} s", time.time() - silent)

    @property
    def statuses(self) -> Groups:
        """What the process says of its components."""
        return self.process.statuses if self.process is not None else {}

    async def settled(self) -> bool:
        """Wait until a process that is starting is ready or has ended, and return whether it is ready."""
        await self._settled.wait()
        return self.up

    async def change(self, orders: Orders) -> None:
        """Run other orders from now on: by a reload in the process, or in a new one if the number of workers changes.

        A process that waits to be started again takes them then. Raises :class:`WorkerError` if it refuses them.
        """
        ready = await self._settled_in_time()
        before, self.orders = self.orders, orders
        if not ready or self.process is None:
            self._wake.set()
        elif orders.count == before.count:
            await self.process.reload(orders)
        else:
            await self._exchange(self.process, before.shutdown_timeout)

    async def stop(self, reason: str, *, everybody: bool) -> None:
        """Let the process drain and end, and wait for it. Safe twice."""
        self._stopping, self._succeeded = True, not everybody
        self._wake.set()
        if self.process is not None:
            self._tell(Status.STOPPING)
            self.process.stop(reason, self.orders.shutdown_timeout, everybody=everybody)
        await asyncio.wait([self._keeper])

    def hurry(self, reason: str) -> None:
        """Let the process end without waiting for what is left."""
        if self.process is not None:
            self.process.hurry(reason)

    # --------------------------------------------------------------- internal

    async def _exchange(self, process: WorkerProcess, seconds: float) -> None:
        reason = "the number of workers changes"
        self._leaving = process
        self._settled.clear()
        self._tell(Status.OK, f"is being exchanged: {reason}")
        process.stop(reason, seconds, everybody=False)
        if not await self._settled_in_time(seconds + KILL_SECONDS):
            msg = f"worker {self.index} {self.end} instead of becoming ready"
            raise WorkerError(msg)

    async def _settled_in_time(self, more: float = 0.0) -> bool:
        """Wait like :meth:`settled`, but not for ever. Raises :class:`WorkerError`."""
        try:
            async with asyncio.timeout(RELOAD_SECONDS + more):
                return await self.settled()
        except TimeoutError as error:
            msg = f"worker {self.index} has not become ready within {RELOAD_SECONDS + more:g} s"
            raise WorkerError(msg) from error

    async def _keep(self) -> None:
        while not self._stopping:
            process = await self._run()
            if self._stopping or (process is not None and process is self._leaving):
                continue
            await self._pause()
            if not self._stopping:
                self._observer.restarted(self.index)

    async def _run(self) -> WorkerProcess | None:
        """Run a process from its start to its end; return it, or ``None`` if there was none."""
        self._wake.clear()
        self._settled.clear()
        try:
            process = await self._launch(self.index, self.orders, successor=self._successor)
        except OSError as error:
            self.exit_code, self.end = 1, f"could not be started: {error}"
            self._settled.set()
            return None
        self.process = process
        if self._stopping:  # asked for while it was being launched
            process.stop("stopping", self.orders.shutdown_timeout, everybody=True)
        was_ready = await process.settled()
        if was_ready:
            self._successor = True
            self._backoff.ready()
            self._tell(Status.OK)
            self._observer.ready(process)
        else:
            self._note_end(await process.ended())
        self._settled.set()
        self._note_end(await process.ended())
        self.left = process.left or (None if self.exit_code and was_ready else Left())  # before, nothing is held
        self._observer.ended(process, succeeded=self._succeeded)
        self.process = None
        return process

    def _note_end(self, code: int) -> None:
        self.exit_code, self.end = code, cause(code)

    async def _pause(self) -> None:
        self.left = Left()
        seconds = self._backoff.ended()
        level = logging.ERROR if self.exit_code else logging.WARNING
        if self.established:
            logger.log(level, "worker %d %s; it is started again in %g s", self.index, self.end, seconds)
        self._tell(Status.STARTING, f"{self.end}; is started again in {seconds:g} s")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    def _tell(self, status: Status, message: str = "") -> None:
        self._event = StatusEvent(status, message, time.time())
