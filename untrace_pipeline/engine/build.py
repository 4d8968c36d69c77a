"""From a checked configuration to wired units; nothing is started here."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Any

from untrace_pipeline.api.component import Component, Drainable, Settings
from untrace_pipeline.api.consumer import Consumer
from untrace_pipeline.api.factory import ConnectorFactory, Factory, TransformFactory, passes_on
from untrace_pipeline.api.identity import ComponentId, Kind, PipelineId
from untrace_pipeline.api.telemetry import Counter
from untrace_pipeline.api.workers import ALONE, Workers
from untrace_pipeline.config.model import ServiceSpec
from untrace_pipeline.engine.dry_run import NotSent, PassedBy
from untrace_pipeline.engine.graph import UnitId, start_order
from untrace_pipeline.engine.hops import Elsewhere
from untrace_pipeline.engine.host import ComponentHost, Statuses
from untrace_pipeline.engine.intake import Intake
from untrace_pipeline.engine.link import Faults, Link, Port
from untrace_pipeline.engine.status import StatusCell
from untrace_pipeline.engine.transforms import Step
from untrace_pipeline.engine.unit import Blueprint, Graph, Unit, blueprints
from untrace_pipeline.engine.ways import Ways
from untrace_pipeline.errors import PluginError, StartError
from untrace_pipeline.registry import Registry
from untrace_pipeline.telemetry.logs import component_logger
from untrace_pipeline.telemetry.metrics import LabelledMeter, Metrics

__all__ = ["Builder"]


class Builder:
    """Makes units, and keeps those of a running graph that the new configuration does not change."""

    def __init__(
        self,
        metrics: Metrics,
        statuses: Statuses,
        clock: Callable[[], float] = monotonic,
        workers: Workers = ALONE,
    ) -> None:
        self._metrics = metrics
        self._statuses = statuses
        self._workers = workers
        self._clock = clock

    def build(self, spec: ServiceSpec, running: Graph | None = None) -> Graph:
        """Return the graph of a configuration: kept units, and new ones that are neither wired nor started.

        Raises :class:`StartError` or :class:`PluginError` naming the component that cannot be created.
        """
        kept = running.units if running else {}
        graph = self.empty(spec)
        renewed: set[str] = set()
        try:
            for blueprint in blueprints(spec, start_order(spec.pipelines.values())):
                unit = kept.get(blueprint.id)
                if unit is None or unit.blueprint != blueprint or renewed & _references(blueprint):
                    unit = self.make(blueprint)
                    if unit.kind is Kind.EXTENSION:
                        renewed.add(str(unit.id.component))
                graph.units[blueprint.id] = unit
        except BaseException:
            for unit in graph.units.values():
                if kept.get(unit.id) is not unit:
                    unit.meter.close()
            raise
        return graph

    def empty(self, spec: ServiceSpec) -> Graph:
        """Return the graph of a configuration without any units yet."""
        return Graph(spec, {}, partial(self._processor, spec))

    def make(self, blueprint: Blueprint) -> Unit:
        """Return a new unit. Raises :class:`StartError` or :class:`PluginError`."""
        component, factory = blueprint.id.component, blueprint.spec.factory
        self._metrics.declare(factory.metrics)
        meter, logger = self._metrics.component_meter(component), component_logger(component)
        status = StatusCell(logger)
        host = ComponentHost(status, logger, self._statuses, self._workers)
        faults = Faults(component, meter, logger, self._clock)
        unit = Unit(blueprint, meter, logger, faults, status, host)
        settings = Settings(component, blueprint.signals, meter, logger, blueprint.id.pipeline)
        _guarded(unit, factory, lambda: _fill(unit, factory, settings, self._workers))
        return unit

    def _processor(self, spec: ServiceSpec, processor: ComponentId, pipeline: PipelineId) -> Unit:
        """Return a processor that a connector uses. Raises :class:`StartError` or :class:`PluginError`."""
        signals = frozenset({pipeline.signal})
        return self.make(Blueprint(UnitId(processor, pipeline), spec.components[processor], signals, frozenset()))


def _references(blueprint: Blueprint) -> set[str]:
    return {name for names in blueprint.spec.config.references().values() for name in names}


def _guarded(unit: Unit, factory: Factory[Any], create: Callable[[], None]) -> None:
    try:
        create()
    except ImportError as error:
        msg = f"{unit.id} cannot be created: {error}{_remedy(unit.kind, factory)}"
        raise PluginError(msg) from error
    except StartError as error:
        msg = f"{unit.id}: {error}"
        raise StartError(msg) from error
    except Exception as error:
        logging.getLogger(__name__).debug("creating %s failed", unit.id, exc_info=error)
        msg = f"{unit.id} cannot be created: {type(error).__name__}: {error}"
        raise StartError(msg) from error


def _remedy(kind: Kind, factory: Factory[Any]) -> str:
    """Return what would bring an optional library that is missing."""
    if factory.extra is None:
        return ""
    found = (one.package for one in Registry().installed() if (one.kind, one.type_name) == (kind, factory.type_name))
    package = next(found, None)
    return f": pip install '{package}[{factory.extra}]'" if package else f"; the extra [{factory.extra}] brings it"


def _fill(unit: Unit, factory: Any, settings: Settings, workers: Workers) -> None:
    """Create the component with what its kind is given."""
    blueprint, config = unit.blueprint, unit.blueprint.spec.config
    if isinstance(factory, TransformFactory):
        unit.step = _step(unit, factory, settings)
        if isinstance(unit.step.transform, Component):
            unit.component = unit.step.transform
        return
    match unit.kind:
        case Kind.RECEIVER:
            unit.intake = Intake(unit.meter, unit.faults)
            unit.component = factory.create(config, settings, unit.intake)
            return
        case Kind.PROCESSOR:
            unit.port = _port(unit)
            unit.component = factory.create(config, settings, unit.port)
        case Kind.CONNECTOR:
            unit.ports = {pipeline: Port() for pipeline in sorted(blueprint.outputs)}
            unit.host.ways = Ways(unit)
            unit.component = factory.create(config, settings, unit.ports)
        case Kind.EXPORTER:
            elsewhere = factory.once and workers.index
            unit.component = Elsewhere() if elsewhere else factory.create(config, settings)
        case Kind.EXTENSION:
            unit.component = factory.create(config, settings)
            return
    incoming = None
    if unit.kind is Kind.PROCESSOR:
        incoming = unit.meter.counter("processor_incoming_items", **_processor_labels(blueprint))
    unit.inlet = Link(unit.id.component, unit.component, unit.faults, incoming, _accepted(unit), _rehearsal(unit))


def _rehearsal(unit: Unit) -> Consumer | None:
    """Return what stands for a component in dry runs; what only passes on takes part in them."""
    factory = unit.blueprint.spec.factory
    if isinstance(factory, ConnectorFactory) and all(source is not target for source, target in factory.pairs):
        return NotSent(unit.id.component, unit.meter)  # it makes something else of what it gets
    if unit.kind is Kind.EXPORTER:
        return NotSent(unit.id.component, unit.meter)
    return PassedBy(unit.id.component, unit.port) if unit.port is not None and not passes_on(factory) else None


def _accepted(unit: Unit) -> tuple[Counter, ...]:
    """Return what counts items that an exporter or connector has accepted: the first entry of its account."""
    if unit.kind is Kind.PROCESSOR:
        return ()
    ends = ("passed",) if unit.kind is Kind.CONNECTOR else ()
    if unit.kind is Kind.EXPORTER and not isinstance(unit.component, Drainable):
        ends = ("delivered",)  # it holds nothing, so that what it accepts is delivered
    return tuple([unit.meter.counter("ledger_items", state=state) for state in ("accepted", *ends)])


def _port(processor: Unit) -> Port:
    """Return the way out of a processor that is no transform."""
    meter, labels = processor.meter, _processor_labels(processor.blueprint)

    def drops(reason: str) -> Counter:
        return meter.counter("dropped_items", signal=labels["otel_signal"], reason=reason)

    return Port(meter.counter("processor_outgoing_items", **labels), drops)


def _processor_labels(blueprint: Blueprint) -> dict[str, str]:
    pipeline = blueprint.id.pipeline
    assert pipeline is not None
    return {"pipeline": str(pipeline), "otel_signal": pipeline.signal}


def _step(unit: Unit, factory: TransformFactory[Any], settings: Settings) -> Step:
    meter: LabelledMeter = unit.meter
    labels = _processor_labels(unit.blueprint)
    return Step(
        factory.create(unit.blueprint.spec.config, settings),
        unit.faults,
        meter.counter("processor_incoming_items", **labels),
        meter.counter("processor_outgoing_items", **labels),
        meter.counter("dropped_items", signal=labels["otel_signal"], reason=factory.drop_reason),
        factory.drop_reason,
        meter.histogram("processor_internal_duration", **labels),
    )
