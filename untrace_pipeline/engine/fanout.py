"""The fan-out: one batch to several branches that neither wait for nor harm each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from untrace_pipeline.api.consumer import Consumer
from untrace_pipeline.api.fanout import consume_all
from untrace_pipeline.data import Batch
from untrace_pipeline.data.signal import Signal
from untrace_pipeline.errors import QueueFullError

__all__ = ["Drop", "FanOut", "fan_out"]

Drop = Callable[[str, Signal, int], None]
"""Counts items that a full queue refused while others took them: component (``exporter:otlp``), signal, items."""


def fan_out(branches: Sequence[Consumer], drop: Drop) -> Consumer:
    """Return the branch itself if it is alone: no task, no copy."""
    return branches[0] if len(branches) == 1 else FanOut(branches, drop)


class FanOut:
    """Gives each branch its own handle, at the same time, and answers by the rule of :func:`consume_all`."""

    def __init__(self, branches: Sequence[Consumer], drop: Drop) -> None:
        self._branches = tuple(branches)
        self._drop = drop

    async def consume(self, batch: Batch) -> None:
        """Pass the batch to every branch and wait for all of them. Raises :class:`ConsumeError`."""
        if batch.edited:
            batch.to_otlp()

        def dropped(error: QueueFullError, _items: int) -> None:
            for destination, refused in sorted(error.refused.items()):
                self._drop(destination, batch.signal, refused)

        await consume_all([(branch, batch.copy()) for branch in self._branches], dropped)
