"""The messages of Remote-Write 1.0 (``prompb/remote.proto``) and 2.0 (``io/prometheus/write/v2/types.proto``). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from untrace_plugins.exporters.prometheus_remote_write.series import STALE, NativeSample, Series, Writing
from untrace_plugins.prometheus.messages import Messages, message_classes
from untrace_plugins.prometheus.native import ZERO_THRESHOLD, bounded_count, spans_of

__all__ = ["classes_v1", "classes_v2", "encode_v1", "encode_v2"]

_HISTOGRAM: Mapping[str, tuple[int, str]] = {
    "count_int": (1, "uint64"),
    "sum": (3, "double"),
    "schema": (4, "sint32"),
    "zero_threshold": (5, "double"),
    "zero_count_int": (6, "uint64"),
    "negative_spans": (8, "*BucketSpan"),
    "negative_deltas": (9, "*sint64"),
    "positive_spans": (11, "*BucketSpan"),
    "positive_deltas": (12, "*sint64"),
    "timestamp": (15, "int64"),
}
_SPAN: Mapping[str, tuple[int, str]] = {"offset": (1, "sint32"), "length": (2, "uint32")}
_V1: Messages = {
    "WriteRequest": {"timeseries": (1, "*TimeSeries"), "metadata": (3, "*MetricMetadata")},
    "TimeSeries": {
        "labels": (1, "*Label"),
        "samples": (2, "*Sample"),
        "exemplars": (3, "*Exemplar"),
        "histograms": (4, "*Histogram"),
    },
    "Label": {"name": (1, "string"), "value": (2, "string")},
    "Sample": {"value": (1, "double"), "timestamp": (2, "int64")},
    "Exemplar": {"labels": (1, "*Label"), "value": (2, "double"), "timestamp": (3, "int64")},
    "MetricMetadata": {
        "type": (1, "int32"),
        "metric_family_name": (2, "string"),
        "help": (4, "string"),
        "unit": (5, "string"),
    },
    "Histogram": _HISTOGRAM,
    "BucketSpan": _SPAN,
}
_V2: Messages = {
    "Request": {"symbols": (4, "*string"), "timeseries": (5, "*TimeSeries")},
    "TimeSeries": {
        "labels_refs": (1, "*uint32"),
        "samples": (2, "*Sample"),
        "histograms": (3, "*Histogram"),
        "exemplars": (4, "*Exemplar"),
        "metadata": (5, "Metadata"),
    },
    "Sample": {"value": (1, "double"), "timestamp": (2, "int64"), "start_timestamp": (3, "int64")},
    "Exemplar": {"labels_refs": (1, "*uint32"), "value": (2, "double"), "timestamp": (3, "int64")},
    "Metadata": {"type": (1, "int32"), "help_ref": (3, "uint32"), "unit_ref": (4, "uint32")},
    "Histogram": {**_HISTOGRAM, "start_timestamp": (17, "int64")},
    "BucketSpan": _SPAN,
}
_TYPES = {"unknown": 0, "counter": 1, "gauge": 2, "histogram": 3, "summary": 5}
"""``MetricType`` of both versions."""


@cache
def classes_v1() -> Mapping[str, Any]:
    """Return the classes of 1.0."""
    return message_classes("untrace/remote_write_1.proto", "prometheus", _V1, syntax="proto3")


@cache
def classes_v2() -> Mapping[str, Any]:
    """Return the classes of 2.0."""
    return message_classes("untrace/remote_write_2.proto", "io.prometheus.write.v2", _V2, syntax="proto3")


def encode_v1(writing: Writing, *, metadata: bool) -> bytes:
    """Return the message of 1.0."""
    request = classes_v1()["WriteRequest"]()
    for series in writing.series:
        written = request.timeseries.add()
        _add_labels(written.labels, series.labels)
        for sample in series.samples:
            written.samples.add(value=sample.value, timestamp=sample.time)
        for native in series.histograms:
            _fill_native(written.histograms.add(), native)
        for exemplar in series.exemplars:
            added = written.exemplars.add(value=exemplar.value, timestamp=exemplar.nanos // 1_000_000)
            _add_labels(added.labels, exemplar.labels)
    if metadata:
        for name, told in writing.metadata.items():
            request.metadata.add(type=_TYPES[told.type], metric_family_name=name, help=told.help, unit=told.unit)
    data: bytes = request.SerializeToString()
    return data


def encode_v2(writing: Writing) -> bytes:
    """Return the message of 2.0, in which each text stands once."""
    request = classes_v2()["Request"]()
    symbols: dict[str, int] = {"": 0}
    for series in writing.series:
        written = request.timeseries.add(labels_refs=_references(series.labels, symbols))
        for sample in series.samples:
            written.samples.add(value=sample.value, timestamp=sample.time, start_timestamp=sample.start)
        for native in series.histograms:
            added = written.histograms.add(start_timestamp=native.start)
            _fill_native(added, native)
        for exemplar in series.exemplars:
            references = _references(exemplar.labels, symbols)
            written.exemplars.add(labels_refs=references, value=exemplar.value, timestamp=exemplar.nanos // 1_000_000)
        _describe(written, series, writing, symbols)
    request.symbols.extend(symbols)
    data: bytes = request.SerializeToString()
    return data


def _describe(written: Any, series: Series, writing: Writing, symbols: dict[str, int]) -> None:
    told = writing.metadata[series.metric]
    written.metadata.type = _TYPES[told.type]
    written.metadata.help_ref = symbols.setdefault(told.help, len(symbols))
    written.metadata.unit_ref = symbols.setdefault(told.unit, len(symbols))


def _references(labels: Iterable[tuple[str, str]], symbols: dict[str, int]) -> list[int]:
    return [symbols.setdefault(text, len(symbols)) for pair in labels for text in pair]


def _add_labels(target: Any, labels: Iterable[tuple[str, str]]) -> None:
    for name, value in labels:
        target.add(name=name, value=value)


def _fill_native(target: Any, sample: NativeSample) -> None:
    target.timestamp = sample.time
    histogram = sample.histogram
    if histogram is None:
        target.sum = STALE
        return
    target.count_int, target.sum = bounded_count(histogram.count), histogram.sum
    target.schema, target.zero_count_int = histogram.scale, bounded_count(histogram.zero_count)
    target.zero_threshold = histogram.zero_threshold or ZERO_THRESHOLD
    for side, buckets in (("positive", histogram.positive), ("negative", histogram.negative)):
        spans, deltas = spans_of(buckets)
        for offset, length in spans:
            getattr(target, f"{side}_spans").add(offset=offset, length=length)
        getattr(target, f"{side}_deltas").extend(deltas)
