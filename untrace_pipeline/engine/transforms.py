"""Runs transforms: neighbours in one pass, without awaiting between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

from untrace_pipeline.api.component import Transform
from untrace_pipeline.api.consumer import Consumer
from untrace_pipeline.api.telemetry import Counter, Histogram
from untrace_pipeline.data import Batch
from untrace_pipeline.engine.bookkeeping import DropOnTheWay
from untrace_pipeline.engine.link import Faults
from untrace_pipeline.errors import ConsumeError

__all__ = ["Step", "TransformRun"]


@dataclass(frozen=True, slots=True)
class Step:
    """One transform with its metrics."""

    transform: Transform
    faults: Faults
    incoming: Counter
    outgoing: Counter
    dropped: Counter
    drop_reason: str
    duration: Histogram


class TransformRun:
    """Neighbouring transforms of a pipeline as one consumer."""

    def __init__(self, steps: Sequence[Step], next: Consumer, dropped: DropOnTheWay) -> None:
        self._steps = tuple(steps)
        self._next = next
        self._dropped = dropped

    async def consume(self, batch: Batch) -> None:
        """Run all steps and pass on what is left; accepted at once if nothing is.

        What was dropped counts once the rest is accepted: a batch that is refused comes again, with the same items.
        """
        drops: list[tuple[Step, int]] = []
        for step in self._steps:
            incoming = batch.item_count
            left = _run(step, batch, incoming)
            outgoing = left.item_count if left is not None else 0
            if outgoing < incoming:
                drops.append((step, incoming - outgoing))
            if left is None:
                break
            batch = left
        else:
            await self._next.consume(batch)
        for step, items in drops:
            step.dropped.add(items)
            self._dropped(step.drop_reason, items)


def _run(step: Step, batch: Batch, incoming: int) -> Batch | None:
    started = perf_counter()
    step.incoming.add(incoming)
    try:
        left = step.transform.process(batch)
        outgoing = left.item_count if left is not None else 0
    except ConsumeError:
        raise
    except Exception as error:
        raise step.faults.wrap(error) from error
    step.outgoing.add(outgoing)
    step.duration.record(perf_counter() - started)
    return left if outgoing else None
