"""Options of the queue between calls and pipelines."""

from __future__ import annotations

from pydantic import Field

from untrace_pipeline.api import ConfigModel, Duration, Size

__all__ = ["CaptureQueueConfig"]


class CaptureQueueConfig(ConfigModel):
    """``capture_queue``: what is full never delays a call; its span is dropped and counted."""

    max_calls: int = Field(10_000, ge=1)
    """Calls that may wait."""
    max_bytes: Size = Field(64 * 1024 * 1024, ge=1024)
    """Bytes of their bodies that may wait."""
    flush_interval: Duration = Field(0.2, gt=0)
    """How long spans are gathered before they go into the pipelines together."""
    max_elapsed_time: Duration = Field(30.0, ge=0)
    """How long spans that the pipelines refuse are offered again; then they are dropped and counted."""
