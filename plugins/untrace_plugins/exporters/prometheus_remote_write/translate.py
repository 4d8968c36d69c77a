"""From OTLP metrics to series, by the Collector's rules (pkg/translator/prometheusremotewrite). Pure."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable
from decimal import Decimal
from itertools import accumulate
from typing import Any

from untrace_pipeline.data import Batch
from untrace_plugins.exporters.prometheus_remote_write.config import RemoteWriteConfig
from untrace_plugins.exporters.prometheus_remote_write.series import (
    STALE,
    Metadata,
    NativeSample,
    Sample,
    Series,
    Writing,
)
from untrace_plugins.prometheus.labels import Labelling, Labels
from untrace_plugins.prometheus.names import metric_name
from untrace_plugins.prometheus.points import (
    Exemplar,
    Histogram,
    NativeHistogram,
    Number,
    Point,
    Summary,
    read_point,
)
from untrace_plugins.rows import Metric, PointRow, Source, read_points
from untrace_plugins.rows.points import CUMULATIVE

__all__ = ["Translator", "format_number"]

NAME = "__name__"
TARGET = "target_info"
_NO_RECORDED_VALUE = 1
"""Flag of a point that says that its series has ended."""
_LONGEST_EXEMPLAR = 128
"""Characters of an exemplar's labels (OpenMetrics, "Exemplars")."""


class Translator:
    """Makes series of metrics as the options say."""

    def __init__(self, config: RemoteWriteConfig) -> None:
        self._namespace = config.namespace
        self._translation = config.translation
        self._target_info = config.target_info.enabled
        self._labelling = Labelling(
            escapes=config.translation.escapes,
            scopes=not config.without_scope_info,
            conversion=config.resource_to_telemetry_conversion,
            constant=config.external_labels,
            constant_wins=False,
        )

    def translate(self, batch: Batch) -> Writing:
        """Return what is written for a batch. Raises :class:`DecodeError`."""
        request = _Request()
        outer: dict[int, list[tuple[str, str]]] = {}
        newest: dict[int, tuple[Source, int]] = {}
        for item, row in enumerate(read_points(batch)):
            reason = self._take(row, request, outer)
            if reason:
                request.refused[item] = reason
                continue
            resource, time = id(row.source.resource), row.data.time_unix_nano
            if resource not in newest or newest[resource][1] < time:
                newest[resource] = (row.source, time)
        if self._target_info:
            for source, nanos in newest.values():
                self._tell_target(source, nanos, request)
        return request.writing()

    def _take(self, row: PointRow, request: _Request, outer: dict[int, list[tuple[str, str]]]) -> str:
        """Take one point in; return why it cannot be written, empty if it can."""
        metric, source = row.metric, row.source
        if metric.kind not in {"gauge", "summary"} and metric.temporality != CUMULATIVE:
            return "temporality"
        name = self._name(metric)
        if not name:
            return "name"
        shared = outer.get(id(source))
        if shared is None:
            scope = self._labelling.of_scope(
                source.scope, source.scope_name, source.scope_version, source.scope_schema_url
            )
            shared = outer[id(source)] = [*self._labelling.of_resource(source.resource), *scope]
        labels = self._labelling.of_series(row.attributes, shared)
        try:
            point = read_point(metric.kind, row.data)
        except ValueError as error:
            return str(error)
        request.describe(name, Metadata(_type(metric), metric.description, metric.unit))
        start = 0 if _type(metric) == "gauge" else _millis(point.times.start)
        ended = bool(row.data.flags & _NO_RECORDED_VALUE)
        _Writer(request, name, labels, _millis(point.times.end), start, ended=ended).write(point, row.data)
        return ""

    def _name(self, metric: Metric) -> str:
        return metric_name(
            metric.name,
            metric.unit,
            counter=metric.kind == "sum" and metric.monotonic,
            gauge=metric.kind == "gauge",
            namespace=self._namespace,
            escapes=self._translation.escapes,
            suffixes=self._translation.suffixes,
        )

    def _tell_target(self, source: Source, nanos: int, request: _Request) -> None:
        target = self._labelling.target_info(source.resource, complete=False)
        if target is None or len(target[1]) == len(target[0]):  # nothing is told besides who it is
            return
        labels = {**self._labelling.constant, **dict(target[1])}
        name = f"{self._namespace}_{TARGET}" if self._namespace else TARGET
        request.describe(name, Metadata("gauge", "Target metadata", ""))
        request.at(name, name, labels.items()).samples.append(Sample(_millis(nanos), 1.0))


class _Request:
    """Collects series by their labels."""

    def __init__(self) -> None:
        self.refused: dict[int, str] = {}
        self._series: dict[Labels, Series] = {}
        self._metadata: dict[str, Metadata] = {}

    def describe(self, metric: str, metadata: Metadata) -> None:
        self._metadata.setdefault(metric, metadata)

    def at(self, metric: str, name: str, labels: Iterable[tuple[str, str]]) -> Series:
        """Return the series of a name and labels; those without a value are none."""
        key = tuple(sorted([(NAME, name), *[pair for pair in labels if pair[1]]]))
        found = self._series.get(key)
        if found is None:
            found = self._series[key] = Series(key, metric)
        return found

    def writing(self) -> Writing:
        for series in self._series.values():
            series.samples = _in_order(series.samples)
            series.histograms = _in_order(series.histograms)
            series.exemplars.sort(key=lambda one: one.nanos)
        return Writing(list(self._series.values()), self._metadata, self.refused)


class _Writer:
    """Writes the samples of one point."""

    def __init__(self, request: _Request, name: str, labels: Labels, time: int, start: int, *, ended: bool) -> None:
        self._request = request
        self._name = name
        self._labels = labels
        self._time, self._start = time, start
        self._ended = ended

    def write(self, point: Point, message: Any) -> None:
        match point:
            case Number():
                series = self._sample("", point.value)
                series.exemplars += map(_shortened, point.exemplars)
            case Histogram():
                self._histogram(point, with_sum=message.HasField("sum"))
            case NativeHistogram():
                series = self._request.at(self._name, self._name, self._labels)
                held = None if self._ended else point
                series.histograms.append(NativeSample(self._time, held, self._start))
                series.exemplars += map(_shortened, point.exemplars)
            case Summary():
                self._sample("_sum", point.sum)
                self._sample("_count", point.count)
                for quantile, value in point.quantiles:
                    self._sample("", value, ("quantile", format_number(quantile)))

    def _histogram(self, point: Histogram, *, with_sum: bool) -> None:
        if with_sum:
            self._sample("_sum", point.sum)
        self._sample("_count", point.count)
        bounds = [*map(format_number, point.bounds), "+Inf"]
        counts = [*accumulate(point.counts[:-1]), point.count]
        buckets = [self._sample("_bucket", count, ("le", bound)) for bound, count in zip(bounds, counts, strict=True)]
        for exemplar in point.exemplars:
            buckets[bisect_left(point.bounds, exemplar.value)].exemplars.append(_shortened(exemplar))

    def _sample(self, suffix: str, value: float, *more: tuple[str, str]) -> Series:
        labels = [*[pair for pair in self._labels if pair[0] != more[0][0]], *more] if more else self._labels
        series = self._request.at(self._name, f"{self._name}{suffix}", labels)
        series.samples.append(Sample(self._time, STALE if self._ended else float(value), self._start))
        return series


def format_number(value: float) -> str:
    """Return a bound or a quantile as the Collector writes it: never with an exponent, and without a point if whole."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    return f"{Decimal(repr(value)):f}".removesuffix(".0")


def _type(metric: Metric) -> str:
    if metric.kind == "sum":
        return "counter" if metric.monotonic else "gauge"
    return {"exponential_histogram": "histogram"}.get(metric.kind, metric.kind)


def _in_order(samples: list[Any]) -> list[Any]:
    """Return samples by time, one for each: of several the last, because it was told last."""
    return list({sample.time: sample for sample in sorted(samples, key=lambda one: one.time)}.values())


def _shortened(exemplar: Exemplar) -> Exemplar:
    fits = sum(len(name) + len(value) for name, value in exemplar.labels) <= _LONGEST_EXEMPLAR
    return exemplar if fits else Exemplar((), exemplar.value, exemplar.nanos)


def _millis(nanos: int) -> int:
    return nanos // 1_000_000
