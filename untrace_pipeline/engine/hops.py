"""Where a pipeline meets with those of other workers, as the engine sees it; ``untrace_pipeline.hop`` does it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from untrace_pipeline.api.consumer import Consumer
from untrace_pipeline.api.factory import ProcessorFactory
from untrace_pipeline.api.identity import ComponentId, PipelineId
from untrace_pipeline.config.model import PipelineSpec, ServiceSpec
from untrace_pipeline.data.signal import Signal
from untrace_pipeline.engine.fanout import Drop

__all__ = ["Hops", "meeting_place", "meeting_places"]


class Hops(Protocol):
    """The ways to and from the other workers."""

    def before(self, pipeline: PipelineId, next: Consumer, overflow: Drop) -> Consumer:
        """Return what stands before a processor of a pipeline: passes on to it what belongs here.

        ``overflow`` counts what a full queue refused while other parts of a batch were accepted.
        """

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
