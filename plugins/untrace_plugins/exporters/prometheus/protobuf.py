"""The page as protobuf: delimited ``io.prometheus.client.MetricFamily`` messages, with native histograms.

The messages are those of ``prometheus/client_model`` (``metrics.proto``), whose Python package does not exist; they are
declared here as data, and protobuf makes the classes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import accumulate
from typing import Any

from untrace_plugins.exporters.prometheus.escaping import escape
from untrace_plugins.exporters.prometheus.negotiation import Escaping
from untrace_plugins.exporters.prometheus.store import Family
from untrace_plugins.prometheus.messages import message_classes
from untrace_plugins.prometheus.native import ZERO_THRESHOLD, bounded_count, spans_of
from untrace_plugins.prometheus.points import Exemplar, Histogram, NativeHistogram, Number, Point, Summary

__all__ = ["family_class", "render_protobuf"]

_TYPES = {"counter": 0, "gauge": 1, "summary": 2, "unknown": 3, "histogram": 4}
"""``MetricType``."""

_PACKAGE = "io.prometheus.client"
_MESSAGES: Mapping[str, Mapping[str, tuple[int, str]]] = {
    "LabelPair": {"name": (1, "string"), "value": (2, "string")},
    "Gauge": {"value": (1, "double")},
    "Counter": {"value": (1, "double"), "exemplar": (2, "Exemplar"), "created_timestamp": (3, "Timestamp")},
    "Quantile": {"quantile": (1, "double"), "value": (2, "double")},
    "Summary": {
        "sample_count": (1, "uint64"),
        "sample_sum": (2, "double"),
        "quantile": (3, "*Quantile"),
        "created_timestamp": (4, "Timestamp"),
    },
    "Untyped": {"value": (1, "double")},
    "Histogram": {
        "sample_count": (1, "uint64"),
        "sample_sum": (2, "double"),
        "bucket": (3, "*Bucket"),
        "schema": (5, "sint32"),
        "zero_threshold": (6, "double"),
        "zero_count": (7, "uint64"),
        "negative_span": (9, "*BucketSpan"),
        "negative_delta": (10, "*sint64"),
        "positive_span": (12, "*BucketSpan"),
        "positive_delta": (13, "*sint64"),
        "created_timestamp": (15, "Timestamp"),
        "exemplars": (16, "*Exemplar"),
    },
    "Bucket": {"cumulative_count": (1, "uint64"), "upper_bound": (2, "double"), "exemplar": (3, "Exemplar")},
    "BucketSpan": {"offset": (1, "sint32"), "length": (2, "uint32")},
    "Exemplar": {"label": (1, "*LabelPair"), "value": (2, "double"), "timestamp": (3, "Timestamp")},
    "Metric": {
        "label": (1, "*LabelPair"),
        "gauge": (2, "Gauge"),
        "counter": (3, "Counter"),
        "summary": (4, "Summary"),
        "untyped": (5, "Untyped"),
        "timestamp_ms": (6, "int64"),
        "histogram": (7, "Histogram"),
    },
    "MetricFamily": {"name": (1, "string"), "help": (2, "string"), "type": (3, "int32"), "metric": (4, "*Metric")},
}
"""Fields by message, as ``(number, type)``; a star repeats. The enum of types is an integer on the wire."""


def render_protobuf(families: Iterable[Family], escaping: Escaping, *, timestamps: bool) -> bytes:
    """Return the whole page: each family after its length as a varint."""
    pieces = []
    for family in families:
        body = _family(family, escaping, timestamps=timestamps).SerializeToString()
        pieces += [_varint(len(body)), body]
    return b"".join(pieces)


@cache
def family_class() -> Any:
    """Return the class of ``MetricFamily`` messages."""
    return message_classes("untrace/prometheus_client_model.proto", _PACKAGE, _MESSAGES, syntax="proto2")[
        "MetricFamily"
    ]


def _family(family: Family, escaping: Escaping, *, timestamps: bool) -> Any:
    name = escape(family.name, escaping)
    message = family_class()(name=name, help=family.help, type=_TYPES[family.type])
    for labels, sample in sorted(family.series.items()):
        metric = message.metric.add()
        for key, value in labels:
            metric.label.add(name=escape(key, escaping), value=value)
        if timestamps and sample.point.times.end:
            metric.timestamp_ms = sample.point.times.end // 1_000_000
        _fill(metric, family.type, sample.point)
    return message


def _fill(metric: Any, type_: str, point: Point) -> None:
    match point:
        case Number():
            _fill_number(getattr(metric, "untyped" if type_ == "unknown" else type_), type_, point)
        case Histogram():
            _fill_histogram(metric.histogram, point)
        case NativeHistogram():
            _fill_native(metric.histogram, point)
        case Summary():
            metric.summary.sample_count, metric.summary.sample_sum = bounded_count(point.count), point.sum
            for quantile, value in point.quantiles:
                metric.summary.quantile.add(quantile=quantile, value=value)
            _created(metric.summary, point)


def _fill_number(target: Any, type_: str, point: Number) -> None:
    target.value = point.value
    if type_ == "counter":
        _created(target, point)
        if point.exemplars:
            _fill_exemplar(target.exemplar, point.exemplars[-1])


def _fill_histogram(target: Any, point: Histogram) -> None:
    target.sample_count, target.sample_sum = bounded_count(point.count), point.sum
    _created(target, point)
    for bound, count in zip(point.bounds, accumulate(point.counts), strict=False):
        target.bucket.add(cumulative_count=bounded_count(count), upper_bound=bound)
    for exemplar in point.exemplars:
        place = bisect_left(point.bounds, exemplar.value)
        if place == len(target.bucket):
            target.bucket.add(cumulative_count=bounded_count(point.count), upper_bound=float("inf"))
        _fill_exemplar(target.bucket[place].exemplar, exemplar)


def _fill_native(target: Any, point: NativeHistogram) -> None:
    target.sample_count, target.sample_sum = bounded_count(point.count), point.sum
    target.schema, target.zero_count = point.scale, bounded_count(point.zero_count)
    target.zero_threshold = point.zero_threshold or ZERO_THRESHOLD
    _created(target, point)
    _fill_buckets(target.positive_span, target.positive_delta, point.positive)
    _fill_buckets(target.negative_span, target.negative_delta, point.negative)
    if not point.positive and not point.negative and not point.zero_count:
        target.positive_span.add(offset=0, length=0)  # tells it from a classic histogram without buckets
    for exemplar in point.exemplars:
        _fill_exemplar(target.exemplars.add(), exemplar)


def _fill_buckets(spans: Any, deltas: Any, buckets: Mapping[int, int]) -> None:
    found, differences = spans_of(buckets)
    for offset, length in found:
        spans.add(offset=offset, length=length)
    deltas.extend(differences)


def _fill_exemplar(target: Any, exemplar: Exemplar) -> None:
    target.Clear()
    for name, value in exemplar.labels:
        target.label.add(name=name, value=value)
    target.value = exemplar.value
    _fill_time(target.timestamp, exemplar.nanos)


def _created(target: Any, point: Point) -> None:
    if point.times.start:
        _fill_time(target.created_timestamp, point.times.start)


def _fill_time(target: Any, nanos: int) -> None:
    target.seconds, target.nanos = divmod(nanos, 10**9)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:  # noqa: PLR2004  seven bits per byte
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
