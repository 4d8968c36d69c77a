"""Options of the exporter ``otlp_http``."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Self

from pydantic import Field, field_validator, model_validator

from untrace_pipeline.api import Duration
from untrace_pipeline.data import Signal
from untrace_pipeline.delivery import DeliveryConfig
from untrace_pipeline.net.compression import Compression
from untrace_pipeline.net.http_client import HttpClientConfig, check_url

__all__ = ["Encoding", "OtlpHttpConfig"]


class Encoding(StrEnum):
    """Form of the request body."""

    PROTO = "proto"
    JSON = "json"


class OtlpHttpConfig(HttpClientConfig, DeliveryConfig):
    """The keys and defaults of the Collector's ``otlp_http`` exporter."""

    endpoint: str = ""
    """URL that ``/v1/traces``, ``/v1/metrics`` and ``/v1/logs`` are added to. Example: ``https://example.com:4318``."""
    traces_endpoint: str = ""
    """Whole URL for traces, instead of the one made from ``endpoint``."""
    metrics_endpoint: str = ""
    """Whole URL for metrics."""
    logs_endpoint: str = ""
    """Whole URL for logs."""
    encoding: Encoding = Encoding.PROTO
    """``proto`` passes requests through as they are; ``json`` costs a conversion of each."""
    compression: Compression = Compression.GZIP
    """``gzip``, ``zstd`` (a third of the CPU, where the destination takes it), ``deflate`` or ``none``."""
    timeout: Duration = Field(30.0, ge=0)
    """Longest time of one attempt; ``0`` = no limit."""

    @field_validator("traces_endpoint", "metrics_endpoint", "logs_endpoint")
    @classmethod
    def _is_endpoint(cls, url: str) -> str:
        return check_url(url)

    @model_validator(mode="after")
    def _has_endpoint(self) -> Self:
        if not (self.endpoint or self.traces_endpoint or self.metrics_endpoint or self.logs_endpoint):
            msg = "an endpoint, or one per signal (traces_endpoint, metrics_endpoint, logs_endpoint)"
            raise ValueError(msg)
        return self

    def url(self, signal: Signal) -> str | None:
        """Return where a signal goes; ``None`` if the options do not say."""
        own = {
            Signal.TRACES: self.traces_endpoint,
            Signal.METRICS: self.metrics_endpoint,
            Signal.LOGS: self.logs_endpoint,
        }[signal]
        if own or not self.endpoint:
            return own or None
        return f"{self.endpoint.removesuffix('/')}/v1/{signal}"

    def references(self) -> Mapping[str, tuple[str, ...]]:
        """Return the extension that adds credentials, and the storages."""
        named = {"auth.authenticator": (self.auth.authenticator,)} if self.auth else {}
        return {**super().references(), **named}
