"""Samples as metrics of OTLP: which belong together, and what kind of metric they are.

As the Collector's ``prometheusreceiver`` 0.158 does it: names stay those of Prometheus.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from untrace_plugins.receivers.prometheus.series import Key, Sample, Series
from untrace_plugins.receivers.prometheus.text import LATEST_SECONDS, Exemplar, Metadata

__all__ = ["Families", "Family", "Form", "Point"]

_SUFFIXES = ("_bucket", "_count", "_sum", "_total", "_info", "_created")
_OWN = {
    "up": Metadata("gauge", "The scraping was successful"),
    "scrape_duration_seconds": Metadata("gauge", "Duration of the scrape", "seconds"),
    "scrape_samples_scraped": Metadata("gauge", "The number of samples the target exposed"),
    "scrape_samples_post_metric_relabeling": Metadata(
        "gauge", "The number of samples remaining after metric relabeling was applied"
    ),
    "scrape_series_added": Metadata("gauge", "The approximate number of new series in this scrape"),
}
"""Metrics of the scrape itself."""


class Form(Enum):
    """Kinds of metrics that OTLP has."""

    GAUGE = "gauge"
    SUM = "sum"
    MONOTONIC_SUM = "monotonic sum"
    HISTOGRAM = "histogram"
    SUMMARY = "summary"


_FORMS = {
    "counter": Form.MONOTONIC_SUM,
    "histogram": Form.HISTOGRAM,
    "summary": Form.SUMMARY,
    "info": Form.SUM,
    "stateset": Form.SUM,
}
_MANY = (Form.HISTOGRAM, Form.SUMMARY)
"""Several series make a point of these."""


@dataclass(slots=True, eq=False)
class Point:
    """A data point as it comes together."""

    attributes: Key
    timestamp: int
    """Milliseconds since 1970."""
    value: float | None = None
    count: float | None = None
    sum: float | None = None
    buckets: dict[float, float] = field(default_factory=dict)
    """By upper bound, or by quantile."""
    created: float = 0.0
    """Seconds since 1970; 0 = unknown."""
    exemplars: list[Exemplar] = field(default_factory=list)
    stale: bool = False


@dataclass(slots=True, eq=False)
class Family:
    """A metric."""

    name: str
    base: str
    """The name that the target gave its metadata under."""
    form: Form
    metadata: Metadata
    points: dict[Key, Point] = field(default_factory=dict)

    def add(self, sample: Sample, exemplar: Exemplar | None) -> None:
        """Add a sample to its point; one that says nothing about it, such as a bucket without bound, is left out."""
        series = sample.series
        many = self.form in _MANY
        key = series.plain if many else series.attributes
        point = self.points.get(key)
        if point is None:
            point = self.points[key] = Point(key, sample.timestamp)
        if sample.series.name == f"{self.base}_created" and self.form is not Form.GAUGE:
            point.created = sample.value if 0 < sample.value < LATEST_SECONDS else 0.0
        elif many:
            self._add_part(point, sample)
        else:
            point.value = sample.value
            point.stale = sample.stale
        if exemplar is not None:
            point.exemplars.append(exemplar)

    def _add_part(self, point: Point, sample: Sample) -> None:
        name = sample.series.name
        if name.endswith("_sum"):
            point.sum = sample.value
            point.stale |= sample.stale
        elif name.endswith("_count"):
            point.count = sample.value
            point.timestamp = sample.timestamp
            point.stale |= sample.stale
        else:
            bound = _bound(sample.series, "le" if self.form is Form.HISTOGRAM else "quantile")
            if bound is not None:
                point.buckets[bound] = sample.value


class Families:
    """All metrics of a scrape, by resource (job and instance) and scope."""

    def __init__(self, metadata: Mapping[str, Metadata]) -> None:
        self._metadata = metadata
        self.groups: dict[tuple[str, str], dict[Key, dict[str, Family]]] = {}
        self.resources: dict[tuple[str, str], dict[str, str]] = {}
        """Attributes of resources, from ``target_info``."""
        self._placed: dict[str, tuple[str, str, Form, Metadata]] = {}

    def add(self, sample: Sample, exemplar: Exemplar | None = None) -> None:
        """Add a sample to its metric."""
        series = sample.series
        resource = (series.job, series.instance)
        if series.name == "target_info":
            self.resources.setdefault(resource, {}).update(series.info)
            return
        name, base, form, metadata = self._placed.get(series.name) or self._place(series.name)
        families = self.groups.setdefault(resource, {}).setdefault(series.scope, {})
        family = families.get(name)
        if family is None:
            family = families[name] = Family(name, base, form, metadata)
        family.add(sample, exemplar)

    def _place(self, name: str) -> tuple[str, str, Form, Metadata]:
        """Return name, base, kind and metadata of the metric that a sample of this name belongs to."""
        metadata = _OWN.get(name) or self._metadata.get(name)
        placed = (name, name)
        if metadata is None:
            base = next((name.removesuffix(one) for one in _SUFFIXES if name.endswith(one) and name != one), name)
            metadata = self._metadata.get(base)
            if metadata is None:
                metadata = Metadata()
            elif metadata.type != "counter":
                placed = (base, base)
            else:
                placed = (f"{base}_total" if name.endswith("_created") else name, base)
        found = self._placed[name] = (*placed, _FORMS.get(metadata.type, Form.GAUGE), metadata)
        return found


def _bound(series: Series, label: str) -> float | None:
    try:
        return float(series.boundaries[label])
    except (KeyError, ValueError):
        return None
