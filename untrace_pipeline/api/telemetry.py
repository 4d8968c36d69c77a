"""Metrics as components see them: named in a table, labelled by the engine, cheap to add to."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Aggregation", "Counter", "Gauge", "Histogram", "Meter", "MeterPart", "MetricKind", "MetricSpec"]


class MetricKind(enum.StrEnum):
    """Kind of a metric, in Prometheus' words."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Aggregation(enum.StrEnum):
    """What several together say of a metric, where each has a value for the same labels: worker processes, and the
    parts of a component that count by themselves."""

    SUM = "sum"
    """What each counted, added up: right for all counters and histograms, for fill and capacity."""
    MAX = "max"
    """The greatest: ages, lags, and flags that are raised where one is; what is the same everywhere."""
    MIN = "min"
    """The least: flags that need all."""
    OWN = "own"
    """Only what the supervisor itself says; workers count it too, and would count the same event again."""


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One metric; the core's stand in ``telemetry.table``, a plugin's in its factory."""

    name: str
    """Without prefix and without ``_total``: ``receiver_accepted_spans``; ends in a unit: ``_bytes``, ``_seconds``."""
    kind: MetricKind
    help: str
    """One sentence for operators."""
    labels: tuple[str, ...] = ()
    """All labels; the one that names the component (``receiver``, ``exporter`` …) is filled in by the engine."""
    buckets: tuple[float, ...] = ()
    """Upper bounds, for a histogram."""
    aggregation: Aggregation = Aggregation.SUM
    """How the values of several workers, or gauges of several parts, become one."""


class Counter(Protocol):
    """Only goes up."""

    def add(self, amount: float = 1) -> None:
        """Add to it; amount ≥ 0."""


class Gauge(Protocol):
    """Goes up and down."""

    def set(self, value: float) -> None:
        """Set it."""

    def observe_with(self, function: Callable[[], float]) -> None:
        """Let a function answer at each scrape instead; it must be quick."""


class Histogram(Protocol):
    """Counts values in buckets."""

    def record(self, value: float) -> None:
        """Record one value in the unit of its name."""


class Meter(Protocol):
    """Makes the metrics of one component. Raises ``KeyError`` for a name that is in no table, or a wrong label.

    Ask once, in the constructor, for each combination of labels that is known; children are cached.
    """

    def counter(self, name: str, **labels: str) -> Counter:
        """Return a counter."""

    def gauge(self, name: str, **labels: str) -> Gauge:
        """Return a gauge."""

    def histogram(self, name: str, **labels: str) -> Histogram:
        """Return a histogram."""

    def part(self) -> MeterPart:
        """Return a meter for one of several equal parts of the component, such as its backends.

        Counters and histograms are the component's own. Gauges of all parts become one, as the metric aggregates.
        """


class MeterPart(Meter, Protocol):
    """The meter of a part that may go before the component does."""

    def close(self) -> None:
        """Take the gauges of the part away; what it counted stays."""
