"""Joining data points of a metric that have become the same: equal attributes, time and, of deltas, start."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from untrace_pipeline.errors import EvaluationError

__all__ = ["AGGREGATIONS", "aggregate"]

_DELTA = 1


def _mean(values: Sequence[float]) -> float:
    total = sum(values)
    return int(total / len(values)) if isinstance(total, int) else total / len(values)


def _median(values: Sequence[float]) -> float:
    found = statistics.median(values)
    return int(found) if all(isinstance(value, int) for value in values) else found


AGGREGATIONS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "sum": sum,
    "max": max,
    "min": min,
    "mean": _mean,
    "median": _median,
    "count": len,
}
"""What becomes of several numbers; histograms are always added up."""


def aggregate(metric: Any, function: str) -> None:
    """Join the points of a gauge, sum or histogram that are the same."""
    kind = metric.WhichOneof("data")
    data = getattr(metric, kind)
    by_start = getattr(data, "aggregation_temporality", 0) == _DELTA
    groups: dict[Any, list[Any]] = {}
    for point in data.data_points:
        groups.setdefault(_identity(point, by_start), []).append(point)
    joined = [_JOIN[kind](points, AGGREGATIONS[function]) for points in groups.values()]
    del data.data_points[:]
    data.data_points.extend(joined)


def _identity(point: Any, by_start: bool) -> Any:
    attributes = frozenset((one.key, one.value.SerializeToString(deterministic=True)) for one in point.attributes)
    shape: tuple[Any, ...] = ()
    if hasattr(point, "bucket_counts") or hasattr(point, "scale"):
        bounds = (*getattr(point, "explicit_bounds", ()), getattr(point, "scale", None))
        shape = (*bounds, point.HasField("min"), point.HasField("max"), point.flags)
    return attributes, point.time_unix_nano, by_start and point.start_time_unix_nano, shape


def _first(points: Sequence[Any]) -> Any:
    """Return a copy of the first point that starts with the earliest of them."""
    joined = type(points[0])()
    joined.CopyFrom(points[0])
    joined.start_time_unix_nano = min(point.start_time_unix_nano for point in points)
    return joined


def _join_numbers(points: Sequence[Any], function: Callable[[Sequence[float]], float]) -> Any:
    joined = _first(points)
    member = joined.WhichOneof("value")
    if member is None or len(points) == 1:
        return joined
    whole = member == "as_int"
    values = [getattr(point, point.WhichOneof("value")) if point.WhichOneof("value") else 0 for point in points]
    result = function([int(value) if whole else float(value) for value in values])
    if whole and not -(1 << 63) <= result < 1 << 63:
        msg = "an aggregated number does not fit into 64 bits"
        raise EvaluationError(msg)
    setattr(joined, member, result)
    return joined


def _join_histograms(points: Sequence[Any], _: Callable[[Sequence[float]], float]) -> Any:
    joined = _first(points)
    for point in points[1:]:
        if point.count == 0:
            continue
        _add_totals(joined, point)
        if len(point.bucket_counts) == len(joined.bucket_counts):
            counts = zip(joined.bucket_counts, point.bucket_counts, strict=True)
            joined.bucket_counts[:] = [a + b for a, b in counts]
    return joined


def _join_exponential(points: Sequence[Any], _: Callable[[Sequence[float]], float]) -> Any:
    joined = _first(points)
    for point in points[1:]:
        if point.count == 0:
            continue
        _add_totals(joined, point)
        joined.zero_count += point.zero_count
        for side in ("positive", "negative"):
            _add_buckets(getattr(joined, side), getattr(point, side))
    return joined


def _add_totals(joined: Any, point: Any) -> None:
    joined.count += point.count
    joined.sum += point.sum
    if joined.HasField("min"):
        joined.min = min(joined.min, point.min)
    if joined.HasField("max"):
        joined.max = max(joined.max, point.max)
    joined.exemplars.extend(point.exemplars)


_WIDEST = 10_000
"""Buckets that an exponential histogram may come to have: offsets far apart shall not fill the memory."""


def _add_buckets(joined: Any, other: Any) -> None:
    """Add buckets of the same scale, wherever they begin."""
    if not other.bucket_counts:
        return
    if not joined.bucket_counts:
        joined.CopyFrom(other)
        return
    begin = min(joined.offset, other.offset)
    end = max(joined.offset + len(joined.bucket_counts), other.offset + len(other.bucket_counts))
    if end - begin > _WIDEST:
        msg = "the buckets of two histograms lie too far apart"
        raise EvaluationError(msg)
    counts = [0] * (end - begin)
    for side in (joined, other):
        for place, count in enumerate(side.bucket_counts, side.offset - begin):
            counts[place] += count
    joined.offset = begin
    joined.bucket_counts[:] = counts


_JOIN = {
    "gauge": _join_numbers,
    "sum": _join_numbers,
    "histogram": _join_histograms,
    "exponential_histogram": _join_exponential,
}
