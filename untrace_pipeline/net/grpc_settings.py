"""Options of a gRPC server, with the Collector's keys (``configgrpc``), and the limits of its connections."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from untrace_pipeline.api.config import ConfigModel, Duration, Size
from untrace_pipeline.net.auth import ServerAuthConfig
from untrace_pipeline.net.endpoint import Endpoint
from untrace_pipeline.net.http2_frames import DEFAULT_WINDOW
from untrace_pipeline.net.http2_stream import Http2Limits
from untrace_pipeline.net.tls import ServerTlsConfig

__all__ = ["GrpcServerConfig", "KeepaliveConfig"]

MEBIBYTE = 1024 * 1024
MAX_MEBIBYTES = 2047
"""gRPC counts message sizes in 32 bits."""
EAGER_WINDOW = MEBIBYTE
"""Bytes of one message that a client may send ahead; with an authenticator it is HTTP/2's least, 64 KiB."""
HANDSHAKE_SECONDS = 20.0
"""For the first bytes of a connection to arrive."""
WRITE_SECONDS = 30.0
"""For a client to take its answers."""


class Transport(StrEnum):
    """What the endpoint is: a TCP address, or the path of a unix socket."""

    TCP = "tcp"
    TCP4 = "tcp4"
    TCP6 = "tcp6"
    UNIX = "unix"


class KeepaliveServerConfig(ConfigModel):
    """``keepalive.server_parameters``: when the server ends or probes connections. Absent = never, except pings."""

    max_connection_idle: Duration | None = Field(None, gt=0)
    """Close connections without calls after that time. Example: ``11s``."""
    max_connection_age: Duration | None = Field(None, gt=0)
    """Close connections after that time, so that clients spread anew over several servers. Example: ``5m``."""
    max_connection_age_grace: Duration | None = Field(None, gt=0)
    """Time for calls to end after ``max_connection_age``."""
    time: Duration = Field(7200.0, gt=0)
    """Ping a silent client after that time."""
    timeout: Duration = Field(20.0, gt=0)
    """Close when a ping is not answered in that time."""


class KeepaliveEnforcementConfig(ConfigModel):
    """``keepalive.enforcement_policy``: pings that clients may send; who sends more is disconnected."""

    min_time: Duration = Field(300.0, ge=0)
    """Least time between a client's pings."""
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
    max_concurrent_streams: int = Field(1024, ge=1)
    """Calls under way per connection; clients wait with more. Differs from the Collector, which has no limit unset."""
    read_buffer_size: Size = 512 * 1024
    """Accepted for the Collector's sake; buffers have the sizes that the event loop gives them."""
    write_buffer_size: Size | None = None
    """As ``read_buffer_size``."""
    keepalive: KeepaliveConfig = KeepaliveConfig()
    """Pings, and the age of connections."""
    include_metadata: bool = False
    """Keep the client's metadata with the data, for conditions and processors that ask for it."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        Endpoint.parse(self.endpoint, unix=self.unix)
        return self

    @property
    def unix(self) -> bool:
        """Whether ``endpoint`` is a path."""
        return self.transport is Transport.UNIX

    def unshared(self) -> Mapping[str, str]:
        """Return why several workers cannot listen on ``endpoint`` together, if they cannot."""
        reason = Endpoint.parse(self.endpoint, unix=self.unix).unshared
        return {"endpoint": reason} if reason else {}

    @property
    def max_message_bytes(self) -> int:
        """``max_recv_msg_size_mib`` in bytes."""
        return (self.max_recv_msg_size_mib or 64) * MEBIBYTE

    def limits(self, *, eager: bool) -> Http2Limits:
        """Return the limits of a connection; ``eager`` lets clients send large messages before they are asked for."""
        server, policy = self.keepalive.server_parameters, self.keepalive.enforcement_policy
        return Http2Limits(
            max_streams=self.max_concurrent_streams,
            stream_window=EAGER_WINDOW if eager else DEFAULT_WINDOW,
            handshake=HANDSHAKE_SECONDS,
            write=WRITE_SECONDS,
            idle=server.max_connection_idle or math.inf,
            age=server.max_connection_age or math.inf,
            age_grace=server.max_connection_age_grace or math.inf,
            ping_after=server.time,
            ping_timeout=server.timeout,
            least_ping_interval=policy.min_time,
            ping_without_streams=policy.permit_without_stream,
        )
