"""Data points as the page keeps them: immutable, and able to take in a delta."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Protocol, Self

__all__ = ["Exemplar", "Histogram", "NativeHistogram", "Number", "Point", "Summary", "read_point"]

FINEST_SCALE, COARSEST_SCALE = 8, -4
"""Of Prometheus' native histograms."""
_MAX_EXPONENT = 1075
"""All doubles lie between 2**-1075 and 2**1075."""


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A measurement, and the span that it was made in."""

    labels: tuple[tuple[str, str], ...]
    value: float
    nanos: int


@dataclass(frozen=True, slots=True)
class Times:
    """When a point begins and ends, nanoseconds since the Unix epoch; a start of 0 is unknown."""

    start: int
    end: int


class Point(Protocol):
    """What all kinds have in common."""

    @property
    def times(self) -> Times:
        """Beginning and end."""

    @property
    def exemplars(self) -> tuple[Exemplar, ...]:
        """Measurements that stand for it."""

    def plus(self, delta: Self) -> Self:
        """Return this point with a delta of the same kind added."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number: of a sum or a gauge."""

    times: Times
    exemplars: tuple[Exemplar, ...]
    value: float

    def plus(self, delta: Number) -> Number:
        """Return the sum."""
        return replace(delta, times=_joined(self.times, delta.times), value=self.value + delta.value)


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts per bucket, not cumulative; the last bucket has no bound."""

    times: Times
    exemplars: tuple[Exemplar, ...]
    count: int
    sum: float
    bounds: tuple[float, ...]
    counts: tuple[int, ...]

    def plus(self, delta: Histogram) -> Histogram:
        """Return the sum, or the delta alone where the bounds have changed."""
        if self.bounds != delta.bounds:
            return delta
        return replace(
            delta,
            times=_joined(self.times, delta.times),
            count=self.count + delta.count,
            sum=self.sum + delta.sum,
            counts=tuple([a + b for a, b in zip(self.counts, delta.counts, strict=True)]),
        )


@dataclass(frozen=True, slots=True)
class NativeHistogram:
    """Counts in exponential buckets, by their index in OTLP's numbering; at most Prometheus' finest scale."""

    times: Times
    exemplars: tuple[Exemplar, ...]
    count: int
    sum: float
    scale: int
    zero_count: int
    zero_threshold: float
    positive: Mapping[int, int]
    negative: Mapping[int, int]

    def at(self, scale: int) -> NativeHistogram:
        """Return the same at a coarser scale."""
        shift = self.scale - scale
        if shift <= 0:
            return self
        positive, negative = (_coarser(buckets, shift) for buckets in (self.positive, self.negative))
        return replace(self, scale=scale, positive=positive, negative=negative)

    def plus(self, delta: NativeHistogram) -> NativeHistogram:
        """Return the sum, at the coarser of both scales."""
        scale = min(self.scale, delta.scale)
        one, other = self.at(scale), delta.at(scale)
        return replace(
            other,
            times=_joined(self.times, delta.times),
            count=one.count + other.count,
            sum=one.sum + other.sum,
            zero_count=one.zero_count + other.zero_count,
            zero_threshold=max(one.zero_threshold, other.zero_threshold),
            positive=_sum(one.positive, other.positive),
            negative=_sum(one.negative, other.negative),
        )


@dataclass(frozen=True, slots=True)
class Summary:
    """Quantiles that somebody else computed."""

    times: Times
    exemplars: tuple[Exemplar, ...]
    count: int
    sum: float
    quantiles: tuple[tuple[float, float], ...]

    def plus(self, delta: Summary) -> Summary:
        """Return the delta: summaries have none."""
        return delta


def read_point(kind: str, point: Any) -> Point:
    """Return a point of an OTLP metric; ``kind`` is the field of the metric. Raises ``ValueError`` where it is odd."""
    times = Times(point.start_time_unix_nano, point.time_unix_nano)
    if kind == "summary":
        quantiles = {one.quantile: one.value for one in point.quantile_values}
        return Summary(times, (), point.count, point.sum, tuple(sorted(quantiles.items())))
    exemplars = tuple([_exemplar(one) for one in point.exemplars])
    if kind == "histogram":
        bounds, counts = _ordered(point.explicit_bounds, point.bucket_counts)
        return Histogram(times, exemplars, point.count, point.sum, bounds, counts)
    if kind == "exponential_histogram":
        return _native(times, exemplars, point)
    value = float(point.as_int) if point.WhichOneof("value") == "as_int" else point.as_double
    return Number(times, exemplars, value)


def _native(times: Times, exemplars: tuple[Exemplar, ...], point: Any) -> NativeHistogram:
    if point.scale < COARSEST_SCALE:
        msg = "scale"
        raise ValueError(msg)
    read = NativeHistogram(
        times,
        exemplars,
        point.count,
        point.sum,
        point.scale,
        point.zero_count,
        point.zero_threshold,
        _buckets(point.positive),
        _buckets(point.negative),
    )
    fine = read.at(FINEST_SCALE)
    return replace(fine, positive=_within(fine.positive, fine.scale), negative=_within(fine.negative, fine.scale))


def _buckets(buckets: Any) -> dict[int, int]:
    return {buckets.offset + place: count for place, count in enumerate(buckets.bucket_counts) if count}


def _within(buckets: Mapping[int, int], scale: int) -> Mapping[int, int]:
    """Return buckets with those that no double lies in at the ends of the range of doubles."""
    end = _MAX_EXPONENT << max(scale, 0)
    if all(-end <= index <= end for index in buckets):
        return buckets
    merged: dict[int, int] = {}
    for index, count in buckets.items():
        nearest = max(-end, min(index, end))
        merged[nearest] = merged.get(nearest, 0) + count
    return merged


def _ordered(bounds: Sequence[float], counts: Sequence[int]) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Return bounds in ascending order, each once, with one count more than there are bounds."""
    if not bounds:
        return (), (sum(counts),)
    if len(counts) != len(bounds) + 1:
        msg = "malformed"
        raise ValueError(msg)
    if all(low < high for low, high in pairwise(bounds)):
        return tuple(bounds), tuple(counts)
    by_bound = dict(reversed(list(zip(bounds, counts, strict=False))))
    ordered = sorted(by_bound)
    return tuple(ordered), (*[by_bound[bound] for bound in ordered], counts[-1])


def _exemplar(one: Any) -> Exemplar:
    ids = (("span_id", one.span_id), ("trace_id", one.trace_id))
    value = float(one.as_int) if one.WhichOneof("value") == "as_int" else one.as_double
    return Exemplar(tuple([(name, value_.hex()) for name, value_ in ids if any(value_)]), value, one.time_unix_nano)


def _joined(one: Times, delta: Times) -> Times:
    return Times(one.start, delta.end)


def _coarser(buckets: Mapping[int, int], shift: int) -> dict[int, int]:
    merged: dict[int, int] = {}
    for index, count in buckets.items():
        merged[index >> shift] = merged.get(index >> shift, 0) + count
    return merged


def _sum(one: Mapping[int, int], other: Mapping[int, int]) -> dict[int, int]:
    return {index: one.get(index, 0) + other.get(index, 0) for index in {*one, *other}}
