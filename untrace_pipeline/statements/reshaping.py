"""Statements among which some change what metrics are: rounds over the metrics, and over those that came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from untrace_pipeline.data import Batch
from untrace_pipeline.errors import EvaluationError
from untrace_pipeline.statements.edit import Reshape, Trouble, called

__all__ = ["MOST_ROUNDS", "Metrics"]

MOST_ROUNDS = 8
"""New metrics go through the same statements, as in the Collector, where a copy of a copy has no end."""


@dataclass(slots=True)
class Metrics:
    """Which metrics of a batch are worked on now, and which of them are new and will be next."""

    batch: Batch
    now: list[int]
    new: frozenset[int] = frozenset()

    def reshape(
        self, change: Reshape, rows: Sequence[int], arguments: Sequence[tuple[Any, ...]], trouble: Trouble
    ) -> None:
        """Change the metrics in some rows, on messages, and put the request back. Rows are numbered anew."""
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (  # noqa: PLC0415  where it is needed
            ExportMetricsServiceRequest,
        )

        request = ExportMetricsServiceRequest.FromString(self.batch.to_otlp())
        lists = [scope.metrics for resource in request.resource_metrics for scope in resource.scope_metrics]
        sizes = [len(metrics) for metrics in lists]
        places = [(metrics, place) for metrics, size in zip(lists, sizes, strict=True) for place in range(size)]
        for row, values in zip(rows, arguments, strict=True):
            metrics, place = places[row]
            error = called(_changed(change.function, metrics, place), values, safe=False)
            if isinstance(error, EvaluationError):
                trouble.add(error)
        self._renumber(lists, sizes)
        self.batch.replace(request.SerializeToString())

    def next_round(self) -> bool:
        """Go on with the metrics that came of this round; return whether there are any."""
        self.now, self.new = sorted(self.new), frozenset()
        return bool(self.now)

    def _renumber(self, lists: Sequence[Any], sizes: Sequence[int]) -> None:
        now, new, old_row, row = set(self.now), set[int](), 0, 0
        renumbered: list[int] = []
        for metrics, size in zip(lists, sizes, strict=True):
            for place in range(len(metrics)):
                if place >= size or old_row in self.new:
                    new.add(row)
                elif old_row in now:
                    renumbered.append(row)
                old_row += place < size
                row += 1
        self.now, self.new = renumbered, frozenset(new)


def _changed(function: Callable[..., None], metrics: Any, place: int) -> Callable[..., None]:
    """Return the change of one metric; one that fails leaves it, and those beside it, as they were."""

    def change(*values: Any) -> None:
        metric, count = metrics[place], len(metrics)
        before = metric.SerializeToString()
        try:
            function(metric, metrics, *values)
        except Exception:
            metrics[place].ParseFromString(before)
            del metrics[count:]
            raise

    return change
