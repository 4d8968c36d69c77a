"""Several consumers at the same time, with one answer for the caller: docs/decisions/0001-fan-out.md.

The engine's fan-outs and connectors that pass parts of a request to several pipelines share this rule.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeAlias

from untrace_pipeline.api.consumer import Consumer
from untrace_pipeline.api.telemetry import Meter
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.errors import ConsumeError, QueueFullError, RetryableError

__all__ = ["Dropped", "Part", "consume_all", "count_overflow", "worst"]

Part: TypeAlias = tuple[Consumer, Batch]

Dropped: TypeAlias = Callable[[QueueFullError, int], None]
"""Counts items that a full queue refused while others took theirs: the refusal, and how many items of the part it was.

Where several queues refused, and refused other numbers because some items were filtered on the way, the largest."""


def count_overflow(meter: Meter, component: str, signal: Signal, items: int) -> None:
    """Count items that a full queue, of ``exporter:otlp``, refused while others took theirs: accepted, but lost."""
    kind, _, name = component.partition(":")
    meter.counter("dropped_items", kind=kind, component=name, signal=signal, reason="queue_full").add(items)
    for state in ("accepted", "queue_full"):
        meter.counter("ledger_items", kind=kind, component=name, state=state).add(items)


async def consume_all(parts: Sequence[Part], dropped: Dropped | None) -> None:
    """Pass each part on, concurrently, and wait for all of them. Each part must have its own handle.

    - all accepted: returns;
    - none accepted: raises the error that speaks for all, retryable if any is; a retry is safe;
    - some accepted, the others refused because a queue was full: returns, and ``dropped`` is called for each refusal;
    - some accepted, another refused otherwise: raises, since whoever works without a queue wants to know; if the caller
      will not come again, what full queues refused is dropped too.

    Without ``dropped`` nothing may be: a full queue is a refusal like any other, for callers who have another place for
    the data.

    Consumers must raise nothing but :class:`ConsumeError`, as links see to. When the caller is cancelled, all parts are
    cancelled and awaited: the request counts as refused, and whoever had accepted a part may see it again.
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
    if not errors:
        return
    others = [error for error in errors if dropped is None or not isinstance(error, QueueFullError)]
    speaking = errors if len(errors) == len(parts) else others
    going_up = worst(speaking) if speaking else None
    if dropped is not None and not isinstance(going_up, RetryableError):
        for error, size in zip(outcomes, sizes, strict=True):
            if isinstance(error, QueueFullError):
                dropped(error, max(error.refused.values(), default=size))
    elif isinstance(going_up, QueueFullError):
        going_up.refused = QueueFullError.total([error for error in errors if isinstance(error, QueueFullError)])
    if going_up is not None:
        going_up.partly_accepted |= len(errors) < len(parts) or any(error.partly_accepted for error in errors)
        raise going_up


def worst(errors: Sequence[ConsumeError]) -> ConsumeError:
    """Return the error that speaks for all, of one at least.

    It is retryable if any is, with the longest delay; a full queue speaks only where there is nothing else.
    """
    retryable = [error for error in errors if isinstance(error, RetryableError)]
    if not retryable:
        return errors[0]
    return max(retryable, key=lambda error: (not isinstance(error, QueueFullError), error.retry_after or 0.0))


async def _attempt(consumer: Consumer, batch: Batch) -> ConsumeError | None:
    try:
        await consumer.consume(batch)
    except ConsumeError as error:
        return error
    return None
