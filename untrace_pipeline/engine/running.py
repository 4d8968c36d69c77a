"""The graph that runs: started, exchanged for another, drained and stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any

from untrace_pipeline.api.identity import PipelineId
from untrace_pipeline.config.model import ServiceSpec
from untrace_pipeline.engine.account import Account
from untrace_pipeline.engine.bookkeeping import Bookkeeping
from untrace_pipeline.engine.build import Builder
from untrace_pipeline.engine.graph import UnitId, predecessors
from untrace_pipeline.engine.hops import Hops, first_places, meeting_places
from untrace_pipeline.engine.lifecycle import Deadline, start_all, stop_all
from untrace_pipeline.engine.reload import Exchange
from untrace_pipeline.engine.wiring import Wiring
from untrace_pipeline.telemetry.metrics import Metrics

__all__ = ["Running", "same"]


def same(one: ServiceSpec, other: ServiceSpec) -> bool:
    """Return whether a reload from one configuration to the other changes nothing."""
    parts = ("components", "pipelines", "extensions", "telemetry", "shutdown_timeout")
    return all(getattr(one, part) == getattr(other, part) for part in parts)


class Running:
    """A graph, and what a reload has left to drain beside it."""

    def __init__(self, builder: Builder, metrics: Metrics, spec: ServiceSpec, hops: Hops | None = None) -> None:
        self.graph = builder.empty(spec)
        self._hops = hops
        self._builder = builder
        self._metrics = metrics
        self._books = Bookkeeping(metrics)
        self._deadline: Deadline | None = None
        self._drains: dict[asyncio.Task[None], Deadline] = {}

    def build(self) -> None:
        """Make and join all units. Raises :class:`StartError` or :class:`PluginError`; nothing is started."""
        self.graph = self._builder.build(self.graph.spec)
        self._wiring = Wiring(self.graph, self._books, self._hops)
        self._wiring.apply(self.graph.units.values())

    async def start(self) -> None:
        """Start all units. Raises :class:`StartError`, after those that had started have stopped."""
        await start_all(self.graph.units.values())
        self._wiring.open()

    async def exchange(self, spec: ServiceSpec) -> str:
        """Switch to another graph, and return what has changed; what is gone drains in the background.

        Raises :class:`StartError` or :class:`PluginError`, after everything is as it was.
        """
        exchange = Exchange(self._builder, self.graph, spec, self._books, self._hops)
        await exchange.switch()
        self.graph = exchange.new
        deadline = Deadline(spec.shutdown_timeout)
        task = asyncio.create_task(self._drain(exchange, deadline), name="drain after reload")
        self._drains[task] = deadline
        task.add_done_callback(lambda done: self._drains.pop(done, None))
        return exchange.summary()

    async def stop(self, seconds: float) -> None:
        """Drain and stop all units, and what still drains, within that time."""
        self._deadline = Deadline(seconds)
        for deadline in self._drains.values():
            deadline.shorten(seconds)
        feeds = predecessors(self.graph.spec.pipelines.values())
        await stop_all(list(self.graph.units.values()), feeds, self._deadline, others=self._others())
        if self._drains:
            await asyncio.wait(self._drains)
        self._deadline.close()

    def hurry(self) -> bool:
        """Let the time for stopping be over now; false if nothing is being stopped."""
        if self._deadline is None:
            return False
        for deadline in (self._deadline, *self._drains.values()):
            deadline.expire()
        return True

    def _others(self) -> dict[UnitId, Callable[[], Coroutine[Any, Any, None]]]:
        """Return what must have ended before a unit stops that other workers send to."""
        if self._hops is None:
            return {}
        hops, spec = self._hops, self.graph.spec
        ends = {UnitId(unit, one): [one] for one, unit in meeting_places(spec).items()}
        ends |= {UnitId(unit): found for unit, found in first_places(spec).items()}
        return {unit: partial(_finish, hops, pipelines) for unit, pipelines in ends.items()}

    async def _drain(self, exchange: Exchange, deadline: Deadline) -> None:
        account = Account(self._metrics)
        gone = await exchange.drain(deadline)
        deadline.close()
        if gone:
            account.close("old components stopped", gone)


async def _finish(hops: Hops, pipelines: Iterable[PipelineId]) -> None:
    for pipeline in pipelines:
        await hops.finish(pipeline)
