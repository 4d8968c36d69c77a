"""Values of metric points as fields: numbers, histograms and summaries of the server's own types."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from untrace_plugins.rows import Metric, PointRow
from untrace_plugins.rows.points import CUMULATIVE, number_of

__all__ = ["template_of", "value_of"]


def value_of(row: PointRow) -> Any:
    """Return the value of a point as it stands in a document."""
    kind, point = row.metric.kind, row.data
    if kind in {"gauge", "sum"}:
        return number_of(point)
    if kind == "summary":
        return {"sum": point.sum, "value_count": point.count}
    pairs = _explicit(point) if kind == "histogram" else _exponential(point)
    filled = [(value, count) for value, count in pairs if count]
    return {"values": [value for value, _ in filled], "counts": [count for _, count in filled]}


def template_of(metric: Metric) -> str:
    """Return the name of the dynamic template of a metric in Elasticsearch's own templates."""
    if metric.kind in {"histogram", "exponential_histogram"}:
        return "histogram"
    if metric.kind == "summary":
        return "summary"
    counts = metric.kind == "sum" and metric.monotonic and metric.temporality == CUMULATIVE
    return "counter_double" if counts else "gauge_double"


def _explicit(point: Any) -> Sequence[tuple[float, int]]:
    """Return the middle of each bucket with its count; the ends, which have no middle, by their one bound."""
    bounds, counts = list(point.explicit_bounds), list(point.bucket_counts)
    if not bounds or len(counts) != len(bounds) + 1:
        return [(point.sum / point.count if point.count else 0.0, point.count)]
    first = bounds[0] / 2 if bounds[0] > 0 else bounds[0]
    middles = [first, *[low + (high - low) / 2 for low, high in itertools.pairwise(bounds)], bounds[-1]]
    return list(zip(middles, counts, strict=True))


def _exponential(point: Any) -> Sequence[tuple[float, int]]:
    """Return the middle of each bucket with its count, in ascending order."""
    try:
        base = 2.0 ** (2.0**-point.scale)
        negative = [(-_middle(base, index), count) for index, count in _buckets(point.negative)]
        positive = [(_middle(base, index), count) for index, count in _buckets(point.positive)]
    except OverflowError:
        return [(point.sum / point.count if point.count else 0.0, point.count)]
    return [*reversed(negative), (0.0, point.zero_count), *positive]


def _buckets(buckets: Any) -> list[tuple[int, int]]:
    return [(buckets.offset + place, count) for place, count in enumerate(buckets.bucket_counts) if count]


def _middle(base: float, index: int) -> float:
    low = base**index
    return low + (low * base - low) / 2
