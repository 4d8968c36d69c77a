"""What connectors share: several batches to several pipelines, at the same time, with one answer for the caller.

The answer is that of a fan-out (docs/decisions/0001-fan-out.md), although each pipeline may get another part of the
request: the caller can only send the whole of it again. So when a pipeline's queues were full while another pipeline
accepted its part, the caller is told *accepted* and the refused part is counted as dropped; any other refusal goes up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from untrace_pipeline.api import ConsumeError, Consumer, QueueFullError, RetryableError, Settings
from untrace_pipeline.data import Batch

__all__ = ["Delivery"]


class Delivery:
    """Passes parts of a request on and speaks for all of them."""

    def __init__(self, settings: Settings) -> None:
        self._dropped = {
            signal: settings.meter.counter("dropped_items", signal=signal, reason="queue_full")
            for signal in settings.signals
        }
        self._logger = settings.logger

    async def deliver(self, parts: Sequence[tuple[Consumer, Batch]]) -> None:
        """Pass every part on and wait for all. Each part must have its own handle. Raises :class:`ConsumeError`.

        When the caller is cancelled all parts are cancelled and awaited; the request then counts as refused.
        """
        if len(parts) == 1:
            consumer, batch = parts[0]
            await consumer.consume(batch)
            return
        sizes = [batch.item_count for _, batch in parts]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_attempt(consumer, batch)) for consumer, batch in parts]
        outcomes = [task.result() for task in tasks]
        errors = [error for error in outcomes if error is not None]
        if errors:
            self._answer(parts, sizes, outcomes, errors)

    def _answer(
        self,
        parts: Sequence[tuple[Consumer, Batch]],
        sizes: Sequence[int],
        outcomes: Sequence[ConsumeError | None],
        errors: Sequence[ConsumeError],
    ) -> None:
        others = [error for error in errors if not isinstance(error, QueueFullError)]
        nothing_taken = len(errors) == len(outcomes)
        going_up = _worst(errors if nothing_taken else others)
        if isinstance(going_up, RetryableError):
            raise going_up
        lost = [(size, error) for size, error in zip(sizes, outcomes, strict=True) if isinstance(error, QueueFullError)]
        if lost:
            signal = parts[0][1].signal
            count = sum(size for size, _ in lost)
            self._dropped[signal].add(count)
            self._logger.error("%d %s dropped: %s, while others accepted", count, signal.item, lost[0][1])
        if going_up is not None:
            raise going_up


def _worst(errors: Sequence[ConsumeError]) -> ConsumeError | None:
    """Return the error that speaks for all: retryable if any is, and with the longest delay."""
    retryable = [error for error in errors if isinstance(error, RetryableError)]
    if not retryable:
        return errors[0] if errors else None
    return max(retryable, key=lambda error: (not isinstance(error, QueueFullError), error.retry_after or 0.0))


async def _attempt(consumer: Consumer, batch: Batch) -> ConsumeError | None:
    try:
        await consumer.consume(batch)
    except ConsumeError as error:
        return error
    return None
