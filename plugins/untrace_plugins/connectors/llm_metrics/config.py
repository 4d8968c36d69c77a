"""Options of the connector ``llm_metrics``."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from untrace_pipeline.api import ComponentConfig, ConfigModel, Duration
from untrace_plugins.connectors.llm_metrics.catalog import CATALOG, Conventions, names_of
from untrace_plugins.metrics.config import DimensionConfig, ExemplarsConfig, Temporality, check_dimensions
from untrace_plugins.metrics.names import INSTANCE_ID, SERVICE_NAME

__all__ = ["DIMENSIONS", "LlmMetricsConfig", "MetricConfig"]

DIMENSIONS = (
    SERVICE_NAME,
    "deployment.environment.name",
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.response.model",
    "server.address",
    INSTANCE_ID,
)
"""Dimensions that need not be asked for."""


class MetricConfig(ConfigModel):
    """One metric under ``metrics``."""

    enabled: bool = True
    """Whether it is made."""
    name: str = ""
    """Another name for it. Example: ``app.llm.cost``."""
    buckets: list[float] | None = Field(None, min_length=1)
    """Other upper bounds for a histogram, in its unit."""


class LlmExemplarsConfig(ExemplarsConfig):
    """``exemplars``, on unless told otherwise."""

    enabled: bool = True
    """Attach trace and span ids to points. They are kept for one flush."""


class ExponentialConfig(ConfigModel):
    """``exponential_histograms``."""

    enabled: bool = False
    """Count in exponential buckets instead of those of the conventions."""
    max_size: int = Field(160, ge=2, le=16384)
    """Most buckets."""


class LlmMetricsConfig(ComponentConfig):
    """Which metrics are made of LLM calls, and what tells their series apart."""

    semantic_conventions: Conventions = Conventions.RELEASED
    """Whose names are used: ``v1.41`` (the last released set), or ``development`` (``gen_ai.client.inference.…``)."""
    metrics: dict[str, MetricConfig] = {}
    """Metrics that are not to be as they are, by name. Example:
    ``{gen_ai.client.token.usage: {enabled: false}, llm.cost: {name: app.llm.cost}}``."""
    dimensions: list[DimensionConfig] = []
    """Dimensions besides ``service.name``, ``deployment.environment.name``, ``gen_ai.operation.name``,
    ``gen_ai.provider.name``, ``gen_ai.request.model``, ``gen_ai.response.model``, ``server.address`` and
    ``collector.instance.id``. Example: ``[{name: user.id}, {name: gen_ai.agent.name}]``."""
    exclude_dimensions: list[str] = []
    """Those of the eight that are left out. Example: ``[server.address, collector.instance.id]``."""
    aggregation_temporality: Annotated[Temporality, BeforeValidator(lambda v: v or Temporality.CUMULATIVE.value)] = (
        Temporality.CUMULATIVE
    )
    """Whether points count from the beginning, or since the last flush: ``AGGREGATION_TEMPORALITY_CUMULATIVE``,
    ``AGGREGATION_TEMPORALITY_DELTA``."""
    exponential_histograms: ExponentialConfig = ExponentialConfig()
    """Buckets whose width adapts; become native histograms of Prometheus."""
    metrics_flush_interval: Duration = Field(15.0, gt=0)
    """How often metrics leave."""
    series_expiration: Duration = Field(0.0, ge=0)
    """Time without calls after which a series is forgotten; 0 = never."""
    aggregation_cardinality_limit: int = Field(2000, ge=0)
    """Series per metric and application; beyond, one with ``otel.metric.overflow: true`` counts the rest. 0 = no
    limit."""
    resource_limit: int = Field(1000, gt=0)
    """Applications that are kept at most; the one not seen for longest is told once more, and forgotten."""
    exemplars: LlmExemplarsConfig = LlmExemplarsConfig()
    """Spans that stand for what points count."""

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        known = names_of(self.semantic_conventions)
        for name, metric in self.metrics.items():
            if name not in known:
                msg = f"metrics: there is no {name!r} in {self.semantic_conventions}; there are: {', '.join(known)}"
                raise ValueError(msg)
            if metric.buckets is not None and not next(one for one in CATALOG if one.name == name).bounds:
                msg = f"metrics: {name} is a sum and has no buckets"
                raise ValueError(msg)
        check_dimensions(self.dimensions, frozenset(DIMENSIONS) | {"error.type", "gen_ai.token.type"})
        return self
