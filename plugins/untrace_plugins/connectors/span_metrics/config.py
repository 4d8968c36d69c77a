"""Options of the connector ``span_metrics``: the Collector's, of release 0.158."""

from __future__ import annotations

import enum
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from untrace_pipeline.api import ComponentConfig, ConfigModel, Duration
from untrace_plugins.metrics.config import DimensionConfig, ExemplarsConfig, Temporality, check_dimensions
from untrace_plugins.metrics.names import FIXED_DIMENSIONS

__all__ = ["EventsConfig", "HistogramConfig", "SpanMetricsConfig", "Unit"]

_DEFAULT_BUCKETS = [0.002, 0.004, 0.006, 0.008, 0.01, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.4, 2.0, 5.0, 10.0, 15.0]


class Unit(enum.StrEnum):
    """Unit of durations."""

    MILLISECONDS = "ms"
    SECONDS = "s"

    @property
    def nanos(self) -> float:
        """How many nanoseconds it has."""
        return 1e9 if self is Unit.SECONDS else 1e6


class ExplicitConfig(ConfigModel):
    """``explicit``: buckets with given bounds."""

    buckets: list[Duration] = _DEFAULT_BUCKETS
    """Upper bounds. Example: ``[10ms, 100ms, 1s]``."""


class ExponentialConfig(ConfigModel):
    """``exponential``: buckets whose width adapts to what they count."""

    max_size: int = Field(160, ge=0, le=16384)
    """Most buckets; 0 = the default, and at least 2."""


class HistogramConfig(ConfigModel):
    """``histogram``: how durations are counted."""

    disable: bool = False
    """Count no durations."""
    unit: Annotated[Unit, BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)] = (
        Unit.MILLISECONDS
    )
    """``ms`` or ``s``."""
    dimensions: list[DimensionConfig] = []
    """More dimensions for durations alone."""
    explicit: ExplicitConfig | None = None
    """Buckets with given bounds; the default, with 2ms … 15s."""
    exponential: ExponentialConfig | None = None
    """Exponential buckets instead. Example: ``{}`` for the default size."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.explicit is not None and self.exponential is not None:
            msg = "either explicit or exponential"
            raise ValueError(msg)
        return self

    @property
    def bounds(self) -> list[float]:
        """Upper bounds in the unit, ascending."""
        buckets = self.explicit.buckets if self.explicit is not None else _DEFAULT_BUCKETS
        return sorted({round(seconds * 1e9) / self.unit.nanos for seconds in buckets})


class EventsConfig(ConfigModel):
    """``events``: whether events of spans are counted."""

    enabled: bool = False
    """Count them."""
    dimensions: list[DimensionConfig] = []
    """Attributes of events, or else of their resource, by which they are counted; at least one."""


class SpanMetricsConfig(ComponentConfig):
    """Which metrics are made of spans, and what tells their series apart."""

    dimensions: list[DimensionConfig] = []
    """Dimensions besides ``service.name``, ``span.name``, ``span.kind``, ``status.code`` and
    ``collector.instance.id``. Example: ``[{name: http.route, default: /}, {glob: "k8s.*.name"}]``."""
    calls_dimensions: list[DimensionConfig] = []
    """More dimensions for calls alone."""
    exclude_dimensions: list[str] = []
    """Those of the five that are left out. Example: ``[collector.instance.id]``."""
    dimensions_cache_size: int = Field(0, ge=0, json_schema_extra={"deprecated": True})
    """Changes nothing; use ``aggregation_cardinality_limit``."""
    resource_metrics_cache_size: int = Field(1000, gt=0)
    """Resources that are kept at most; the one not seen for longest is told once more, and forgotten."""
    resource_metrics_key_attributes: list[str] = []
    """Attributes by which resources are told apart; empty = all. Use it where some change with each restart."""
    aggregation_temporality: Annotated[Temporality, BeforeValidator(lambda v: v or Temporality.CUMULATIVE.value)] = (
        Temporality.CUMULATIVE
    )
    """Whether points count from the beginning, or since the last flush: ``AGGREGATION_TEMPORALITY_CUMULATIVE``,
    ``AGGREGATION_TEMPORALITY_DELTA``."""
    histogram: HistogramConfig = HistogramConfig()
    """How durations are counted."""
    metrics_flush_interval: Duration = Field(60.0, gt=0)
    """How often metrics leave."""
    metrics_expiration: Duration = Field(0.0, ge=0)
    """Time without spans after which the metrics of a resource are forgotten; 0 = never."""
    series_expiration: Duration = Field(0.0, ge=0)
    """Time without spans after which a single series is forgotten; 0 = never."""
    metric_timestamp_cache_size: int = Field(1000, gt=0)
    """Delta only: series whose last flush is remembered, so that their next point begins there."""
    namespace: str = "traces.span.metrics"
    """What names of metrics begin with; empty = nothing."""
    exemplars: ExemplarsConfig = ExemplarsConfig()
    """Spans that stand for what points count."""
    events: EventsConfig = EventsConfig()
    """Whether events of spans are counted."""
    include_instrumentation_scope: list[str] = []
    """Scopes whose name and version become dimensions ``span.instrumentation.scope.name`` and ``.version``."""
    aggregation_cardinality_limit: int = Field(0, ge=0)
    """Series per metric and resource; beyond, one with ``otel.metric.overflow: true`` counts the rest. 0 = no limit."""
    add_resource_attributes: bool = False
    """Changes nothing: metrics carry the attributes of the spans' resource, as with the Collector's default gates."""
    enable_metrics_sampling_method: bool = False
    """Add the dimension ``sampling.method``: ``extrapolated`` where the tracestate of a span says for how many it
    stands, which counts are multiplied by, and ``counted`` otherwise."""

    @model_validator(mode="after")
    def _dimensions_are_distinct(self) -> Self:
        for dimensions in (self.dimensions, self.calls_dimensions, self.histogram.dimensions, self.events.dimensions):
            check_dimensions(dimensions, FIXED_DIMENSIONS)
        if self.events.enabled and not self.events.dimensions:
            msg = "events.dimensions: at least one is needed to count events"
            raise ValueError(msg)
        return self
