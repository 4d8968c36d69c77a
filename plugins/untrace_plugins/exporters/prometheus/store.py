"""The last value of every series, by family."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

from untrace_pipeline.conditions.values import to_json
from untrace_pipeline.data.codecs.values import read_attributes
from untrace_plugins.exporters.prometheus.config import PrometheusConfig
from untrace_plugins.prometheus.labels import Labelling, Labels
from untrace_plugins.prometheus.names import metric_name
from untrace_plugins.prometheus.points import Number, Point, Times, read_point

__all__ = ["Family", "Sample", "Store"]

_DELTA = AggregationTemporality.Value("AGGREGATION_TEMPORALITY_DELTA")
_CUMULATIVE = AggregationTemporality.Value("AGGREGATION_TEMPORALITY_CUMULATIVE")
_NO_RECORDED_VALUE = 1
"""Flag of a point that says that its series has ended."""
_TYPES = {"gauge": "gauge", "histogram": "histogram", "exponential_histogram": "histogram", "summary": "summary"}
_ORIGINAL_TYPE = "prometheus.type"
"""Metadata of a gauge that came from Prometheus without a type."""


class Sample(NamedTuple):
    """A series, when it was last told, and by which resource."""

    point: Point
    seen: float
    resource: int = 0
    """Hash of all attributes of the resource."""


@dataclass(slots=True)
class Family:
    """All series of one name."""

    name: str
    type: str
    """As Prometheus says it: counter, gauge, histogram, summary or unknown."""
    help: str
    series: dict[Labels, Sample] = field(default_factory=dict)


class _Metric(NamedTuple):
    """What the points of one metric of a request have in common."""

    family: Family
    kind: str
    delta: bool
    outer: list[tuple[str, str]]
    resource: int


class Store:
    """What the page shows."""

    def __init__(self, config: PrometheusConfig) -> None:
        self._labelling = Labelling(
            escapes=config.translation.escapes,
            scopes=not config.without_scope_info,
            conversion=config.resource_to_telemetry_conversion,
            constant=config.const_labels,
        )
        self._translation = config.translation
        self._namespace = config.namespace
        self._expiration = config.metric_expiration
        self._families: dict[str, Family] = {}
        self._targets: dict[Labels, tuple[Labels, float]] = {}
        self._expiry = 0.0
        self.replaced = 0
        """Points in whose place one of another resource came."""

    @property
    def series_count(self) -> int:
        """How many series there are, without targets."""
        return sum(len(family.series) for family in self._families.values())

    def take(self, request: bytes, now: float) -> Mapping[str, int]:
        """Take the points of a request in; return how many are not shown, by reason."""
        if now >= self._expiry:  # also where nobody scrapes
            self.expire(now)
        dropped: Counter[str] = Counter()
        for group in ExportMetricsServiceRequest.FromString(request).resource_metrics:
            resource = read_attributes(group.resource.attributes)
            if (target := self._labelling.target_info(resource)) is not None:
                self._targets[target[0]] = (target[1], now)
            of_resource = self._labelling.of_resource(resource)
            told_by = hash(to_json(resource))
            for inner in group.scope_metrics:
                attributes = read_attributes(inner.scope.attributes)
                scope = self._labelling.of_scope(attributes, inner.scope.name, inner.scope.version, inner.schema_url)
                for metric in inner.metrics:
                    self._take_metric(metric, [*of_resource, *scope], told_by, now, dropped)
        return dropped

    def families(self, now: float) -> list[Family]:
        """Return copies of what is to be shown, by name; forgets what has not been told for too long."""
        self.expire(now)
        shown = [replace(family, series=dict(family.series)) for family in self._families.values()]
        if self._targets:
            name = metric_name(
                "target_info", "", counter=False, gauge=False, namespace=self._namespace, escapes=True, suffixes=False
            )
            point = Number(Times(0, 0), (), 1.0)
            series = {labels: Sample(point, seen) for labels, seen in self._targets.values()}
            shown.append(Family(name, "gauge", "Target metadata", series))
        return sorted(shown, key=lambda family: family.name)

    def expire(self, now: float) -> None:
        """Forget what has not been told for ``metric_expiration``."""
        before, self._expiry = now - self._expiration, now + self._expiration
        for family in self._families.values():
            family.series = {labels: sample for labels, sample in family.series.items() if sample.seen >= before}
        self._families = {name: family for name, family in self._families.items() if family.series}
        self._targets = {key: target for key, target in self._targets.items() if target[1] >= before}

    # --------------------------------------------------------------- internal

    def _take_metric(
        self, metric: Any, outer: list[tuple[str, str]], resource: int, now: float, dropped: Counter[str]
    ) -> None:
        kind = metric.WhichOneof("data")
        points = getattr(metric, kind).data_points if kind else ()
        found = self._find(metric, kind, outer, resource) if points else ""
        if isinstance(found, str):
            dropped[found] += len(points)
            return
        for point in points:
            reason = self._take_point(point, found, now)
            dropped[reason] += bool(reason)

    def _find(self, metric: Any, kind: str, outer: list[tuple[str, str]], resource: int) -> _Metric | str:
        """Return what the points have in common, or why they cannot be shown."""
        data = getattr(metric, kind)
        temporality = getattr(data, "aggregation_temporality", _CUMULATIVE)
        falling = kind == "sum" and not data.is_monotonic
        if temporality not in {_DELTA, _CUMULATIVE} or (falling and temporality == _DELTA):
            return "temporality"
        type_ = ("gauge" if falling else "counter") if kind == "sum" else _TYPES[kind]
        name = metric_name(
            metric.name,
            metric.unit,
            counter=type_ == "counter",
            gauge=kind == "gauge",
            namespace=self._namespace,
            escapes=self._translation.escapes,
            suffixes=self._translation.suffixes,
        )
        if not name:
            return "name"
        if kind == "gauge" and read_attributes(metric.metadata).get(_ORIGINAL_TYPE) == "unknown":
            type_ = "unknown"
        family = self._families.get(name)
        if family is None:
            family = self._families[name] = Family(name, type_, metric.description)
        if family.type != type_:
            return "type_conflict"
        return _Metric(family, kind, temporality == _DELTA, outer, resource)

    def _take_point(self, message: Any, metric: _Metric, now: float) -> str:
        """Take one point in; return why it cannot be shown, empty if it can."""
        labels = self._labelling.of_series(read_attributes(message.attributes), metric.outer)
        series = metric.family.series
        if message.flags & _NO_RECORDED_VALUE:
            series.pop(labels, None)
            return ""
        try:
            point = read_point(metric.kind, message)
        except ValueError as error:
            return str(error)
        known = series.get(labels)
        if known is not None and type(known.point) is type(point):
            late = known.point.times.end - point.times.end
            if late > 0 or (metric.delta and late == 0):
                return "stale"
            self.replaced += known.resource != metric.resource
            if metric.delta:
                point = known.point.plus(point)
            if not point.exemplars and known.point.exemplars:
                point = replace(point, exemplars=known.point.exemplars)  # type: ignore[type-var]
        series[labels] = Sample(point, now, metric.resource)
        return ""
