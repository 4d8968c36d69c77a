"""The connector ``span_metrics``."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from itertools import compress
from typing import TypeAlias

from untrace_pipeline.api import Consumer, Host, PipelineId, Settings
from untrace_pipeline.conditions.values import as_string
from untrace_pipeline.data import Batch, Level, Value
from untrace_plugins.connectors.span_metrics.columns import EventRows, Reader, SpanRows, Spans
from untrace_plugins.connectors.span_metrics.config import SpanMetricsConfig
from untrace_plugins.metrics.aggregation import AggregationSettings, Aggregator, ResourceMetrics
from untrace_plugins.metrics.dimensions import Columns, Dimensions, ResourceRows, Rows
from untrace_plugins.metrics.emission import Emission, present
from untrace_plugins.metrics.instruments import Instrument, counter, explicit_histogram, exponential_histogram
from untrace_plugins.metrics.names import INSTANCE_ID, SERVICE_NAME
from untrace_plugins.metrics.series import Attributes, Exemplar, Moment, Series

__all__ = ["SpanMetricsConnector"]

SCOPE = "spanmetricsconnector"
"""The Collector's, so that nobody's queries change."""

Owners: TypeAlias = Sequence[ResourceMetrics | None]
Places: TypeAlias = Sequence[int]


class SpanMetricsConnector:
    """Counts every span, and tells the counts at intervals."""

    def __init__(self, config: SpanMetricsConfig, settings: Settings, outputs: Mapping[PipelineId, Consumer]) -> None:
        self._config = config
        self._logger = settings.logger
        self._reader = Reader(config, str(uuid.uuid4()))
        self._key_attributes = sorted(set(config.resource_metrics_key_attributes))
        self._exemplars = config.exemplars.max_per_data_point if config.exemplars.enabled else 0
        self._common = Dimensions(config.dimensions)
        self._of_calls = Dimensions(config.calls_dimensions)
        self._of_durations = Dimensions(config.histogram.dimensions)
        self._of_events = Dimensions(config.events.dimensions)
        instruments = _instruments(config)
        self._places = {name: place for place, name in enumerate(instruments)}
        self._aggregator = Aggregator(list(instruments.values()), _settings(config))
        self._emission = Emission(self._aggregator, config.metrics_flush_interval, settings, outputs)
        self._skipped = settings.meter.counter("connector_skipped_spans", reason="no_service_name")
        self._overflowing = settings.meter.counter("connector_overflow_spans")

    async def start(self, host: Host) -> None:
        """Begin to tell."""
        if host.workers.count > 1 and INSTANCE_ID in self._config.exclude_dimensions:
            self._reader.keep_instance()
            self._logger.warning("%s stays a dimension: several workers count, each for itself", INSTANCE_ID)
        self._emission.start(host)

    async def shutdown(self) -> None:
        """Tell what was counted since, and end."""
        await self._emission.stop()

    async def consume(self, batch: Batch) -> None:
        """Count the spans. Raises :class:`DecodeError`."""
        if not batch.item_count:
            return
        spans = self._reader.read(batch)
        now = present()
        owners = self._owners(spans, now)
        around = ResourceRows(spans.resources, spans.owners)
        rows = SpanRows(batch)
        common = self._common.read([rows, around])
        self._count_calls(spans, owners, [common, self._of_calls.read([rows, around])], now)
        if "duration" in self._places:
            self._count_durations(spans, owners, [common, self._of_durations.read([rows, around])], now)
        if "events" in self._places:
            self._count_events(spans, owners, now)

    # --------------------------------------------------------------- counting

    def _count_calls(self, spans: Spans, owners: Owners, dimensions: Sequence[Columns], now: Moment) -> None:
        weights = spans.weights
        for series, rows, own in self._series("calls", spans, owners, dimensions, now):
            series.add([len(rows) if weights is None else sum(weights[row] for row in rows)], None)
            if own:
                self._exemplify(series, spans, rows)
            else:
                self._overflowing.add(len(rows))

    def _count_durations(self, spans: Spans, owners: Owners, dimensions: Sequence[Columns], now: Moment) -> None:
        durations, weights = spans.durations, spans.weights
        for series, rows, own in self._series("duration", spans, owners, dimensions, now):
            series.add([durations[row] for row in rows], None if weights is None else [weights[row] for row in rows])
            if own:
                self._exemplify(series, spans, rows)

    def _count_events(self, spans: Spans, owners: Owners, now: Moment) -> None:
        of_spans = spans.batch.parents(Level.EVENT, Level.ITEM)
        if not of_spans:
            return
        sources: list[Rows] = [
            SpanRows(spans.batch, of_spans),
            EventRows(spans.batch),
            ResourceRows(spans.resources, [spans.owners[span] for span in of_spans]),
        ]
        dimensions = [self._common.read(sources), self._of_events.read(sources)]
        keys = [*([column[span] for span in of_spans] for column in spans.key_columns()), *_keys(dimensions)]

        def attributes(row: int) -> Attributes:
            return spans.attributes(of_spans[row]) | _attributes(dimensions, row)

        resources = [owners[span] for span in of_spans]
        for series, rows, own in self._find("events", keys, resources, attributes, now):
            parents = [of_spans[row] for row in rows]
            series.add([len(rows) if spans.weights is None else sum(spans.weights[span] for span in parents)], None)
            if own:
                self._exemplify(series, spans, parents)

    def _exemplify(self, series: Series, spans: Spans, rows: Places) -> None:
        for row in rows if spans.trace_ids else ():
            if len(series.exemplars) >= self._exemplars:
                return
            trace_id, span_id = spans.trace_ids[row], spans.span_ids[row]
            if trace_id and isinstance(trace_id, bytes) and isinstance(span_id, bytes):
                series.exemplars.append(Exemplar(trace_id, span_id, spans.durations[row]))

    # ---------------------------------------------------------------- finding

    def _owners(self, spans: Spans, now: Moment) -> Owners:
        """Return the metrics that each span belongs to; ``None`` for a resource without ``service.name``."""
        known = [
            self._aggregator.resource(self._resource_key(one), one, now) if SERVICE_NAME in one else None
            for one in spans.resources
        ]
        owners = [known[owner] for owner in spans.owners]
        if None in known:
            self._skipped.add(owners.count(None))
        return owners

    def _resource_key(self, attributes: Mapping[str, Value]) -> Hashable:
        names = self._key_attributes or sorted(attributes)
        return tuple(
            [(name, type(attributes[name]), as_string(attributes[name])) for name in names if name in attributes]
        )

    def _series(
        self, name: str, spans: Spans, owners: Owners, dimensions: Sequence[Columns], now: Moment
    ) -> list[tuple[Series, Places, bool]]:
        def attributes(row: int) -> Attributes:
            return spans.attributes(row) | _attributes(dimensions, row)

        return self._find(name, [*spans.key_columns(), *_keys(dimensions)], owners, attributes, now)

    def _find(
        self,
        name: str,
        keys: Sequence[Sequence[Hashable]],
        owners: Owners,
        attributes: Callable[[int], Attributes],
        now: Moment,
    ) -> list[tuple[Series, Places, bool]]:
        """Return the series that rows are counted in, with their rows, and whether it is not that of the overflow."""
        place = self._places[name]
        found: list[tuple[Series, Places, bool]] = []
        for (owner, *key), rows in _grouped(owners, keys).items():
            if isinstance(owner, ResourceMetrics):
                series, own = owner.families[place].find(tuple(key), partial(attributes, rows[0]), now)
                found.append((series, rows, own))
        return found


def _grouped(owners: Owners, keys: Sequence[Sequence[Hashable]]) -> dict[tuple[Hashable, ...], list[int]]:
    """Return the rows of each combination of values."""
    groups: dict[tuple[Hashable, ...], list[int]] = {}
    for row, key in enumerate(zip(owners, *keys, strict=True)):
        rows = groups.get(key)
        if rows is None:
            groups[key] = [row]
        else:
            rows.append(row)
    return groups


def _keys(dimensions: Sequence[Columns]) -> list[Sequence[Hashable]]:
    return [column for one in dimensions for column in one.keys]


def _attributes(dimensions: Sequence[Columns], row: int) -> dict[str, Value]:
    return {name: value for one in dimensions for name, value in one.attributes(row).items()}


def _instruments(config: SpanMetricsConfig) -> dict[str, Instrument]:
    prefix = f"{config.namespace}." if config.namespace else ""
    instruments = {"calls": counter(f"{prefix}calls")}
    histogram, name = config.histogram, f"{prefix}duration"
    if histogram.exponential is not None:
        size = max(2, histogram.exponential.max_size or 160)
        instruments["duration"] = exponential_histogram(name, histogram.unit, size)
    else:
        instruments["duration"] = explicit_histogram(name, histogram.unit, histogram.bounds)
    instruments["events"] = counter(f"{prefix}events")
    wanted = (True, not histogram.disable, config.events.enabled)
    return dict(compress(instruments.items(), wanted))


def _settings(config: SpanMetricsConfig) -> AggregationSettings:
    return AggregationSettings(
        scope=SCOPE,
        temporality=config.aggregation_temporality,
        cardinality_limit=config.aggregation_cardinality_limit,
        resource_limit=config.resource_metrics_cache_size,
        stamp_limit=config.metric_timestamp_cache_size,
        resource_expiration=config.metrics_expiration,
        series_expiration=config.series_expiration,
    )
