"""The graph of a configuration: what is wrong with it, and in which order its parts start and stop.

Nothing here creates a component: it works on the checked model, and ``validate`` uses it too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

from untrace_pipeline.api.factory import ConnectorFactory
from untrace_pipeline.api.identity import ComponentId, Kind, PipelineId
from untrace_pipeline.config.diagnostics import Finding, Path, Severity
from untrace_pipeline.config.model import PipelineSpec, ServiceSpec
from untrace_pipeline.data.signal import Signal

__all__ = ["GRAPH_CODES", "UnitId", "components_behind", "find_problems", "predecessors", "start_order"]

GRAPH_CODES: Mapping[str, str] = {
    "pipeline-cycle": "connectors lead from a pipeline back into itself",
    "signal-mismatch": "a component in a pipeline of a signal that it cannot carry",
    "half-used-connector": "a connector that is only exporter, or only receiver, of pipelines",
    "unused-connector": "a connector that no pipeline names",
    "connector-pair": "a connector between signals that it cannot turn into each other",
    "unknown-pipeline": "a connector's option names a pipeline that does not exist",
    "unconnected-pipeline": "a connector's option names a pipeline that does not have the connector as receiver",
}
"""Codes of the findings made here."""


@dataclass(frozen=True, slots=True)
class UnitId:
    """One running component: processors run once per pipeline, everything else once."""

    component: ComponentId
    pipeline: PipelineId | None = None

    def __str__(self) -> str:
        within = f" of {self.pipeline}" if self.pipeline else ""
        return f"{self.component.kind.singular} {self.component}{within}"


def stages(pipeline: PipelineSpec) -> list[list[UnitId]]:
    """Return the units of a pipeline in the order of the data: receivers, each processor, exporters."""
    return [
        [UnitId(one) for one in pipeline.receivers],
        *([UnitId(one, pipeline.id)] for one in pipeline.processors),
        [UnitId(one) for one in pipeline.exporters],
    ]


def predecessors(pipelines: Iterable[PipelineSpec]) -> dict[UnitId, set[UnitId]]:
    """Return for each unit those that feed it."""
    found: dict[UnitId, set[UnitId]] = {}
    for pipeline in pipelines:
        before: list[UnitId] = []
        for stage in stages(pipeline):
            for unit in stage:
                found.setdefault(unit, set()).update(before)
            before = stage
    return found


def start_order(pipelines: Iterable[PipelineSpec]) -> list[UnitId]:
    """Return all units, each after those that it feeds, and receivers last."""
    order = list(TopologicalSorter(predecessors(pipelines)).static_order())
    order.reverse()
    return sorted(order, key=lambda unit: unit.component.kind is Kind.RECEIVER)


def components_behind(spec: ServiceSpec, receiver: ComponentId) -> list[ComponentId]:
    """Return every processor and exporter that data of a receiver can reach, through connectors too, each once."""
    waiting = _uses(spec, "receivers", receiver)
    pipelines: set[PipelineId] = set()
    found: dict[ComponentId, None] = {}
    while waiting:
        pipeline = waiting.pop()
        if pipeline not in pipelines:
            pipelines.add(pipeline)
            exporters = [one for one in spec.pipelines[pipeline].exporters if one.kind is Kind.EXPORTER]
            found |= dict.fromkeys([*spec.pipelines[pipeline].processors, *exporters])
            waiting += [behind for _, behind in _behind(spec, pipeline)]
    return list(found)


def find_problems(spec: ServiceSpec) -> list[Finding]:
    """Return what is wrong with the graph, by path of the configuration; nothing means that it can be built."""
    return [
        *_signal_mismatches(spec),
        *_connector_sides(spec),
        *_connector_references(spec),
        *_cycles(spec),
    ]


def _place(pipeline: PipelineId, section: str, index: int) -> Path:
    return ("service", "pipelines", str(pipeline), section, index)


def _signal_mismatches(spec: ServiceSpec) -> Iterator[Finding]:
    for pipeline in spec.pipelines.values():
        for section in ("receivers", "processors", "exporters"):
            for index, used in enumerate(getattr(pipeline, section)):
                factory = spec.components[used].factory
                signal = pipeline.id.signal
                if isinstance(factory, ConnectorFactory):
                    side = 0 if section == "exporters" else 1
                    able = {pair[side] for pair in factory.pairs}
                else:
                    able = set(factory.signals)
                if signal not in able:
                    message = f"{used.kind.singular} {used} cannot carry {signal}"
                    expected = f"a pipeline of {_words(able)}" if able else ""
                    yield Finding("signal-mismatch", _place(pipeline.id, section, index), message, expected)
                elif why := spec.components[used].config.excludes().get(signal):
                    message = f"{used.kind.singular} {used} cannot carry {signal}: {why}"
                    yield Finding("signal-mismatch", _place(pipeline.id, section, index), message)


def _words(signals: Iterable[Signal]) -> str:
    return " or ".join(signal for signal in Signal if signal in set(signals))


def _uses(spec: ServiceSpec, section: str, id: ComponentId) -> list[PipelineId]:
    return [pipeline.id for pipeline in spec.pipelines.values() if id in getattr(pipeline, section)]


def _connectors(spec: ServiceSpec) -> Iterator[tuple[ComponentId, ConnectorFactory[Any]]]:
    for component in spec.components.values():
        if isinstance(component.factory, ConnectorFactory):
            yield component.id, component.factory


def _connector_sides(spec: ServiceSpec) -> Iterator[Finding]:
    for connector, factory in _connectors(spec):
        sources, targets = _uses(spec, "exporters", connector), _uses(spec, "receivers", connector)
        where: Path = ("connectors", str(connector))
        if not sources and not targets:
            yield Finding("unused-connector", where, "no pipeline uses this connector", severity=Severity.WARNING)
        elif not targets:
            yield _half_used(where, f"an exporter of {_list(sources)}", "a receiver", "receivers")
        elif not sources:
            yield _half_used(where, f"a receiver of {_list(targets)}", "an exporter", "exporters")
        else:
            yield from _unsupported_pairs(spec, connector, factory, sources, targets)


def _half_used(where: Path, used: str, missing: str, section: str) -> Finding:
    message = f"the connector is {used}, and {missing} of no pipeline"
    return Finding("half-used-connector", where, message, f"it in the {section} of another pipeline")


def _list(pipelines: Iterable[PipelineId]) -> str:
    return ", ".join(str(one) for one in pipelines)


def _unsupported_pairs(
    spec: ServiceSpec,
    id: ComponentId,
    factory: ConnectorFactory[Any],
    sources: list[PipelineId],
    targets: list[PipelineId],
) -> Iterator[Finding]:
    """Every source must have a target that it can reach, and the other way round."""
    for section, own, others in (("exporters", sources, targets), ("receivers", targets, sources)):
        for pipeline in own:
            pairs = {
                (pipeline.signal, o.signal) if section == "exporters" else (o.signal, pipeline.signal) for o in others
            }
            if not pairs & factory.pairs:
                able = sorted(f"{source} to {target}" for source, target in factory.pairs)
                tried = ", ".join(sorted(f"{source} to {target}" for source, target in pairs))
                index = list(getattr(spec.pipelines[pipeline], section)).index(id)
                message = f"connector {id} cannot turn {tried}"
                yield Finding("connector-pair", _place(pipeline, section, index), message, ", ".join(able))


def _connector_references(spec: ServiceSpec) -> Iterator[Finding]:
    for connector, _ in _connectors(spec):
        targets = _uses(spec, "receivers", connector)
        for option, names in spec.components[connector].config.references().items():
            where: Path = ("connectors", str(connector), *(int(s) if s.isdigit() else s for s in option.split(".")))
            for name in names:
                pipeline = _pipeline(name)
                if pipeline is not None and pipeline not in targets:
                    yield _bad_reference(spec, connector, where, pipeline, targets)


def _pipeline(name: str) -> PipelineId | None:
    try:
        return PipelineId.parse(name)
    except ValueError:
        return None


def _bad_reference(
    spec: ServiceSpec, id: ComponentId, where: Path, pipeline: PipelineId, targets: list[PipelineId]
) -> Finding:
    expected = _list(targets) or "a pipeline that has this connector as receiver"
    if pipeline not in spec.pipelines:
        return Finding("unknown-pipeline", where, f"pipeline {pipeline} does not exist", expected)
    message = f"pipeline {pipeline} does not have connector {id} as receiver"
    return Finding("unconnected-pipeline", where, message, expected)


def _cycles(spec: ServiceSpec) -> Iterator[Finding]:
    """Find one cycle per knot of pipelines, by walking from each pipeline to those behind it."""
    done: set[PipelineId] = set()
    for start in spec.pipelines:
        if start in done:
            continue
        cycle = _walk(spec, start, [], done)
        if cycle:
            done.update(pipeline for _, pipeline in cycle)
            steps = [
                f"pipeline {start_of}" if not via else f"connector {via} → pipeline {start_of}"
                for via, start_of in cycle
            ]
            pipeline, via = cycle[-2][1], cycle[-1][0]
            index = list(spec.pipelines[pipeline].exporters).index(via) if via else 0
            message = f"the data would go round in a circle: {' → '.join(steps)}"
            yield Finding("pipeline-cycle", _place(pipeline, "exporters", index), message)


_Step = tuple[ComponentId | None, PipelineId]


def _walk(
    spec: ServiceSpec, at: PipelineId, path: list[_Step], done: set[PipelineId], via: ComponentId | None = None
) -> list[_Step]:
    visited = [pipeline for _, pipeline in path]
    if at in visited:
        first = visited.index(at)
        return [(None, at), *path[first + 1 :], (via, at)]
    if at in done:
        return []
    path.append((via, at))
    for connector, behind in _behind(spec, at):
        cycle = _walk(spec, behind, path, done, connector)
        if cycle:
            return cycle
    path.pop()
    done.add(at)
    return []


def _behind(spec: ServiceSpec, pipeline: PipelineId) -> Iterator[tuple[ComponentId, PipelineId]]:
    for exporter in spec.pipelines[pipeline].exporters:
        factory = spec.components[exporter].factory
        if isinstance(factory, ConnectorFactory):
            for target in _uses(spec, "receivers", exporter):
                if (pipeline.signal, target.signal) in factory.pairs:
                    yield exporter, target
