"""Options of the exporter ``prometheus``: the Collector's, of release 0.158."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from untrace_pipeline.api import ComponentConfig, Duration
from untrace_pipeline.net.http_settings import HttpServerConfig
from untrace_plugins.prometheus.config import ResourceConversionConfig, Translation

__all__ = ["PrometheusConfig"]


class PrometheusConfig(HttpServerConfig, ComponentConfig):
    """Where the page is, and how series look on it."""

    endpoint: str
    """``host:port`` of the page, whose path is ``/metrics``. Example: ``0.0.0.0:8889``."""
    namespace: str = ""
    """What names of metrics begin with."""
    const_labels: dict[str, str] = {}
    """Labels of every series. Example: ``{cluster: eu-1}``."""
    send_timestamps: bool = False
    """Tell when each value was measured; otherwise Prometheus takes the time of the scrape."""
    metric_expiration: Duration = Field(300.0, gt=0)
    """How long a series is shown that gets no more points."""
    enable_open_metrics: bool = False
    """Speak OpenMetrics to scrapers that ask for it: exemplars are told only there, and in protobuf."""
    resource_to_telemetry_conversion: ResourceConversionConfig = ResourceConversionConfig()
    """Whether resource attributes become labels."""
    without_scope_info: bool = False
    """Leave out the labels ``otel_scope_name``, ``otel_scope_version``, ``otel_scope_schema_url`` and those of the
    scope's attributes."""
    add_metric_suffixes: bool = True
    """Append units and ``_total`` to names; not looked at where ``translation_strategy`` is set. Differs from the
    Collector, which ignores it since 0.132."""
    translation_strategy: Translation | None = None
    """How names become Prometheus': ``UnderscoreEscapingWithSuffixes`` (default),
    ``UnderscoreEscapingWithoutSuffixes``, ``NoUTF8EscapingWithSuffixes`` or ``NoTranslation``."""
    sending_queue: dict[str, Any] | None = None
    """Changes nothing: points are on the page when they are accepted, and nothing waits."""
    max_connections: int = Field(100, ge=1)
    """Connections beyond are answered with 503. Not in the Collector."""

    @property
    def translation(self) -> Translation:
        """The strategy that is in force."""
        if self.translation_strategy is not None:
            return self.translation_strategy
        return Translation.ESCAPED_WITH_SUFFIXES if self.add_metric_suffixes else Translation.ESCAPED

    def references(self) -> Mapping[str, tuple[str, ...]]:
        """Name the authenticator."""
        return {"auth.authenticator": (self.auth.authenticator,)} if self.auth else {}

    def unshared(self) -> Mapping[str, str]:
        """Nothing: only one worker listens."""
        return {}
