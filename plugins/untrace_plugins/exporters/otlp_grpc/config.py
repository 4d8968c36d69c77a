"""Options of the exporter ``otlp_grpc``."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from untrace_pipeline.api import Duration
from untrace_pipeline.delivery import DeliveryConfig
from untrace_pipeline.net.grpc_client import GrpcClientConfig, GrpcCompression

__all__ = ["OtlpGrpcConfig"]


class OtlpGrpcConfig(GrpcClientConfig, DeliveryConfig):
    """The keys and defaults of the Collector's ``otlp_grpc`` exporter."""

    compression: GrpcCompression = GrpcCompression.GZIP
    """``gzip``, ``deflate`` or ``none``; ``zstd`` only with the native client (``otlp_http`` has it with both)."""
    timeout: Duration = Field(5.0, ge=0)
    """Longest time of one attempt; ``0`` = no limit."""

    def references(self) -> Mapping[str, tuple[str, ...]]:
        """Return the extension that adds credentials, and the storages."""
        named = {"auth.authenticator": (self.auth.authenticator,)} if self.auth else {}
        return {**super().references(), **named}
