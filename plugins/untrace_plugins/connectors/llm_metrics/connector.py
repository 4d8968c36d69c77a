"""The connector ``llm_metrics``."""

from __future__ import annotations

import uuid
from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

from untrace_pipeline.api import Consumer, Host, PipelineId, Settings
from untrace_pipeline.data import Batch, Value
from untrace_plugins.connectors.llm_metrics.calls import CallRows, Calls, find_calls, read_calls
from untrace_plugins.connectors.llm_metrics.catalog import CATALOG, Metric, Source
from untrace_plugins.connectors.llm_metrics.config import LlmMetricsConfig
from untrace_plugins.connectors.llm_metrics.tally import Find, Tally
from untrace_plugins.genai import names
from untrace_plugins.metrics.aggregation import AggregationSettings, Aggregator, ResourceMetrics
from untrace_plugins.metrics.dimensions import Columns, Dimensions, ResourceRows, as_keys
from untrace_plugins.metrics.emission import Emission, present
from untrace_plugins.metrics.family import shortened
from untrace_plugins.metrics.instruments import Instrument, counter, explicit_histogram, exponential_histogram
from untrace_plugins.metrics.names import INSTANCE_ID, SERVICE_NAME
from untrace_plugins.metrics.series import Attributes, Moment

__all__ = ["LlmMetricsConnector"]

SCOPE = "untrace-pipeline/llm_metrics"
TYPE_OF_TOKENS = "gen_ai.token.type"

MAX_TALLIES = 4096
"""Combinations of dimensions whose series are remembered until the next flush."""

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
        self._emission = Emission(self._aggregator, config.metrics_flush_interval, settings, outputs)
        self._duplicates = settings.meter.counter("connector_skipped_spans", reason="duplicate")
        self._overflowing = settings.meter.counter("connector_overflow_spans")
        self._tallies: dict[Key, Tally] = {}
        self._flushes = 0

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
        rows, skipped = find_calls(batch, self._operations) if batch.item_count else ([], 0)
        if skipped:
            self._duplicates.add(skipped)
        if not rows:
            return
        calls = read_calls(batch, rows, self._instance_id)
        for name, count in calls.ignored.items():
            self._meter.counter("connector_ignored_values", attribute=name).add(count)
        self._count(_Group(batch, calls, self._dimensions, self._excluded), present())

    # --------------------------------------------------------------- counting

    def _count(self, group: _Group, now: Moment) -> None:
        """Count all calls; those with the same dimensions at once."""
        if self._flushes != self._aggregator.flushes or len(self._tallies) > MAX_TALLIES:
            self._flushes = self._aggregator.flushes
            self._tallies.clear()
        calls = group.calls
        applications = [self._application(one, now) for one in calls.resources]
        owners = [applications[owner] for owner in calls.owners]
        for key, places in group.by_key(owners, calls.errors, calls.dimensions[names.OPERATION]).items():
            tally = self._tallies.get(key)
            if tally is None:
                tally = self._tally(key, group.attributes(places[0]), calls.errors[places[0]])
                if shortened(key) is key:
                    self._tallies[key] = tally
            if not tally.add(calls, places, now):
                self._overflowing.add(len(places))

    def _tally(self, key: Key, attributes: Attributes, error: Value) -> Tally:
        """Return what finds the series of calls with these dimensions."""
        owner, _, operation, *rest = key
        assert isinstance(owner, ResourceMetrics)
        finds: dict[Source, list[Find]] = {}
        for family, metric in zip(owner.families, self._metrics, strict=True):
            for source in metric.sources if operation in metric.operations else ():
                if source is Source.ERRORS and error is None:
                    continue
                more: dict[str, Value] = {TYPE_OF_TOKENS: source.value} if len(metric.sources) > 1 else {}
                if metric.with_error and error is not None:
                    more[names.ERROR_TYPE] = error
                full = (*rest, operation, *map(str, more.values()))
                finds.setdefault(source, []).append(partial(family.find, full, partial(_joined, attributes, more)))
        return Tally(finds, self._exemplars)

    def _application(self, resource: Mapping[str, Value], now: Moment) -> ResourceMetrics:
        """Return the metrics of an application, which is a resource with its name."""
        found = {name: resource.get(name) for name in ("service.namespace", SERVICE_NAME)}
        attributes = {name: value for name, value in found.items() if isinstance(value, str)}
        return self._aggregator.resource(tuple(attributes.items()), attributes, now)


class _Group:
    """Calls with their dimensions."""

    def __init__(self, batch: Batch, calls: Calls, dimensions: Dimensions, excluded: frozenset[str]) -> None:
        self.calls = calls
        self._fixed = {name: column for name, column in calls.dimensions.items() if name not in excluded}
        self._more: Columns | None = None
        if dimensions.names or dimensions.has_globs:
            around = ResourceRows(calls.resources, calls.owners)
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


def _joined(attributes: Attributes, more: Attributes) -> Attributes:
    return {**attributes, **more}


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
