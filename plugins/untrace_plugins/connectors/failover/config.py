"""Options of the failover connector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_validator

from untrace_pipeline.api import ComponentConfig, Duration, PipelineId

__all__ = ["FailoverConfig"]


def _pipeline(text: str) -> str:
    return str(PipelineId.parse(text))


Level = Annotated[list[Annotated[str, AfterValidator(_pipeline)]], Field(min_length=1)]


class FailoverConfig(ComponentConfig):
    """Sends to the first of several levels of pipelines that accepts."""

    priority_levels: list[Level] = Field(min_length=1)
    """Lists of pipelines, best first. All pipelines of a level get the data; a level fails when one of them refuses.
    Example: ``[[traces/main, traces/audit], [traces/spare]]``."""
    retry_interval: Duration = Field(600.0, gt=0)
    """How often better levels are tried again, with one batch, while a worse one gets the data. Example: ``30s``."""
    retry_gap: Duration | None = Field(
        None, json_schema_extra={"deprecated": "it changes nothing: all better levels are tried every retry_interval"}
    )
    """Accepted for the Collector's sake."""
    max_retries: int | None = Field(
        None, json_schema_extra={"deprecated": "it changes nothing: no level is ever given up for good"}
    )
    """Accepted for the Collector's sake."""
    sending_queue: dict[str, Any] | None = None
    """Only ``{enabled: false}``: this connector keeps no queue, so that what it accepts is accepted by a level. Give
    queues to the exporters of the levels."""

    @field_validator("sending_queue")
    @classmethod
    def _no_queue(cls, queue: dict[str, Any] | None) -> dict[str, Any] | None:
        if queue is not None and queue.get("enabled") is not False:
            msg = "only {enabled: false}: this connector keeps no queue, the exporters of its levels may"
            raise ValueError(msg)
        return queue

    def references(self) -> Mapping[str, tuple[str, ...]]:
        """Return the pipelines that are named, each at its place."""
        return {
            f"priority_levels.{level}.{place}": (pipeline,)
            for level, pipelines in enumerate(self.priority_levels)
            for place, pipeline in enumerate(pipelines)
        }
