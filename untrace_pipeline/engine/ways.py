"""Ways out of a connector that lead through processors, before the pipeline that they end in."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from untrace_pipeline.api.consumer import Consumer
from untrace_pipeline.api.factory import passes_on
from untrace_pipeline.api.identity import ComponentId, Kind, PipelineId
from untrace_pipeline.config.model import ComponentSpec
from untrace_pipeline.engine.bookkeeping import Bookkeeping, DropOnTheWay
from untrace_pipeline.engine.lifecycle import start_all
from untrace_pipeline.engine.transforms import Step, TransformRun
from untrace_pipeline.engine.unit import Graph, Unit
from untrace_pipeline.errors import StartError

__all__ = ["Ways"]

Key = tuple[tuple[str, ...], PipelineId]


@dataclass(frozen=True, slots=True)
class _Way:
    units: Sequence[Unit]
    head: Consumer


class Ways:
    """Those of one connector. A reload leads them anew, and those whose processors it changes are made anew."""

    def __init__(self, connector: Unit) -> None:
        self._connector = connector
        self._graph: Graph | None = None
        self._books: Bookkeeping | None = None
        self._known: dict[Key, _Way] = {}
        self._gone: list[Unit] = []
        self._making = asyncio.Lock()

    def switch(self, graph: Graph, books: Bookkeeping) -> None:
        """Belong to this graph from now on."""
        self._graph, self._books = graph, books
        for key, way in list(self._known.items()):
            unchanged = key[1] in self._connector.ports and all(_same(unit, graph) for unit in way.units)
            if not unchanged:
                self._gone += self._known.pop(key).units

    async def find(self, processors: Sequence[str], output: PipelineId) -> Consumer:
        """Return the way to an output, started. Raises :class:`StartError`."""
        key = (tuple(processors), output)
        way = self._known.get(key)
        if way is None:
            async with self._making:
                way = self._known.get(key) or await self._make(processors, output)
                self._known[key] = way
        return way.head

    def gone(self) -> list[Unit]:
        """Return, once, the processors that a reload has put out of use, in the order of the data."""
        gone, self._gone = self._gone, []
        return gone

    def all(self) -> list[Unit]:
        """Return, once, all processors, in the order of the data: the connector has stopped."""
        for way in self._known.values():
            self._gone += way.units
        self._known = {}
        return self.gone()

    async def _make(self, processors: Sequence[str], output: PipelineId) -> _Way:
        assert self._graph is not None
        assert self._books is not None
        port = self._connector.ports.get(output)
        if port is None:
            known = ", ".join(str(one) for one in self._connector.ports) or "none"
            msg = f"pipeline {output} does not have this connector as receiver; there: {known}"
            raise StartError(msg)
        units = [self._unit(self._graph, name, output) for name in processors]
        dropped = self._books.on_the_way(self._graph.spec.pipelines[output].exporters)
        head = _joined(units, port, dropped)
        for unit in units:
            unit.host.extensions = self._connector.host.extensions
        await start_all(units[::-1])
        return _Way(units, head)

    @staticmethod
    def _unit(graph: Graph, name: str, output: PipelineId) -> Unit:
        found = {str(one): spec for one, spec in graph.spec.components.items() if one.kind is Kind.PROCESSOR}
        if name not in found:
            msg = f"processor {name} is not configured; there: {', '.join(found) or 'none'}"
            raise StartError(msg)
        spec = found[name]
        if not passes_on(spec.factory):
            msg = f"processor {name} holds back what it gets, and can only stand in a pipeline"
            raise StartError(msg)
        if output.signal not in spec.factory.signals - spec.config.excludes().keys():
            msg = f"processor {name} cannot carry {output.signal}"
            raise StartError(msg)
        return graph.make(ComponentId.parse(Kind.PROCESSOR, name), output)


def _same(unit: Unit, graph: Graph) -> bool:
    spec: ComponentSpec | None = graph.spec.components.get(unit.id.component)
    return spec == unit.blueprint.spec


def _joined(units: Sequence[Unit], end: Consumer, dropped: DropOnTheWay) -> Consumer:
    """Join processors from the end, and return the head."""
    head, steps = end, list[Step]()
    for unit in reversed(units):
        if unit.step is not None:
            steps.insert(0, unit.step)
            continue
        assert unit.port is not None
        assert unit.inlet is not None
        unit.port.target, unit.port.books = TransformRun(steps, head, dropped) if steps else head, dropped
        head, steps = unit.inlet, []
    return TransformRun(steps, head, dropped) if steps else head
