"""Runs transforms: neighbours in one pass, without awaiting between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

from untrace_pipeline.api.component import Transform
from untrace_pipeline.api.consumer import Consumer
from untrace_pipeline.api.telemetry import Counter, Histogram
from untrace_pipeline.data import Batch
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
    duration: Histogram


class TransformRun:
    """Neighbouring transforms of a pipeline as one consumer."""

    def __init__(self, steps: Sequence[Step], next: Consumer) -> None:
        self._steps = tuple(steps)
        self._next = next

    async def consume(self, batch: Batch) -> None:
        """Run all steps and pass on what is left; accepted at once if nothing is."""
        for step in self._steps:
            left = _run(step, batch)
            if left is None:
                return
            batch = left
        await self._next.consume(batch)


def _run(step: Step, batch: Batch) -> Batch | None:
    started = perf_counter()
    incoming = batch.item_count
    step.incoming.add(incoming)
    try:
        left = step.transform.process(batch)
        outgoing = left.item_count if left is not None else 0
    except ConsumeError:
        raise
    except Exception as error:
        raise step.faults.wrap(error) from error
    if outgoing < incoming:
        step.dropped.add(incoming - outgoing)
    step.outgoing.add(outgoing)
    step.duration.record(perf_counter() - started)
    return left if outgoing else None
