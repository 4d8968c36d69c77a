"""Words about a graph: its states by pipeline, its shape in one line, the daemon's own resource."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version

from pydantic import BaseModel

from untrace_pipeline.api.identity import ComponentId, Kind
from untrace_pipeline.api.status import Status, StatusEvent
from untrace_pipeline.config.model import PipelineSpec, TelemetryConfig
from untrace_pipeline.engine.graph import UnitId, stages
from untrace_pipeline.engine.link import label
from untrace_pipeline.engine.unit import Graph, Unit

__all__ = ["is_ready", "line", "resource", "statuses"]

DISTRIBUTION = "untrace-pipeline"
_NOT_READY = frozenset({Status.STARTING, Status.STOPPING, Status.STOPPED, Status.FATAL_ERROR})


def resource(telemetry: TelemetryConfig) -> dict[str, str]:
    """Return the attributes of the daemon itself: the Collector's defaults, and those of the configuration."""
    try:
        release = version(DISTRIBUTION)
    except PackageNotFoundError:
        release = "unknown"
    given = {"service.name": DISTRIBUTION, "service.version": release, "service.instance.id": socket.gethostname()}
    return {key: value for key, value in {**given, **telemetry.resource}.items() if value is not None}


def statuses(graph: Graph) -> dict[str, dict[str, StatusEvent]]:
    """Return the state of every component by pipeline, and of the extensions."""
    found = {str(pipeline.id): _states(graph, pipeline) for pipeline in graph.spec.pipelines.values()}
    extensions = [graph.unit(one) for one in graph.spec.extensions if UnitId(one) in graph.units]
    return {**found, "extensions": {label(unit.id.component): unit.status.last for unit in extensions}}


def _states(graph: Graph, pipeline: PipelineSpec) -> dict[str, StatusEvent]:
    units = (graph.units.get(unit) for stage in stages(pipeline) for unit in stage)
    return {label(unit.id.component): unit.status.last for unit in units if unit is not None}


def is_ready(pipeline: Mapping[str, StatusEvent]) -> bool:
    """Return whether all components of a pipeline have started and none has stopped or died."""
    return bool(pipeline) and all(event.status not in _NOT_READY for event in pipeline.values())


def line(graph: Graph, metrics: list[str]) -> str:
    """Return the shape and the endpoints in one line, for the log."""
    pipelines = [_shape(pipeline) for pipeline in graph.spec.pipelines.values()]
    endpoints = [text for unit in graph.units.values() if (text := _endpoints(unit))]
    endpoints += [f"metrics {address}" for address in metrics]
    return "; ".join(pipelines) + (f"; listening: {', '.join(endpoints)}" if endpoints else "")


def _shape(pipeline: PipelineSpec) -> str:
    def names(ids: tuple[ComponentId, ...]) -> str:
        return " + ".join(str(one) for one in ids)

    parts = [names(pipeline.receivers), *(str(one) for one in pipeline.processors), names(pipeline.exporters)]
    return f"{pipeline.id}: {' > '.join(filter(None, parts))}"


def _endpoints(unit: Unit) -> str:
    if unit.kind not in {Kind.RECEIVER, Kind.EXTENSION}:
        return ""
    found = unit.status.last.message or " ".join(_options(unit.blueprint.spec.config, "endpoint"))
    return f"{unit.id.component} {found}" if found else ""


def _options(model: BaseModel, name: str) -> Iterator[str]:
    """Yield every value of an option of that name, however deep."""
    for key in type(model).model_fields:
        value = getattr(model, key)
        if key == name and isinstance(value, str):
            yield value
        elif isinstance(value, BaseModel):
            yield from _options(value, name)
