"""An instrument: what a metric is called and how its series count."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from untrace_plugins.metrics.series import (
    Attributes,
    ExplicitHistogram,
    ExponentialHistogram,
    Moment,
    Series,
    Sum,
)

__all__ = ["Instrument", "counter", "explicit_histogram", "exponential_histogram"]

Make: TypeAlias = Callable[[Attributes, Moment], Series]


@dataclass(frozen=True, slots=True)
class Instrument:
    """One metric."""

    name: str
    unit: str
    description: str
    make: Make
    kind: str
    """The field of the OTLP ``Metric`` that holds its points."""
    zero_first: bool
    """Whether a new cumulative series is first told as zero, so that whoever computes rates sees it begin."""

    def points(self, metric: Any, temporality: int) -> Any:
        """Name a ``Metric``, and return its list of data points."""
        metric.name, metric.unit, metric.description = self.name, self.unit, self.description
        data = getattr(metric, self.kind)
        data.aggregation_temporality = temporality
        if self.kind == "sum":
            data.is_monotonic = True
        return data.data_points


def counter(name: str, unit: str = "", description: str = "") -> Instrument:
    """Return a sum that only grows."""
    return Instrument(name, unit, description, Sum, "sum", zero_first=True)


def explicit_histogram(
    name: str, unit: str, bounds: Sequence[float], description: str = "", *, zero_first: bool = False
) -> Instrument:
    """Return a histogram with these upper bounds, in ascending order."""
    make = partial(ExplicitHistogram, bounds=bounds)
    return Instrument(name, unit, description, make, "histogram", zero_first)


def exponential_histogram(
    name: str, unit: str, max_size: int, description: str = "", *, zero_first: bool = False
) -> Instrument:
    """Return a histogram of at most that many buckets, whose width adapts."""
    make = partial(ExponentialHistogram, max_size=max_size)
    return Instrument(name, unit, description, make, "exponential_histogram", zero_first)
