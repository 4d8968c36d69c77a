"""Where a pipeline meets with those of other workers, as the engine sees it; ``untrace_pipeline.hop`` does it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from untrace_pipeline.api.component import Host
from untrace_pipeline.api.consumer import Consumer
from untrace_pipeline.api.factory import ExporterFactory, ProcessorFactory
from untrace_pipeline.api.identity import ComponentId, PipelineId
from untrace_pipeline.config.model import PipelineSpec, ServiceSpec
from untrace_pipeline.data import Batch
from untrace_pipeline.data.signal import Signal
from untrace_pipeline.engine.fanout import Drop
from untrace_pipeline.errors import RetryableError, StartError

__all__ = ["Elsewhere", "Hops", "first_places", "in_first", "meeting_place", "meeting_places"]


class Hops(Protocol):
    """The ways to and from the other workers."""

    def before(self, pipeline: PipelineId, next: Consumer, overflow: Drop) -> Consumer:
        """Return what stands before a processor of a pipeline: passes on to it what belongs here.

        ``overflow`` counts what a full queue refused while other parts of a batch were accepted.
        """

    def to_first(self, pipeline: PipelineId, next: Consumer) -> Consumer:
        """Return what stands before those exporters of a pipeline that run in the first worker only."""

    def lead(self, places: Mapping[PipelineId, Consumer]) -> None:
        """Lead what other workers send for a pipeline to this consumer from now on, and refuse it for all others."""

    async def finish(self, pipeline: PipelineId) -> None:
        """Tell the others that nothing more will come for a pipeline, wait until they have said so, then refuse it."""


def meeting_place(spec: ServiceSpec, pipeline: PipelineSpec) -> ComponentId | None:
    """Return the first processor of a pipeline that needs what belongs together; behind it, everything is.

    None for metrics, which belong to no trace.
    """
    if pipeline.id.signal is Signal.METRICS:
        return None
    for processor in pipeline.processors:
        factory = spec.components[processor].factory
        if isinstance(factory, ProcessorFactory) and factory.affinity is not None:
            return processor
    return None


def meeting_places(spec: ServiceSpec) -> dict[PipelineId, ComponentId]:
    """Return the processors before which there is a hop where several workers run, by pipeline."""
    found = ((pipeline.id, meeting_place(spec, pipeline)) for pipeline in spec.pipelines.values())
    return {pipeline: processor for pipeline, processor in found if processor is not None}


def in_first(spec: ServiceSpec, pipeline: PipelineSpec) -> list[ComponentId]:
    """Return the exporters of a pipeline that run in the first worker only.

    Raises :class:`StartError` where the pipeline has another meeting place: a batch can hop once.
    """
    factories = ((one, spec.components[one].factory) for one in pipeline.exporters)
    found = [one for one, factory in factories if isinstance(factory, ExporterFactory) and factory.once]
    place = meeting_place(spec, pipeline) if found else None
    if place is not None:
        msg = f"pipeline {pipeline.id}: {found[0]} runs in one worker, {place} in all: put a connector forward between"
        raise StartError(msg)
    return found


def first_places(spec: ServiceSpec) -> dict[ComponentId, list[PipelineId]]:
    """Return the exporters that run in the first worker only, with the pipelines that lead there."""
    found: dict[ComponentId, list[PipelineId]] = {}
    for pipeline in spec.pipelines.values():
        for exporter in in_first(spec, pipeline):
            found.setdefault(exporter, []).append(pipeline.id)
    return found


class Elsewhere:
    """Stands, in the other workers, for an exporter that runs in the first: nothing reaches it."""

    async def start(self, host: Host) -> None:
        """Nothing to open."""

    async def shutdown(self) -> None:
        """Nothing to close."""

    async def consume(self, _batch: Batch) -> None:
        """Refuse. Raises :class:`RetryableError`."""
        raise RetryableError("this runs in the first worker only")
