"""The connector ``llm_metrics``."""

from __future__ import annotations

import uuid
from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

from untrace_pipeline.api import Consumer, Host, PipelineId, Settings
from untrace_pipeline.data import Batch, Field, Level, Value
from untrace_plugins.connectors.llm_metrics.calls import CallRows, Calls, duplicates, find_operations, read_calls
from untrace_plugins.connectors.llm_metrics.catalog import CATALOG, Metric, Source
from untrace_plugins.connectors.llm_metrics.config import LlmMetricsConfig
from untrace_plugins.genai import names
from untrace_plugins.metrics.aggregation import AggregationSettings, Aggregator, ResourceMetrics
from untrace_plugins.metrics.config import Temporality
from untrace_plugins.metrics.dimensions import Columns, Dimensions, ResourceRows, as_keys
from untrace_plugins.metrics.emission import Emission, present
from untrace_plugins.metrics.instruments import Instrument, counter, explicit_histogram, exponential_histogram
from untrace_plugins.metrics.names import INSTANCE_ID, SERVICE_NAME
from untrace_plugins.metrics.series import Attributes, Exemplar, Moment

__all__ = ["LlmMetricsConnector"]

SCOPE = "untrace.llm_metrics"
TYPE_OF_TOKENS = "gen_ai.token.type"

Key: TypeAlias = tuple[Hashable, ...]


class LlmMetricsConnector:
    """Counts LLM calls, and tells the counts at intervals."""

    def __init__(self, config: LlmMetricsConfig, settings: Settings, outputs: Mapping[PipelineId, Consumer]) -> None:
        self._config = config
        self._logger = settings.logger
        self._meter = settings.meter
        self._instance_id = str(uuid.uuid4())
        self._excluded = frozenset(config.exclude_dimensions)
        self._metrics = [metric for metric in CATALOG if _wanted(metric, config)]
        self._operations = frozenset[str]().union(*(metric.operations for metric in self._metrics))
        self._dimensions = Dimensions(config.dimensions)
        self._exemplars = config.exemplars.max_per_data_point if config.exemplars.enabled else 0
        self._aggregator = Aggregator([_instrument(metric, config) for metric in self._metrics], _settings(config))
        self._emission = Emission(
            self._aggregator,
            config.metrics_flush_interval,
            settings,
            outputs,
            keeps_refused=config.aggregation_temporality is Temporality.DELTA,
        )
        self._duplicates = settings.meter.counter("connector_skipped_spans", reason="duplicate")
        self._overflowing = settings.meter.counter("connector_overflow_spans")

    async def start(self, host: Host) -> None:
        """Begin to tell."""
        if host.workers.count > 1 and INSTANCE_ID in self._excluded:
            self._excluded -= {INSTANCE_ID}
            self._logger.warning("%s stays a dimension: several workers count, each for itself", INSTANCE_ID)
        self._emission.start(host)

    async def shutdown(self) -> None:
        """Tell what was counted since, and end."""
        await self._emission.stop()

    async def consume(self, batch: Batch) -> None:
        """Count the LLM calls among the spans. Raises :class:`DecodeError`."""
        rows = find_operations(batch, self._operations) if batch.item_count else []
        if not rows:
            return
        twice = duplicates(batch, rows)
        if any(twice):
            rows = [row for row, skip in zip(rows, twice, strict=True) if not skip]
            self._duplicates.add(sum(twice))
            if not rows:
                return
        calls = read_calls(batch, rows, self._instance_id)
        for name, count in calls.ignored.items():
            self._meter.counter("connector_ignored_values", attribute=name).add(count)
        self._count(_Group(batch, calls, self._dimensions, self._excluded), present())

    # --------------------------------------------------------------- counting

    def _count(self, group: _Group, now: Moment) -> None:
        """Count all calls; those with the same dimensions at once."""
        calls = group.calls
        operations = calls.dimensions[names.OPERATION]
        owners = [self._owner(one, now) for one in calls.applications]
        for (owner, error, operation, *key), places in group.by_key(owners, calls.errors, operations).items():
            assert isinstance(owner, ResourceMetrics)
            own = True
            for number, metric in enumerate(self._metrics):
                if operation not in metric.operations:
                    continue
                for source in metric.sources:
                    values, weights, counted = _values(calls, source, places, failed=error is not None)
                    if not values:
                        continue
                    extra: list[tuple[str, Value]] = []
                    if metric.with_error and error is not None:
                        extra.append((names.ERROR_TYPE, calls.errors[places[0]]))
                    if len(metric.sources) > 1:
                        extra.append((TYPE_OF_TOKENS, source.value))
                    attributes = partial(_attributes, group, places[0], extra)
                    full = (*key, operation, *(str(value) for _, value in extra))
                    series, found = owner.families[number].find(full, attributes, now)
                    series.add(values, weights)
                    own = own and found
                    if found and self._exemplars:
                        self._exemplify(series.exemplars, calls, counted, values)
            if not own:
                self._overflowing.add(len(places))

    def _exemplify(
        self, exemplars: list[Exemplar], calls: Calls, places: Sequence[int], values: Sequence[float]
    ) -> None:
        for place, value in zip(places, values, strict=True):
            if len(exemplars) >= self._exemplars:
                return
            trace_id, span_id = calls.trace_ids[place], calls.span_ids[place]
            if trace_id and isinstance(trace_id, bytes) and isinstance(span_id, bytes):
                exemplars.append(Exemplar(trace_id, span_id, float(value)))

    def _owner(self, application: tuple[Value, Value], now: Moment) -> ResourceMetrics:
        """Return the metrics of an application, which is a resource with its name."""
        namespace, name = application
        attributes = {"service.namespace": namespace, SERVICE_NAME: name}
        present_ones = {key: value for key, value in attributes.items() if isinstance(value, str)}
        return self._aggregator.resource(tuple(present_ones.items()), present_ones, now)


class _Group:
    """Calls with their dimensions."""

    def __init__(self, batch: Batch, calls: Calls, dimensions: Dimensions, excluded: frozenset[str]) -> None:
        self.calls = calls
        self._fixed = {name: column for name, column in calls.dimensions.items() if name not in excluded}
        self._more: Columns | None = None
        if dimensions.names or dimensions.has_globs:
            maps: Sequence[Mapping[str, Value]] = batch.column(Field(Level.RESOURCE, "attributes"))  # type: ignore[assignment]
            owners = batch.parents(Level.ITEM, Level.RESOURCE)
            around = ResourceRows(maps, [owners[row] for row in calls.rows])
            self._more = dimensions.read([CallRows(batch, calls.rows), around])

    def by_key(self, owners: Sequence[Hashable], *first: Sequence[Value]) -> dict[Key, list[int]]:
        """Return the places of each combination of owners, some columns and all dimensions."""
        keys = [as_keys(column) for column in (*first, *self._fixed.values())]
        more = self._more.keys if self._more is not None else []
        groups: dict[Key, list[int]] = {}
        for place, key in enumerate(zip(owners, *keys, *more, strict=True)):
            groups.setdefault(key, []).append(place)
        return groups

    def attributes(self, place: int) -> dict[str, Value]:
        """Return the dimensions of one call."""
        fixed = {name: column[place] for name, column in self._fixed.items() if column[place] is not None}
        return fixed | (self._more.attributes(place) if self._more is not None else {})


def _attributes(group: _Group, place: int, extra: Sequence[tuple[str, Value]]) -> Attributes:
    return group.attributes(place) | dict(extra)


def _values(
    calls: Calls, source: Source, places: Sequence[int], *, failed: bool
) -> tuple[Sequence[float], Sequence[int] | None, Sequence[int]]:
    """Return the values that a metric takes in, for how many calls each stands, and the calls."""
    if source in {Source.CALLS, Source.ERRORS}:
        if source is Source.ERRORS and not failed:
            return [], None, []
        values: Sequence[float] = [1] * len(places)
    else:
        column = calls.values[source]
        places = [place for place in places if column[place] is not None]
        values = [value for place in places if (value := column[place]) is not None]
    weights = None if calls.weights is None else [calls.weights[place] for place in places]
    return values, weights, places


def _wanted(metric: Metric, config: LlmMetricsConfig) -> bool:
    chosen = config.metrics.get(metric.name)
    return config.semantic_conventions in metric.conventions and (chosen is None or chosen.enabled)


def _instrument(metric: Metric, config: LlmMetricsConfig) -> Instrument:
    chosen = config.metrics.get(metric.name)
    name = (chosen.name if chosen is not None else "") or metric.name
    if not metric.bounds:
        return counter(name, metric.unit, metric.description)
    if config.exponential_histograms.enabled:
        size = config.exponential_histograms.max_size
        return exponential_histogram(name, metric.unit, size, metric.description, zero_first=True)
    bounds = chosen.buckets if chosen is not None and chosen.buckets else metric.bounds
    return explicit_histogram(name, metric.unit, sorted(set(bounds)), metric.description, zero_first=True)


def _settings(config: LlmMetricsConfig) -> AggregationSettings:
    return AggregationSettings(
        scope=SCOPE,
        temporality=config.aggregation_temporality,
        cardinality_limit=config.aggregation_cardinality_limit,
        resource_limit=config.resource_limit,
        stamp_limit=10 * (config.aggregation_cardinality_limit or 2000),
        resource_expiration=0.0,
        series_expiration=config.series_expiration,
    )
