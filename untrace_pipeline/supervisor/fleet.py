"""All workers of the service: started together, changed one after the other, counted and judged as one."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Coroutine, Sequence
from typing import Any

from untrace_pipeline.engine.account import Left
from untrace_pipeline.errors import WorkerError
from untrace_pipeline.supervisor.messages import Orders
from untrace_pipeline.supervisor.process import WorkerProcess
from untrace_pipeline.supervisor.slot import Launch, Slot
from untrace_pipeline.telemetry.ledger import left_behind
from untrace_pipeline.telemetry.merge import merge
from untrace_pipeline.telemetry.metrics import LabelledMeter, Snapshot

__all__ = ["Fleet"]

COLLECT_SECONDS = 2.0
"""How often each worker is asked for what it has counted, also while nobody scrapes: what a killed worker counted after
that is missing from the sums."""

_BAD_CONFIGURATION = 2
"""Exit code of a worker that cannot run what it was told to."""

logger = logging.getLogger(__name__)


class Fleet:
    """The places of all workers."""

    def __init__(self, launch: Launch, meter: LabelledMeter) -> None:
        self.slots: list[Slot] = []
        self._launch = launch
        self._meter = meter
        self._retired: Snapshot = []
        self._met: list[WorkerProcess] = []
        meter.gauge("workers", state="wanted").observe_with(lambda: len(self.slots))
        meter.gauge("workers", state="ready").observe_with(lambda: sum(slot.up for slot in self.slots))

    async def start(self, orders: Orders) -> None:
        """Start all workers; returns when each has become ready or failed once, and one at least is ready.

        Raises :class:`WorkerError` with the exit code of a worker that ended before any was ready; then none runs.
        """
        try:
            self.slots = [self._slot(index, orders) for index in range(orders.count)]
            await _one_ready(self.slots)
            for slot in self.slots:
                if not await slot.settled():
                    logger.error("worker %d %s; it is started again, the others begin", slot.index, slot.end)
                slot.established = True
        except BaseException as error:
            cancelled = isinstance(error, asyncio.CancelledError)
            await self.stop("told to stop while starting" if cancelled else "the start has failed", everybody=True)
            raise

    async def change(self, orders: Orders) -> None:
        """Let one worker after the other switch to other orders; more or fewer of them if their number changes.

        Raises :class:`WorkerError` of the first that refuses, after those that had switched have switched back.
        """
        before = self.slots[0].orders
        try:
            await self._shrink(orders.count)
            for slot in list(self.slots):
                await slot.change(orders)
            await self._grow(orders)
        except WorkerError:
            await self._go_back(before)
            raise

    async def stop(self, reason: str, *, everybody: bool = True) -> Left:
        """Let all workers drain and end; return what they could not deliver. Never raises."""
        await asyncio.gather(*(slot.stop(reason, everybody=everybody) for slot in self.slots))
        for slot in self.slots:
            if slot.left is None:
                logger.error("worker %d ended out of order; what it held in memory is lost", slot.index)
        return Left.total(slot.left for slot in self.slots if slot.left is not None)

    def hurry(self, reason: str) -> None:
        """Let all workers end without waiting for what is left."""
        for slot in self.slots:
            slot.hurry(reason)

    async def collect(self, own: Snapshot) -> Snapshot:
        """Return what this process, all workers, and those that have ended counted, as one snapshot."""
        await asyncio.gather(*(slot.process.collect() for slot in self.slots if slot.process is not None))
        snapshots = [slot.process.snapshot for slot in self.slots if slot.process is not None]
        return merge(own, [self._retired, *snapshots])  # in one go: nobody retires in between, and counts twice

    async def keep_collecting(self) -> None:
        """Ask now and then for what the workers have counted, until cancelled, in case that one is killed."""
        while True:
            await asyncio.sleep(COLLECT_SECONDS)
            for slot in self.slots:
                if slot.process is not None:
                    slot.process.poll()

    # -------------------------------------------------------------- from slots

    def ready(self, process: WorkerProcess) -> None:
        """Introduce a new worker to all others: each two get a socket pair that nobody else has."""
        for other in self._met:
            one_end, other_end = socket.socketpair()
            with one_end, other_end:
                process.introduce(other.index, one_end)
                other.introduce(process.index, other_end)
        self._met.append(process)

    def ended(self, process: WorkerProcess, *, succeeded: bool) -> None:
        """Keep what it had counted, so that sums do not go down."""
        self._met = [one for one in self._met if one is not process]
        counts = left_behind(process.totals) if succeeded else process.totals
        self._retired = merge(self._retired, [counts])

    def restarted(self, index: int) -> None:
        """Count it."""
        self._meter.counter("worker_restarts", worker=str(index)).add()

    # --------------------------------------------------------------- internal

    def _slot(self, index: int, orders: Orders, *, late: bool = False) -> Slot:
        return Slot(index, orders, self._launch, self, late=late)

    async def _shrink(self, count: int) -> None:
        """Stop the last workers: what they leave on the disk, the others adopt when they start with the new number."""
        while len(self.slots) > count:
            slot = self.slots[-1]
            logger.info("worker %d stops: %d are wanted", slot.index, count)
            await slot.stop("fewer workers are wanted", everybody=False)
            self.slots.pop()

    async def _grow(self, orders: Orders) -> None:
        """Start more workers, one after the other. Raises :class:`WorkerError` for one that does not become ready."""
        for index in range(len(self.slots), orders.count):
            slot = self._slot(index, orders, late=True)
            self.slots.append(slot)
            if not await slot.settled():
                msg = f"worker {index} {slot.end} instead of becoming ready; its own lines say why"
                raise WorkerError(msg)
            slot.established = True

    async def _go_back(self, orders: Orders) -> None:
        """Undo a change as far as it came."""
        await self._shrink(orders.count)
        for slot in list(self.slots):
            if slot.orders is not orders:
                await self._try(slot.change(orders))
        await self._try(self._grow(orders))

    @staticmethod
    async def _try(step: Coroutine[Any, Any, None]) -> None:
        try:
            await step
        except WorkerError as error:
            logger.error("could not go back to the running configuration: %s", error)  # noqa: TRY400  it says it all


async def _one_ready(slots: Sequence[Slot]) -> None:
    """Wait until one is ready. Raises :class:`WorkerError` if one ends before."""
    waiting = {asyncio.create_task(slot.settled()): slot for slot in slots}
    try:
        while not any(slot.up for slot in slots):
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for slot in [waiting.pop(task) for task in done]:
                if not any(one.up for one in slots):
                    msg = f"worker {slot.index} {slot.end} before any was ready; its own lines say why"
                    raise WorkerError(msg, exit_code=2 if slot.exit_code == _BAD_CONFIGURATION else 1)
    finally:
        for task in waiting:
            task.cancel()
