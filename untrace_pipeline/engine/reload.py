"""Exchanges a running graph for that of a new configuration, or leaves everything as it was.

Units that the new configuration does not change keep running. In order: new extensions, exporters, connectors and
processors start beside the old ones, or in place of those that hold what they need; receivers that go away or change
are stopped, because a new one may want their port; new receivers start; then all ways out of kept units are switched in
one turn of the loop. What is gone drains in the end: batches inside it go on to where its ways out led before. If
anything fails before the switch, what had started is stopped and what was stopped comes back; the rest of the old graph
has never stopped working.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping

from untrace_pipeline.api.factory import ExporterFactory
from untrace_pipeline.api.identity import Kind
from untrace_pipeline.api.status import Status
from untrace_pipeline.config.model import ServiceSpec
from untrace_pipeline.engine.bookkeeping import Bookkeeping
from untrace_pipeline.engine.build import Builder
from untrace_pipeline.engine.graph import UnitId, predecessors
from untrace_pipeline.engine.hops import Hops
from untrace_pipeline.engine.lifecycle import Deadline, start, stop_all
from untrace_pipeline.engine.unit import Graph, Unit
from untrace_pipeline.engine.wiring import Wiring
from untrace_pipeline.errors import StartError

__all__ = ["Exchange"]

SWAP_SECONDS = 5.0
"""How long an old receiver may take to answer what it has accepted, while the new one waits for its port."""

logger = logging.getLogger(__name__)


class Exchange:
    """One reload: :meth:`switch` makes it happen or undoes it, :meth:`drain` stops what is gone."""

    def __init__(
        self, builder: Builder, running: Graph, spec: ServiceSpec, books: Bookkeeping, hops: Hops | None = None
    ) -> None:
        self._builder = builder
        self._old = running
        self._books = books
        self._hops = hops
        self.new = builder.build(spec, running)
        """The new graph; kept units are in both."""
        self._leaving = [unit for unit in running.units.values() if self.new.units.get(unit.id) is not unit]
        self._arriving = [unit for unit in self.new.units.values() if running.units.get(unit.id) is not unit]
        self._stopped: list[Unit] = []

    def summary(self) -> str:
        """Return what changes, for the log."""
        kept = len(self.new.units) - len(self._arriving)
        return f"{kept} kept, {_names(self._arriving) or 'none'} started, {_names(self._leaving) or 'none'} stopped"

    async def switch(self) -> None:
        """Start what is new and switch to it. Raises :class:`StartError`, after everything is as it was."""
        wiring = Wiring(self.new, self._books, self._hops)
        wiring.apply(self._arriving)
        try:
            for unit in [unit for unit in self._arriving if unit.kind is Kind.EXTENSION]:
                wiring = await self._start(unit, wiring)
            wiring.apply(self._arriving)
            for unit in [unit for unit in self._arriving if unit.kind not in {Kind.EXTENSION, Kind.RECEIVER}]:
                wiring = await self._start(unit, wiring)
            await self._stop([unit for unit in self._leaving if unit.kind is Kind.RECEIVER])
            for unit in self._arriving:
                if unit.kind is Kind.RECEIVER:
                    await start(unit)
        except BaseException:
            await self._undo()
            raise
        wiring.apply(self.new.units.values())
        wiring.open()

    async def drain(self, deadline: Deadline) -> list[Unit]:
        """Stop what is gone, and return it."""
        leaving = [unit for unit in self._leaving if unit not in self._stopped]
        ways = [unit.host.ways for unit in self.new.units.values() if unit.host.ways is not None]
        for unit in [unit for way in ways for unit in way.gone()]:
            await stop_all([unit], {}, deadline, settle=True)
        await stop_all(leaving, predecessors(self._old.spec.pipelines.values()), deadline, settle=True)
        return leaving

    async def _start(self, unit: Unit, wiring: Wiring) -> Wiring:
        """Start it beside the old ones, or in place of those that may hold what it needs, such as a port.

        Returns the joints, which are others where it was made anew.
        """
        try:
            await start(unit)
        except StartError:
            old = [one for one in self._leaving if _in_the_way(one, unit) and one not in self._stopped]
            if not old:
                raise
            await _stop([unit])
            await self._stop(old)
            again = self._builder.make(unit.blueprint)
            self._arriving[self._arriving.index(unit)] = self.new.units[unit.id] = again
            wiring = Wiring(self.new, self._books, self._hops)
            wiring.apply(self._arriving)
            await start(again)
        return wiring

    async def _stop(self, units: list[Unit]) -> None:
        self._stopped += units
        await _stop(units)

    async def _undo(self) -> None:
        """Stop what had started, and bring back what had been stopped, as new units made from the old blueprints."""
        await _stop(self._arriving, predecessors(self.new.spec.pipelines.values()))
        fresh = [self._builder.make(unit.blueprint) for unit in self._stopped]
        self._old.units.update({unit.id: unit for unit in fresh})
        wiring = Wiring(self._old, self._books, self._hops)
        wiring.apply(self._old.units.values())
        wiring.open()
        for unit in fresh:
            try:
                await start(unit)
            except StartError:
                unit.status.report(Status.FATAL_ERROR, "could not be brought back after a failed reload")
                logger.exception("%s could not be brought back after a failed reload", unit.id)


def _in_the_way(old: Unit, new: Unit) -> bool:
    """Return whether one that leaves may hold what another needs: extensions, and pages that are shown once."""
    if old.kind is Kind.EXTENSION:
        return new.kind is Kind.EXTENSION
    factory = new.blueprint.spec.factory
    return old.id == new.id and isinstance(factory, ExporterFactory) and factory.once


async def _stop(units: Collection[Unit], feeds: Mapping[UnitId, set[UnitId]] | None = None) -> None:
    deadline = Deadline(SWAP_SECONDS)
    await stop_all(units, feeds or {}, deadline)
    deadline.close()


def _names(units: Iterable[Unit]) -> str:
    return ", ".join(str(unit.id) for unit in units)
