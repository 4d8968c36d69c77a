"""A unit: one running component with all that the engine keeps for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from untrace_pipeline.api.identity import ComponentId, Kind, PipelineId
from untrace_pipeline.config.model import ComponentSpec, ServiceSpec
from untrace_pipeline.data.signal import Signal
from untrace_pipeline.engine.graph import UnitId
from untrace_pipeline.engine.host import ComponentHost
from untrace_pipeline.engine.intake import Intake
from untrace_pipeline.engine.link import Faults, Link, Port
from untrace_pipeline.engine.status import StatusCell
from untrace_pipeline.engine.transforms import Step
from untrace_pipeline.telemetry.metrics import LabelledMeter

__all__ = ["Blueprint", "Graph", "Unit", "blueprints"]


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What a unit is made from. Units of equal blueprints are interchangeable, so a reload keeps the running one."""

    id: UnitId
    spec: ComponentSpec
    signals: frozenset[Signal]
    outputs: frozenset[PipelineId]
    """Pipelines that a connector feeds; empty for everything else."""


@dataclass(slots=True, eq=False)
class Unit:
    """One component and its surroundings. What does not apply to its kind is ``None`` or empty."""

    blueprint: Blueprint
    meter: LabelledMeter
    logger: logging.Logger
    faults: Faults
    status: StatusCell
    host: ComponentHost
    component: Any = None
    """``None`` for transforms, which are not started or stopped."""
    inlet: Link | None = None
    """The way into an exporter, a connector, or a processor that is no transform."""
    port: Port | None = None
    """The way out of such a processor."""
    ports: Mapping[PipelineId, Port] = field(default_factory=dict)
    """The ways out of a connector."""
    intake: Intake | None = None
    """The way out of a receiver."""
    step: Step | None = None
    """A transform."""

    @property
    def id(self) -> UnitId:
        """Which one it is."""
        return self.blueprint.id

    @property
    def kind(self) -> Kind:
        """Its kind."""
        return self.blueprint.id.component.kind


@dataclass(slots=True, eq=False)
class Graph:
    """All units of a configuration. Starts in the order of ``units``: extensions first, receivers last."""

    spec: ServiceSpec
    units: dict[UnitId, Unit]
    make: Callable[[ComponentId, PipelineId], Unit]
    """Makes a processor for a connector: its id, and the output that it stands before."""

    def unit(self, id: ComponentId, pipeline: PipelineId | None = None) -> Unit:
        """Return one of them; the pipeline is needed for processors only."""
        return self.units[UnitId(id, pipeline)]


def blueprints(spec: ServiceSpec, order: list[UnitId]) -> list[Blueprint]:
    """Return what the units of a configuration are made from, extensions first, then in the given order."""
    extensions = [Blueprint(UnitId(one), spec.components[one], frozenset(), frozenset()) for one in spec.extensions]
    return extensions + [_blueprint(spec, unit) for unit in order]


def _blueprint(spec: ServiceSpec, unit: UnitId) -> Blueprint:
    component, pipelines = unit.component, spec.pipelines.values()
    targets = {p.id for p in pipelines if component in p.receivers}
    if unit.pipeline is not None:
        signals = {unit.pipeline.signal}
    elif component.kind is Kind.RECEIVER:
        signals = {target.signal for target in targets}
    else:
        signals = {p.id.signal for p in pipelines if component in p.exporters}
    outputs = targets if component.kind is Kind.CONNECTOR else set()
    return Blueprint(unit, spec.components[component], frozenset(signals), frozenset(outputs))
