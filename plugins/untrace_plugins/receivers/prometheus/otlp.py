"""Metrics of a scrape as an OTLP request."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, DataPointFlags

from untrace_plugins.receivers.prometheus.families import Families, Family, Form, Point
from untrace_plugins.receivers.prometheus.series import Key, Starts
from untrace_plugins.receivers.prometheus.text import Exemplar

__all__ = ["compose", "resource_attributes"]

SCOPE = "untrace-pipeline/prometheus"
"""Without a version: series would change their identity with each release."""
KNOWN_LABELS = 1 << 16
"""Sets of labels that are kept ready, about 1 KB each: making them is most of what a point costs."""
_CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
_NO_VALUE = DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
_UINT64 = 2.0**64
_UNITS = {
    "days": "d",
    "hours": "h",
    "minutes": "min",
    "seconds": "s",
    "milliseconds": "ms",
    "microseconds": "us",
    "nanoseconds": "ns",
    "bytes": "By",
    "kibibytes": "KiBy",
    "mebibytes": "MiBy",
    "gibibytes": "GiBy",
    "tibibytes": "TiBy",
    "kilobytes": "KBy",
    "megabytes": "MBy",
    "gigabytes": "GBy",
    "terabytes": "TBy",
    "meters": "m",
    "volts": "V",
    "amperes": "A",
    "joules": "J",
    "watts": "W",
    "grams": "g",
    "celsius": "Cel",
    "hertz": "Hz",
    "ratio": "1",
    "percent": "%",
}
"""Words of OpenMetrics as units of UCUM."""


def compose(families: Families, scheme: str, starts: Starts) -> bytes:
    """Return a request of all points."""
    request = ExportMetricsServiceRequest()
    for (job, instance), scopes in families.groups.items():
        group = request.resource_metrics.add()
        own = resource_attributes(job, instance, scheme)
        group.resource.attributes.extend(_pairs({**own, **families.resources.get((job, instance), {})}.items()))
        for labels, metrics in scopes.items():
            scoped = group.scope_metrics.add()
            _fill_scope(scoped, labels)
            for family in metrics.values():
                _Writer(scoped.metrics.add(), family, starts, (job, instance, labels)).write()
    return request.SerializeToString()


def resource_attributes(job: str, instance: str, scheme: str) -> dict[str, str]:
    """Return what is known of a target. An address that says nothing to others is left out."""
    host, colon, port = instance.rpartition(":")
    if not colon:
        host, port = instance, ""
    host = host.removeprefix("[").removesuffix("]")
    found = {"service.name": job, "service.instance.id": instance, "server.port": port, "url.scheme": scheme}
    if _is_discernible(host):
        found["server.address"] = host
    return found


def _is_discernible(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host != "localhost"
    return not (address.is_loopback or address.is_unspecified)


def _fill_scope(scoped: Any, labels: Key) -> None:
    if not labels:
        scoped.scope.name = SCOPE
        return
    given = {name.removeprefix("otel_scope_"): value for name, value in labels}
    scoped.scope.name, scoped.scope.version, scoped.schema_url = (
        given.pop(one, "") for one in ("name", "version", "schema_url")
    )
    scoped.scope.attributes.extend(_pairs(given.items()))


class _Writer:
    """Writes the points of one metric."""

    def __init__(self, metric: Any, family: Family, starts: Starts, place: object) -> None:
        self._family = family
        self._starts = starts
        self._place = place
        metric.name = family.name
        metric.description = family.metadata.help
        metric.unit = _UNITS.get(family.metadata.unit, family.metadata.unit)
        metric.metadata.append(KeyValue(key="prometheus.type", value=AnyValue(string_value=family.metadata.type)))
        self._metric = metric

    def write(self) -> None:
        """Write all points that say something."""
        form = self._family.form
        points = self._family.points.values()
        if form is Form.HISTOGRAM:
            self._metric.histogram.aggregation_temporality = _CUMULATIVE
            self._write_all(points, self._metric.histogram.data_points, self._histogram)
        elif form is Form.SUMMARY:
            self._write_all(points, self._metric.summary.data_points, self._summary)
        elif form is Form.GAUGE:
            self._metric.gauge.SetInParent()
            self._write_all(points, self._metric.gauge.data_points, self._number)
        else:
            self._metric.sum.aggregation_temporality = _CUMULATIVE
            self._metric.sum.is_monotonic = form is Form.MONOTONIC_SUM
            self._write_all(points, self._metric.sum.data_points, self._number)

    def _write_all(self, points: Iterable[Point], target: Any, write: Any) -> None:
        for point in points:
            if (point.count if self._family.form in (Form.HISTOGRAM, Form.SUMMARY) else point.value) is None:
                continue
            data = target.add()
            data.time_unix_nano = point.timestamp * 1_000_000
            data.attributes.extend(_known_pairs(point.attributes))
            if point.stale:
                data.flags = _NO_VALUE
                self._starts.forget(self._key(point))
            write(point, data)

    def _key(self, point: Point) -> object:
        return (self._place, self._family.name, point.attributes)

    def _start(self, point: Point, total: float) -> int:
        """Return when a cumulative point began; what is stale began never."""
        if point.stale or math.isnan(total):
            return 0
        return self._starts.of(self._key(point), total, point.timestamp * 1_000_000, int(point.created * 1e9))

    def _number(self, point: Point, data: Any) -> None:
        value = point.value or 0.0
        if self._family.form is Form.MONOTONIC_SUM:
            data.start_time_unix_nano = self._start(point, value)
        if not point.stale:
            data.as_double = value
            data.exemplars.extend(_exemplar(one, point) for one in point.exemplars)

    def _histogram(self, point: Point, data: Any) -> None:
        count = point.count or 0.0
        bounds = sorted(bound for bound in point.buckets if not math.isinf(bound) or bound < 0)
        data.explicit_bounds.extend(bounds)
        if point.stale:
            data.bucket_counts.extend([0] * (len(bounds) + 1))
            return
        data.start_time_unix_nano = self._start(point, count)
        before = 0.0
        for bound in bounds:
            data.bucket_counts.append(_whole(point.buckets[bound] - before))
            before = point.buckets[bound]
        data.bucket_counts.append(_whole(count - before))
        data.count = _whole(count)
        if point.sum is not None:
            data.sum = point.sum
        data.exemplars.extend(_exemplar(one, point) for one in point.exemplars)

    def _summary(self, point: Point, data: Any) -> None:
        for quantile in sorted(point.buckets):
            value = 0.0 if point.stale else point.buckets[quantile]
            data.quantile_values.add(quantile=quantile, value=value)
        if point.stale:
            return
        data.start_time_unix_nano = self._start(point, point.count or 0.0)
        data.count = _whole(point.count or 0.0)
        if point.sum is not None:
            data.sum = point.sum


def _whole(count: float) -> int:
    """Return a count of things; what is none is 0."""
    return int(count) if 0 < count < _UINT64 else 0


def _exemplar(one: Exemplar, point: Point) -> Any:
    from opentelemetry.proto.metrics.v1.metrics_pb2 import Exemplar as Message  # noqa: PLC0415

    message = Message(as_double=one.value)
    message.time_unix_nano = int(one.timestamp * 1e9) if one.timestamp else point.timestamp * 1_000_000
    for name, value in one.labels.items():
        id = _id(value, {"trace_id": 16, "span_id": 8}.get(name.lower(), 0))  # noqa: A001
        if id:
            setattr(message, name.lower(), id)
        else:
            message.filtered_attributes.append(KeyValue(key=name, value=AnyValue(string_value=value)))
    return message


def _id(value: str, size: int) -> bytes:
    """Return an id of hexadecimal digits: the first of too many, with zeros before too few; nothing for none."""
    try:
        return bytes.fromhex(value)[:size].rjust(size, b"\0") if size else b""
    except ValueError:
        return b""


@lru_cache(maxsize=KNOWN_LABELS)
def _known_pairs(labels: Key) -> tuple[KeyValue, ...]:
    """Return what :func:`_pairs` does of labels that come again with the next scrape; must not be changed."""
    return tuple(_pairs(labels))


def _pairs(labels: Iterable[tuple[str, str]]) -> list[KeyValue]:
    return [KeyValue(key=name, value=AnyValue(string_value=value)) for name, value in labels if value]
