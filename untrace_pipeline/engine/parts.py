"""Which part of a configuration runs in which process, where several workers run it."""

from __future__ import annotations

from dataclasses import replace

from untrace_pipeline.api.factory import ExtensionFactory, ReceiverFactory
from untrace_pipeline.api.identity import ComponentId, Kind
from untrace_pipeline.api.workers import Workers
from untrace_pipeline.config.model import AUTO_WORKERS, MetricsLevel, PipelineSpec, ServiceSpec, TelemetryConfig
from untrace_pipeline.engine import describe
from untrace_pipeline.machine import available_cpus

__all__ = ["only_in_first", "supervisor_part", "worker_count", "worker_part"]

_INSTANCE = "service.instance.id"


def worker_count(spec: ServiceSpec) -> int:
    """Return how many processes are to run the pipelines on this machine."""
    return available_cpus() if spec.workers == AUTO_WORKERS else spec.workers


def supervisor_part(spec: ServiceSpec) -> ServiceSpec:
    """Return what the supervisor runs: extensions that stand for all workers, and those that they name."""
    wanted = {one for one in spec.extensions if _is_per_service(spec, one)}
    waiting = list(wanted)
    while waiting:
        named = {name for names in spec.components[waiting.pop()].config.references().values() for name in names}
        found = {one for one in spec.extensions if str(one) in named} - wanted
        wanted |= found
        waiting += found
    return replace(spec, pipelines={}, extensions=tuple(one for one in spec.extensions if one in wanted))


def worker_part(spec: ServiceSpec, workers: Workers) -> ServiceSpec:
    """Return what one of the workers runs: everything else, and what may run in one only if it is the first.

    Pipelines stay, also where no receiver is left: other workers may send to them. Metrics are shown by the supervisor.
    """
    once = only_in_first(spec) if workers.index else set()
    pipelines = {id: _without(pipeline, once) for id, pipeline in spec.pipelines.items()}  # noqa: A001
    extensions = tuple(one for one in spec.extensions if not _is_per_service(spec, one))
    telemetry = _told_apart(spec.telemetry, workers)
    return replace(spec, pipelines=pipelines, extensions=extensions, telemetry=telemetry)


def only_in_first(spec: ServiceSpec) -> set[ComponentId]:
    """Return the receivers that run in worker 0 only."""
    used = {one for pipeline in spec.pipelines.values() for one in pipeline.receivers if one.kind is Kind.RECEIVER}
    factories = {one: spec.components[one].factory for one in used}
    return {one for one, factory in factories.items() if isinstance(factory, ReceiverFactory) and factory.once}


def _is_per_service(spec: ServiceSpec, extension: ComponentId) -> bool:
    factory = spec.components[extension].factory
    return isinstance(factory, ExtensionFactory) and factory.per_service


def _without(pipeline: PipelineSpec, receivers: set[ComponentId]) -> PipelineSpec:
    return replace(pipeline, receivers=tuple(one for one in pipeline.receivers if one not in receivers))


def _told_apart(telemetry: TelemetryConfig, workers: Workers) -> TelemetryConfig:
    """Return telemetry that names the worker in its log lines and resource, and shows no page."""
    instance = describe.resource(telemetry).get(_INSTANCE)
    named = {_INSTANCE: f"{instance}-{workers.index}"} if instance is not None else {}
    logs = telemetry.logs.model_copy(
        update={"initial_fields": {"worker": workers.index, **telemetry.logs.initial_fields}}
    )
    metrics = telemetry.metrics.model_copy(update={"level": MetricsLevel.NONE})
    resource = {**telemetry.resource, **named}
    return telemetry.model_copy(update={"logs": logs, "metrics": metrics, "resource": resource})
