"""The fan-out: one batch to several branches that neither wait for nor harm each other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from untrace_pipeline.api.consumer import Consumer
from untrace_pipeline.data import Batch
from untrace_pipeline.data.signal import Signal
from untrace_pipeline.errors import ConsumeError, QueueFullError, RetryableError

__all__ = ["Drop", "FanOut", "fan_out"]

Drop = Callable[[str, Signal, int], None]
"""Counts items that a full queue refused while others took them: component (``exporter:otlp``), signal, items."""

logger = logging.getLogger(__name__)


def fan_out(branches: Sequence[Consumer], drop: Drop) -> Consumer:
    """Return the branch itself if it is alone: no task, no copy."""
    return branches[0] if len(branches) == 1 else FanOut(branches, drop)


class FanOut:
    """Gives each branch its own handle, at the same time, and answers as docs/decisions/0001-fan-out.md says.

    Every branch must raise nothing but :class:`ConsumeError`: links see to that. When the caller is cancelled, all
    branches are cancelled and awaited, so that none outlives the call; the batch then counts as refused, and branches
    that had already accepted it may see it again.
    """

    def __init__(self, branches: Sequence[Consumer], drop: Drop) -> None:
        self._branches = tuple(branches)
        self._drop = drop

    async def consume(self, batch: Batch) -> None:
        """Pass the batch to every branch and wait for all of them. Raises :class:`ConsumeError`."""
        if batch.edited:
            batch.to_otlp()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_attempt(branch, batch.copy())) for branch in self._branches]
        errors = [error for task in tasks if (error := task.result()) is not None]
        if errors:
            self._answer(batch, errors)

    def _answer(self, batch: Batch, errors: list[ConsumeError]) -> None:
        full = [error for error in errors if isinstance(error, QueueFullError)]
        other = [error for error in errors if not isinstance(error, QueueFullError)]
        none_accepted = len(errors) == len(self._branches)
        going_up = worst(errors if none_accepted else other) if none_accepted or other else None
        if isinstance(going_up, QueueFullError):
            going_up.destinations = frozenset().union(*(error.destinations for error in full))
        if full and not isinstance(going_up, RetryableError):
            self._count_drops(batch, full)
        if going_up is not None:
            raise going_up

    def _count_drops(self, batch: Batch, full: list[QueueFullError]) -> None:
        for destination in sorted(frozenset().union(*(error.destinations for error in full))):
            self._drop(destination, batch.signal, batch.item_count)


def worst(errors: Sequence[ConsumeError]) -> ConsumeError:
    """Return the error that speaks for all: retryable if any is, with the longest delay; a full queue last of those."""
    retryable = [error for error in errors if isinstance(error, RetryableError)]
    if not retryable:
        return errors[0]
    return max(retryable, key=lambda error: (not isinstance(error, QueueFullError), error.retry_after or 0.0))


async def _attempt(branch: Consumer, batch: Batch) -> ConsumeError | None:
    try:
        await branch.consume(batch)
    except ConsumeError as error:
        return error
    return None
