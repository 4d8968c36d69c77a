"""One series of each kind: what it counts, and how that becomes a data point."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from untrace_pipeline.data import Value
from untrace_plugins.metrics.exponential import Buckets

__all__ = [
    "Attributes",
    "Exemplar",
    "ExplicitHistogram",
    "ExponentialHistogram",
    "Moment",
    "Series",
    "Sum",
    "to_any_value",
]

Attributes: TypeAlias = Mapping[str, Value]

_INT64_MAX = 2**63 - 1
_UINT64_MAX = 2**64 - 1


class Moment(NamedTuple):
    """A point in time on both clocks."""

    nanos: int
    """Nanoseconds since the Unix epoch."""
    seconds: float
    """Seconds of the event loop, for ages."""


class Exemplar(NamedTuple):
    """A span that stands for what a series counts."""

    trace_id: bytes
    span_id: bytes
    value: float


class Series(Protocol):
    """What all kinds have in common."""

    attributes: Attributes
    start: int
    """When it began, nanoseconds since the Unix epoch."""
    seen: float
    """When it was last added to, seconds of the event loop."""
    exemplars: list[Exemplar]
    fresh: bool
    """Whether it was never written."""

    def add(self, values: Sequence[float], weights: Sequence[int] | None) -> None:
        """Take values in; ``weights`` says how many each stands for (default: one)."""

    def write(self, point: Any, *, zero: bool) -> None:
        """Fill the values of a data point, or write the point of a series that has counted nothing yet."""


class _Base:
    """Attributes, times and exemplars."""

    __slots__ = ("attributes", "exemplars", "fresh", "seen", "start")

    def __init__(self, attributes: Attributes, now: Moment) -> None:
        self.attributes = attributes
        self.start = now.nanos
        self.seen = now.seconds
        self.exemplars: list[Exemplar] = []
        self.fresh = True


class Sum(_Base):
    """A sum that only grows; an integer as long as all that was added are."""

    __slots__ = ("value",)

    def __init__(self, attributes: Attributes, now: Moment) -> None:
        super().__init__(attributes, now)
        self.value: float = 0

    def add(self, values: Sequence[float], weights: Sequence[int] | None) -> None:
        """Add the values, each as often as its weight says."""
        self.value += sum(values) if weights is None else sum(map(_times, values, weights))

    def write(self, point: Any, *, zero: bool) -> None:
        """Fill a ``NumberDataPoint``."""
        if isinstance(self.value, int):
            point.as_int = 0 if zero else min(self.value, _INT64_MAX)
        else:
            point.as_double = 0.0 if zero else self.value


def _times(value: float, weight: int) -> float:
    return value * weight


class ExplicitHistogram(_Base):
    """Counts in buckets with given upper bounds, which belong to their buckets."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, attributes: Attributes, now: Moment, bounds: Sequence[float]) -> None:
        super().__init__(attributes, now)
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, values: Sequence[float], weights: Sequence[int] | None) -> None:
        """Count finite values."""
        bounds, counts, total = self.bounds, self.counts, self.sum
        if weights is None:
            for value in values:
                counts[bisect_left(bounds, value)] += 1
                total += value
        else:
            for value, weight in zip(values, weights, strict=True):
                counts[bisect_left(bounds, value)] += weight
                total += value * weight
        self.sum = total

    def write(self, point: Any, *, zero: bool) -> None:
        """Fill a ``HistogramDataPoint``."""
        counts = [0] * len(self.counts) if zero else [min(count, _UINT64_MAX) for count in self.counts]
        point.explicit_bounds.extend(self.bounds)
        point.bucket_counts.extend(counts)
        point.count = min(sum(counts), _UINT64_MAX)
        point.sum = 0.0 if zero else self.sum


class ExponentialHistogram(_Base):
    """Counts in buckets whose width adapts; values are not negative."""

    __slots__ = ("buckets", "count", "max", "min", "sum", "zeros")

    def __init__(self, attributes: Attributes, now: Moment, max_size: int) -> None:
        super().__init__(attributes, now)
        self.buckets = Buckets(max_size)
        self.count = self.zeros = 0
        self.sum = 0.0
        self.min, self.max = math.inf, -math.inf

    def add(self, values: Sequence[float], weights: Sequence[int] | None) -> None:
        """Count finite values that are not negative."""
        for value, weight in zip(values, weights or [1] * len(values), strict=True):
            self.count += weight
            self.min, self.max = min(self.min, value), max(self.max, value)
            if value:
                self.sum += value * weight
                self.buckets.add(value, weight)
            else:
                self.zeros += weight

    def write(self, point: Any, *, zero: bool) -> None:
        """Fill an ``ExponentialHistogramDataPoint``."""
        point.sum = 0.0
        if zero or not self.count:
            return
        point.count, point.zero_count = min(self.count, _UINT64_MAX), min(self.zeros, _UINT64_MAX)
        point.sum, point.min, point.max = self.sum, self.min, self.max
        # Where there are only zeros the scale means nothing, and none is told.
        if self.count != self.zeros:
            point.scale = self.buckets.scale
            point.positive.offset = self.buckets.offset
            point.positive.bucket_counts.extend([min(count, _UINT64_MAX) for count in self.buckets.counts()])


def to_any_value(value: Value) -> AnyValue:
    """Return the ``AnyValue`` of an attribute; what OTLP has no value for becomes empty."""
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, str):
        return AnyValue(string_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, bytes):
        return AnyValue(bytes_value=value)
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=[to_any_value(one) for one in value]))
    if isinstance(value, Mapping):
        pairs = [KeyValue(key=key, value=to_any_value(one)) for key, one in value.items()]
        return AnyValue(kvlist_value=KeyValueList(values=pairs))
    return AnyValue()
