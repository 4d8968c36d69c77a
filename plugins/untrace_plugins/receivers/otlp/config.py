"""Options of the ``otlp`` receiver, as the Collector's ``otlpreceiver`` has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from untrace_pipeline.api import ComponentConfig, ConfigModel
from untrace_pipeline.data import Signal
from untrace_pipeline.net.grpc_settings import GrpcServerConfig
from untrace_pipeline.net.http_settings import HttpServerConfig

__all__ = ["OtlpGrpcConfig", "OtlpHttpConfig", "OtlpReceiverConfig", "ProtocolsConfig"]


class OtlpGrpcConfig(GrpcServerConfig):
    """``protocols.grpc``."""

    endpoint: str = "localhost:4317"
    """``host:port``, or ``unix:///path``. The default takes local clients only; in a container use ``0.0.0.0:4317``."""


class OtlpHttpConfig(HttpServerConfig):
    """``protocols.http``."""

    endpoint: str = "localhost:4318"
    """``host:port``, or ``unix:///path``. The default takes local clients only; in a container use ``0.0.0.0:4318``."""
    traces_url_path: str = Field("/v1/traces", min_length=1)
    """Path for traces."""
    metrics_url_path: str = Field("/v1/metrics", min_length=1)
    """Path for metrics."""
    logs_url_path: str = Field("/v1/logs", min_length=1)
    """Path for logs."""

    @field_validator("traces_url_path", "metrics_url_path", "logs_url_path")
    @classmethod
    def _with_slash(cls, path: str) -> str:
        return path if path.startswith("/") else f"/{path}"

    @property
    def paths(self) -> dict[Signal, str]:
        """The path of each signal."""
        return {
            Signal.TRACES: self.traces_url_path,
            Signal.METRICS: self.metrics_url_path,
            Signal.LOGS: self.logs_url_path,
        }


class ProtocolsConfig(ConfigModel):
    """``protocols``: a protocol that is named is on, also without a value; at least one must be."""

    grpc: OtlpGrpcConfig | None = None
    """OTLP/gRPC. Example: ``grpc:`` for the defaults."""
    http: OtlpHttpConfig | None = None
    """OTLP/HTTP, protobuf and JSON on the same paths. Example: ``http: {endpoint: 0.0.0.0:4318}``."""

    @model_validator(mode="before")
    @classmethod
    def _named_is_on(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {name: {} if options is None else options for name, options in value.items()}

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if self.grpc is None and self.http is None:
            msg = "at least one protocol: grpc, http"
            raise ValueError(msg)
        return self


class OtlpReceiverConfig(ComponentConfig):
    """Where to listen for OTLP."""

    protocols: ProtocolsConfig
    """Which protocols, and their options."""

    def references(self) -> Mapping[str, tuple[str, ...]]:
        """Return the authenticators."""
        return {
            f"protocols.{name}.auth.authenticator": (server.auth.authenticator,)
            for name, server in self._servers().items()
            if server.auth is not None
        }

    def unshared(self) -> Mapping[str, str]:
        """Return the endpoints that several workers cannot listen on together."""
        servers = self._servers().items()
        return {f"protocols.{name}.{key}": why for name, server in servers for key, why in server.unshared().items()}

    def _servers(self) -> dict[str, OtlpGrpcConfig | OtlpHttpConfig]:
        servers = {"grpc": self.protocols.grpc, "http": self.protocols.http}
        return {name: server for name, server in servers.items() if server is not None}
