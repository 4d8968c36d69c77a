"""Series of all resources: found while spans come, written as one OTLP request when it is time.

Cumulative: points reach from the series' start to now, and series stay. Delta: points reach from the last flush, or
from the series' start if that is later, and everything begins anew (OTLP metrics data model, "Temporality").
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

from untrace_plugins.metrics.config import Temporality
from untrace_plugins.metrics.family import Family
from untrace_plugins.metrics.instruments import Instrument
from untrace_plugins.metrics.series import Attributes, Moment, Series, to_any_value

__all__ = ["AggregationSettings", "Aggregator", "ResourceMetrics"]


@dataclass(frozen=True, slots=True)
class AggregationSettings:
    """What both connectors let their users choose."""

    scope: str
    """Name of the instrumentation scope of what comes out."""
    temporality: Temporality
    cardinality_limit: int
    """Series per metric and resource; 0 = no limit."""
    resource_limit: int
    """Resources that are kept; the one not seen for longest goes, after it was told once more."""
    stamp_limit: int
    """Series whose last flush is remembered; delta only."""
    resource_expiration: float
    """Seconds after which a resource that was not seen is forgotten; 0 = never. Cumulative only."""
    series_expiration: float
    """The same for single series."""


class ResourceMetrics:
    """The metrics of one resource."""

    __slots__ = ("attributes", "families", "key", "seen")

    def __init__(self, key: Hashable, attributes: Attributes, families: Sequence[Family]) -> None:
        self.key = key
        self.attributes = attributes
        self.families = families
        """One per instrument, in their order."""
        self.seen = 0.0


class Aggregator:
    """Keeps the series of some instruments, by resource."""

    def __init__(self, instruments: Sequence[Instrument], settings: AggregationSettings) -> None:
        self._instruments = instruments
        self._settings = settings
        self.is_delta = settings.temporality is Temporality.DELTA
        """Whether points count from the last flush: then each flush is all there is of them."""
        self._resources: OrderedDict[Hashable, ResourceMetrics] = OrderedDict()
        self._leaving: dict[Hashable, ResourceMetrics] = {}
        self._stamps: OrderedDict[Hashable, int] = OrderedDict()
        self.flushes = 0
        """How often series were told; between two flushes none is forgotten, so that what was found may be kept."""

    @property
    def series_count(self) -> int:
        """How many series there are."""
        resources = (*self._resources.values(), *self._leaving.values())
        return sum(len(family) for one in resources for family in one.families)

    def resource(self, key: Hashable, attributes: Attributes, now: Moment) -> ResourceMetrics:
        """Return the metrics of a resource, by what tells it apart from others."""
        found = self._resources.get(key)
        if found is None:
            found = self._leaving.pop(key, None)
            if found is None:
                families = [Family(one, self._settings.cardinality_limit) for one in self._instruments]
                found = ResourceMetrics(key, attributes, families)
            self._resources[key] = found
            while len(self._resources) > self._settings.resource_limit:
                oldest, gone = self._resources.popitem(last=False)
                self._leaving[oldest] = gone
        else:
            self._resources.move_to_end(key)
        found.seen = now.seconds
        return found

    def flush(self, now: Moment, *, last: bool = False) -> bytes | None:
        """Return all points as a serialized request, or ``None`` if there are none, and forget what is over.

        ``last`` says that no other flush follows: then no series is told as zero first.
        """
        request = ExportMetricsServiceRequest()
        for resource in self._resources.values():
            self._write(request, resource, now, last=last)
        for resource in self._leaving.values():
            self._write(request, resource, now, last=True)
        self._forget(now)
        self.flushes += 1
        return request.SerializeToString() if request.resource_metrics else None

    # --------------------------------------------------------------- internal

    def _write(self, request: Any, resource: ResourceMetrics, now: Moment, *, last: bool) -> None:
        families = [family for family in resource.families if len(family)]
        if not families:
            return
        group = request.resource_metrics.add()
        group.resource.attributes.extend(_pairs(resource.attributes))
        scope = group.scope_metrics.add()
        scope.scope.name = self._settings.scope
        temporality = AggregationTemporality.Value(self._settings.temporality.value)
        for family in families:
            points = family.instrument.points(scope.metrics.add(), temporality)
            hides = family.instrument.zero_first and not self.is_delta and not last
            for key, series in family.series():
                start = self._start((resource.key, family.instrument.name, key), series, now)
                _write_point(points.add(), series, start, now, zero=hides and series.fresh)

    def _start(self, key: Hashable, series: Series, now: Moment) -> int:
        """Return the start of a point, and remember its end for the next one."""
        if not self.is_delta:
            return series.start
        start = self._stamps.pop(key, series.start)
        self._stamps[key] = now.nanos
        if len(self._stamps) > self._settings.stamp_limit:
            self._stamps.popitem(last=False)
        return start

    def _forget(self, now: Moment) -> None:
        self._leaving.clear()
        if self.is_delta:
            self._resources.clear()
            return
        settings = self._settings
        if settings.resource_expiration:
            before = now.seconds - settings.resource_expiration
            for key in [key for key, one in self._resources.items() if one.seen <= before]:
                del self._resources[key]
        for family in (family for one in self._resources.values() for family in one.families):
            if settings.series_expiration:
                family.expire(now.seconds - settings.series_expiration)
            for _, series in family.series():
                series.exemplars.clear()
                series.fresh = False


def _write_point(point: Any, series: Series, start: int, now: Moment, *, zero: bool) -> None:
    point.start_time_unix_nano, point.time_unix_nano = start, now.nanos
    point.attributes.extend(_pairs(series.attributes))
    series.write(point, zero=zero)
    for exemplar in series.exemplars:
        point.exemplars.add(
            trace_id=exemplar.trace_id,
            span_id=exemplar.span_id,
            as_double=exemplar.value,
            time_unix_nano=now.nanos,
        )


def _pairs(attributes: Attributes) -> list[KeyValue]:
    return [KeyValue(key=key, value=to_any_value(value)) for key, value in attributes.items()]
