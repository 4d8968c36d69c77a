"""Options of a gRPC server, with the Collector's keys (``configgrpc``), and the channel arguments they become."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self

from pydantic import Field, model_validator

from untrace_pipeline.api.config import ConfigModel, Duration, Size
from untrace_pipeline.net.auth import ServerAuthConfig
from untrace_pipeline.net.endpoint import Endpoint
from untrace_pipeline.net.tls import ServerTlsConfig

__all__ = ["GrpcServerConfig", "KeepaliveConfig"]

MEBIBYTE = 1024 * 1024
MAX_MEBIBYTES = 2047
"""gRPC counts message sizes in 32 bits."""


class Transport(StrEnum):
    """What the endpoint is: a TCP address, or the path of a unix socket."""

    TCP = "tcp"
    TCP4 = "tcp4"
    TCP6 = "tcp6"
    UNIX = "unix"


class KeepaliveServerConfig(ConfigModel):
    """``keepalive.server_parameters``: when the server ends or probes connections; absent = gRPC's default."""

    max_connection_idle: Duration | None = Field(None, gt=0)
    """Close connections without calls after that time. Example: ``11s``."""
    max_connection_age: Duration | None = Field(None, gt=0)
    """Close connections after that time, so that clients spread anew over several servers. Example: ``5m``."""
    max_connection_age_grace: Duration | None = Field(None, gt=0)
    """Time for calls to end after ``max_connection_age``."""
    time: Duration | None = Field(None, gt=0)
    """Ping a silent client after that time; ``2h`` by default."""
    timeout: Duration | None = Field(None, gt=0)
    """Close when a ping is not answered in that time; ``20s`` by default."""


class KeepaliveEnforcementConfig(ConfigModel):
    """``keepalive.enforcement_policy``: pings that clients may send; who sends more is disconnected."""

    min_time: Duration | None = Field(None, gt=0)
    """Least time between a client's pings; ``5m`` by default."""
    permit_without_stream: bool = False
    """Let clients ping while no call is under way."""


class KeepaliveConfig(ConfigModel):
    """``keepalive`` of a gRPC server."""

    server_parameters: KeepaliveServerConfig = KeepaliveServerConfig()
    """When the server ends or probes connections."""
    enforcement_policy: KeepaliveEnforcementConfig = KeepaliveEnforcementConfig()
    """Which pings of clients are too many."""


class GrpcServerConfig(ConfigModel):
    """A gRPC server."""

    endpoint: str = "localhost:0"
    """``host:port``, or ``unix:///path``."""
    transport: Transport = Transport.TCP
    """``tcp``, or ``unix`` where ``endpoint`` is a path."""
    tls: ServerTlsConfig | None = None
    """Absent = plain text."""
    auth: ServerAuthConfig | None = None
    """Extension that checks each request before its message is read."""
    max_recv_msg_size_mib: int = Field(64, ge=0, le=MAX_MEBIBYTES)
    """Largest message after decompression, in MiB; 0 = the default. Differs from the Collector, whose 4 MiB lose LLM
    traces: this is OTLP's recommendation."""
    max_concurrent_streams: int | None = Field(None, ge=1)
    """Calls under way per connection; absent = no limit."""
    read_buffer_size: Size = 512 * 1024
    """Accepted for the Collector's sake; the gRPC library sizes its buffers itself."""
    write_buffer_size: Size | None = None
    """As ``read_buffer_size``."""
    keepalive: KeepaliveConfig = KeepaliveConfig()
    """Pings, and the age of connections."""
    include_metadata: bool = False
    """Keep the client's metadata with the data, for conditions and processors that ask for it."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        Endpoint.parse(self.endpoint, unix=self.unix)
        if self.tls and (limit := self.tls.grpc_limits()):
            msg = f"tls.{limit}"
            raise ValueError(msg)
        return self

    @property
    def unix(self) -> bool:
        """Whether ``endpoint`` is a path."""
        return self.transport is Transport.UNIX

    @property
    def max_message_bytes(self) -> int:
        """``max_recv_msg_size_mib`` in bytes."""
        return (self.max_recv_msg_size_mib or 64) * MEBIBYTE

    def channel_arguments(self) -> list[tuple[str, Any]]:
        """Return what gRPC's C core understands of all that."""
        server, policy = self.keepalive.server_parameters, self.keepalive.enforcement_policy
        arguments: dict[str, float | None] = {
            "grpc.so_reuseport": 0,
            "grpc.max_receive_message_length": self.max_message_bytes,
            "grpc.max_concurrent_streams": self.max_concurrent_streams,
            "grpc.max_connection_idle_ms": _milliseconds(server.max_connection_idle),
            "grpc.max_connection_age_ms": _milliseconds(server.max_connection_age),
            "grpc.max_connection_age_grace_ms": _milliseconds(server.max_connection_age_grace),
            "grpc.keepalive_time_ms": _milliseconds(server.time),
            "grpc.keepalive_timeout_ms": _milliseconds(server.timeout),
            "grpc.http2.min_ping_interval_without_data_ms": _milliseconds(policy.min_time),
            "grpc.keepalive_permit_without_calls": int(policy.permit_without_stream),
        }
        return [(name, value) for name, value in arguments.items() if value is not None]


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else max(1, round(seconds * 1000))
