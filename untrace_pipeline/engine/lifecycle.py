"""Starting and stopping units, in order and bounded in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from untrace_pipeline.api.identity import Kind
from untrace_pipeline.api.status import Status
from untrace_pipeline.engine.graph import UnitId
from untrace_pipeline.engine.unit import Unit
from untrace_pipeline.errors import StartError

__all__ = ["Deadline", "start", "start_all", "stop_all"]

SHARES = {Kind.RECEIVER: 0.6, Kind.PROCESSOR: 0.6, Kind.CONNECTOR: 0.6, Kind.EXPORTER: 0.95, Kind.EXTENSION: 1.0}
"""Part of the time after which a kind must have stopped, so that those behind it have some left."""
SETTLE_SECONDS = 2.0
"""How long a reload lets batches inside an old component finish before it is stopped, which makes it flush."""
CANCEL_SECONDS = 1.0
"""How long a component may take to close after it was cancelled."""


_NO_OTHERS: Mapping[UnitId, Callable[[], Coroutine[Any, Any, None]]] = MappingProxyType({})


class Deadline:
    """When stopping must end; a second signal makes it now."""

    def __init__(self, seconds: float) -> None:
        self._over = {share: asyncio.Event() for share in SHARES.values()}
        self._timers: list[asyncio.TimerHandle] = []
        self.shorten(seconds)

    def shorten(self, seconds: float) -> None:
        """Let it be over in that many seconds, if not earlier."""
        loop = asyncio.get_running_loop()
        self._timers += [loop.call_later(seconds * share, event.set) for share, event in self._over.items()]

    def expire(self) -> None:
        """Let it be over now; extensions still get a moment to close what they keep for others."""
        for share, event in self._over.items():
            if share < 1:
                event.set()
        self.shorten(CANCEL_SECONDS)

    def close(self) -> None:
        """Forget the timers."""
        for timer in self._timers:
            timer.cancel()

    async def passed(self, kind: Kind) -> None:
        """Wait until a component of this kind has no time left."""
        await self._over[SHARES[kind]].wait()


async def start(unit: Unit) -> None:
    """Start one unit. Raises :class:`StartError` that names it."""
    unit.status.report(Status.STARTING)
    try:
        if unit.component is not None:
            await unit.component.start(unit.host)
    except StartError as error:
        text = str(error)
        msg = text if text.startswith(f"{unit.id}") else f"{unit.id}: {text}"
        raise StartError(msg) from error
    except Exception as error:
        msg = f"{unit.id} did not start: {type(error).__name__}: {error}"
        raise StartError(msg) from error
    if unit.status.last.status is Status.STARTING:
        unit.status.report(Status.OK)


async def start_all(units: Iterable[Unit]) -> None:
    """Start units in the given order; if one fails, stop those that had started, and raise its :class:`StartError`."""
    started: list[Unit] = []
    try:
        for unit in units:
            started.append(unit)
            await start(unit)
    except BaseException:
        deadline = Deadline(CANCEL_SECONDS)
        for unit in reversed(started):
            await _stop(unit, deadline)
        deadline.close()
        raise


async def stop_all(
    units: Collection[Unit],
    feeds: Mapping[UnitId, set[UnitId]],
    deadline: Deadline,
    *,
    settle: bool = False,
    others: Mapping[UnitId, Callable[[], Coroutine[Any, Any, None]]] = _NO_OTHERS,
) -> None:
    """Stop units, each once all that feed it have stopped, extensions last; never raises for what a component does.

    ``feeds`` names for each unit those that feed it. ``settle`` waits for batches under way inside, for a reload, where
    what feeds a unit may go on running. ``others`` waits for what feeds a unit from elsewhere, from other workers.
    """
    stopped = {unit.id: asyncio.Event() for unit in units}

    async def one(unit: Unit) -> None:
        last = unit.kind is Kind.EXTENSION
        before = [other.id for other in units if other.kind is not Kind.EXTENSION] if last else feeds.get(unit.id, ())
        for other in before:
            if other in stopped:
                await stopped[other].wait()
        try:
            if unit.id in others:
                await _until(others[unit.id](), deadline.passed(unit.kind))
            if settle:
                await _settle(unit, deadline)
            await _stop(unit, deadline)
        finally:
            stopped[unit.id].set()

    async with asyncio.TaskGroup() as group:
        for unit in units:
            group.create_task(one(unit), name=f"stop {unit.id}")


async def _settle(unit: Unit, deadline: Deadline) -> None:
    if unit.inlet is not None:
        await _until(unit.inlet.idle(), deadline.passed(unit.kind), asyncio.sleep(SETTLE_SECONDS))


async def _until(*work: Coroutine[Any, Any, None]) -> None:
    """Wait for the first of several, and cancel the others."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _stop(unit: Unit, deadline: Deadline) -> None:
    unit.status.report(Status.STOPPING)
    if unit.component is not None:
        await _shut_down(unit, deadline)
    for processor in unit.host.ways.all() if unit.host.ways is not None else ():
        await _stop(processor, deadline)
    unit.host.cancel_tasks()
    unit.meter.close()
    unit.status.report(Status.STOPPED)


async def _shut_down(unit: Unit, deadline: Deadline) -> None:
    work = asyncio.create_task(unit.component.shutdown(), name=f"shutdown of {unit.id}")
    over = asyncio.create_task(deadline.passed(unit.kind))
    try:
        await asyncio.wait({work, over}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        over.cancel()
        cut_short = not work.done()
        if cut_short:
            work.cancel()
            await asyncio.wait({work}, timeout=CANCEL_SECONDS)
    if not work.done():
        unit.logger.error("did not stop when it was cancelled, and is left behind")
    elif not work.cancelled() and (error := work.exception()) is not None:
        unit.logger.error("failed to stop: %s: %s", type(error).__name__, error, exc_info=error)
    elif cut_short:
        unit.logger.warning("was not finished when the time for stopping was over")
