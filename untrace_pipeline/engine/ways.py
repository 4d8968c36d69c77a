"""Ways out of a connector that lead through transforms, before the pipeline that they end in."""

from __future__ import annotations

from collections.abc import Sequence

from untrace_pipeline.api.component import Component
from untrace_pipeline.api.consumer import Consumer
from untrace_pipeline.api.factory import TransformFactory
from untrace_pipeline.api.identity import ComponentId, Kind, PipelineId
from untrace_pipeline.engine.bookkeeping import Bookkeeping
from untrace_pipeline.engine.transforms import Step, TransformRun
from untrace_pipeline.engine.unit import Graph, Unit
from untrace_pipeline.errors import StartError

__all__ = ["Ways"]


class Ways:
    """Those of one connector in one graph: a reload makes others, with the transforms of the new configuration."""

    def __init__(self, connector: Unit, graph: Graph, books: Bookkeeping) -> None:
        self._connector = connector
        self._graph = graph
        self._books = books
        self._known: dict[tuple[tuple[str, ...], PipelineId], Consumer] = {}

    def __call__(self, transforms: Sequence[str], output: PipelineId) -> Consumer:
        """Return the way to an output. Raises :class:`StartError`."""
        key = (tuple(transforms), output)
        way = self._known.get(key)
        if way is None:
            way = self._known[key] = self._make(transforms, output)
        return way

    def _make(self, transforms: Sequence[str], output: PipelineId) -> Consumer:
        port = self._connector.ports.get(output)
        if port is None:
            known = ", ".join(str(one) for one in self._connector.ports) or "none"
            msg = f"pipeline {output} does not have this connector as receiver; there: {known}"
            raise StartError(msg)
        if not transforms:
            return port
        steps = [self._step(name, output) for name in transforms]
        return TransformRun(steps, port, self._books.on_the_way(self._graph.spec.pipelines[output].exporters))

    def _step(self, name: str, output: PipelineId) -> Step:
        found = {str(one): spec for one, spec in self._graph.spec.components.items() if one.kind is Kind.PROCESSOR}
        if name not in found:
            msg = f"processor {name} is not configured; there: {', '.join(found) or 'none'}"
            raise StartError(msg)
        spec = found[name]
        if not isinstance(spec.factory, TransformFactory):
            msg = f"processor {name} waits or holds back, and can only stand in a pipeline"
            raise StartError(msg)
        if output.signal not in spec.factory.signals - spec.config.excludes().keys():
            msg = f"processor {name} cannot carry {output.signal}"
            raise StartError(msg)
        step = self._graph.step(ComponentId.parse(Kind.PROCESSOR, name), output)
        if isinstance(step.transform, Component):
            msg = f"processor {name} has to be started, and can only stand in a pipeline"
            raise StartError(msg)
        return step
