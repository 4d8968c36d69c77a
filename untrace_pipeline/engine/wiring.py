"""Joins the units of a graph: which way out leads to which way in."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from untrace_pipeline.api.component import Admission, Extension
from untrace_pipeline.api.consumer import Consumer
from untrace_pipeline.api.identity import ComponentId, Kind, PipelineId
from untrace_pipeline.config.model import PipelineSpec
from untrace_pipeline.data.signal import Signal
from untrace_pipeline.engine.bookkeeping import Bookkeeping, DropOnTheWay
from untrace_pipeline.engine.fanout import fan_out
from untrace_pipeline.engine.graph import UnitId
from untrace_pipeline.engine.hops import Hops, in_first, meeting_place
from untrace_pipeline.engine.intake import Gate
from untrace_pipeline.engine.transforms import Step, TransformRun
from untrace_pipeline.engine.unit import Graph, Unit

__all__ = ["Wiring"]


class Wiring:
    """The joints of a graph, computed at once and applied to some of its units at a time.

    A reload applies it to the new units, starts them, and then switches the kept ones, all in one turn of the loop.
    """

    def __init__(self, graph: Graph, books: Bookkeeping, hops: Hops | None = None) -> None:
        self._graph = graph
        self._books = books
        self._hops = hops
        self._places: dict[PipelineId, Consumer] = {}
        self._after: dict[UnitId, tuple[Consumer, DropOnTheWay]] = {}
        self._heads = {pipeline.id: self._chain(pipeline) for pipeline in graph.spec.pipelines.values()}

    def apply(self, units: Collection[Unit]) -> None:
        """Point the ways out of these units to where the graph says."""
        extensions = self._extensions()
        for unit in units:
            unit.host.extensions = extensions
            if unit.host.ways is not None:
                unit.host.ways.switch(self._graph, self._books)
            if unit.port is not None:
                unit.port.target, unit.port.books = self._after[unit.id]
            for pipeline, port in unit.ports.items():
                port.target = self._heads[pipeline]
            if unit.intake is not None:
                unit.intake.switch(self._targets(unit), self._gate(unit))

    def open(self) -> None:
        """Let other workers in, when all units have started and lead to where the graph says."""
        if self._hops is not None:
            self._hops.lead(self._places)

    def _extensions(self) -> dict[str, Extension]:
        units = self._graph.units.values()
        return {str(unit.id.component): unit.component for unit in units if unit.kind is Kind.EXTENSION}

    def _chain(self, pipeline: PipelineSpec) -> Consumer:
        """Join a pipeline from its end, and return its head."""
        head = fan_out(self._ends(pipeline), self._books.overflow)
        dropped = self._books.on_the_way(pipeline.exporters)
        steps: list[Step] = []
        for processor in reversed(pipeline.processors):
            unit = self._graph.unit(processor, pipeline.id)
            if unit.step is not None:
                steps.insert(0, unit.step)
                continue
            self._after[unit.id] = _run(steps, head, dropped), dropped
            steps = []
            assert unit.inlet is not None
            head = unit.inlet
            if self._hops is not None and processor == meeting_place(self._graph.spec, pipeline):
                self._places[pipeline.id] = head
                head = self._hops.before(pipeline.id, head, self._books.overflow)
        return _run(steps, head, dropped)

    def _ends(self, pipeline: PipelineSpec) -> list[Consumer]:
        """Return the ways into the exporters of a pipeline; those of the first worker share one."""
        first = in_first(self._graph.spec, pipeline) if self._hops is not None else []
        ends = [self._inlet(exporter) for exporter in pipeline.exporters if exporter not in first]
        if first and self._hops is not None:
            place = fan_out([self._inlet(exporter) for exporter in first], self._books.overflow)
            self._places[pipeline.id] = place
            ends.append(self._hops.to_first(pipeline.id, place))
        return ends

    def _inlet(self, exporter: ComponentId) -> Consumer:
        inlet = self._graph.unit(exporter).inlet
        assert inlet is not None
        return inlet

    def _fed_by(self, receiver: Unit) -> list[PipelineSpec]:
        pipelines = self._graph.spec.pipelines.values()
        return [pipeline for pipeline in pipelines if receiver.id.component in pipeline.receivers]

    def _targets(self, receiver: Unit) -> dict[Signal, Consumer]:
        heads: dict[Signal, list[Consumer]] = {}
        for pipeline in self._fed_by(receiver):
            heads.setdefault(pipeline.id.signal, []).append(self._heads[pipeline.id])
        return {signal: fan_out(branches, self._books.overflow) for signal, branches in heads.items()}

    def _gate(self, receiver: Unit) -> Gate:
        pipelines = self._fed_by(receiver)
        processors = (self._graph.unit(one, p.id).component for p in pipelines for one in p.processors)
        exporters = [self._graph.unit(one).component for one in self._reachable(pipelines)]
        queues = [exporter for exporter in exporters if isinstance(exporter, Admission)]
        limiters = [processor for processor in processors if isinstance(processor, Admission)]
        return Gate(limiters, queues if len(queues) == len(exporters) else [])

    def _reachable(self, pipelines: list[PipelineSpec]) -> Iterator[ComponentId]:
        """Yield every exporter behind some pipelines, through connectors too, each once."""
        seen: set[PipelineId | ComponentId] = set()
        waiting = list(pipelines)
        while waiting:
            pipeline = waiting.pop()
            if pipeline.id in seen:
                continue
            seen.add(pipeline.id)
            for exporter in pipeline.exporters:
                if exporter.kind is Kind.CONNECTOR:
                    outputs = self._graph.unit(exporter).ports
                    waiting += [self._graph.spec.pipelines[output] for output in outputs]
                elif exporter not in seen:
                    seen.add(exporter)
                    yield exporter


def _run(steps: list[Step], next: Consumer, dropped: DropOnTheWay) -> Consumer:
    return TransformRun(steps, next, dropped) if steps else next
