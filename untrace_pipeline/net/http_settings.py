"""Options of an HTTP server, with the Collector's keys (``confighttp``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from untrace_pipeline.api.config import ConfigModel, Duration, Secret, Size
from untrace_pipeline.net.auth import ServerAuthConfig
from untrace_pipeline.net.endpoint import Endpoint
from untrace_pipeline.net.grpc_settings import Transport
from untrace_pipeline.net.tls import ServerTlsConfig

__all__ = ["CorsConfig", "HttpListenerConfig", "HttpServerConfig"]


class CorsConfig(ConfigModel):
    """``cors``: which web pages may send from a browser."""

    allowed_origins: list[str] = []
    """Origins, with ``*`` for any characters; empty = no web page may. Example: ``https://*.example.com``."""
    allowed_headers: list[str] = []
    """Headers that pages may set besides the harmless ones; ``*`` = any."""
    exposed_headers: list[str] = []
    """Headers of answers that pages may read."""
    max_age: int = Field(0, ge=0)
    """Seconds for which browsers keep the answer to a preflight; 0 = their default."""


class HttpListenerConfig(ConfigModel):
    """An HTTP/1.1 server, whatever it does with bodies."""

    endpoint: str = "localhost:0"
    """``host:port``, or ``unix:///path``."""
    transport: Transport = Transport.TCP
    """``tcp``, or ``unix`` where ``endpoint`` is a path."""
    tls: ServerTlsConfig | None = None
    """Absent = plain text."""
    auth: ServerAuthConfig | None = None
    """Extension that checks each request before its body is read."""
    cors: CorsConfig | None = None
    """Absent = no web page may send."""
    max_request_body_size: Size = Field(64 * 1024 * 1024, ge=0)
    """Largest body in bytes, before and after decompression; 0 = the default. Differs from the Collector (20 MiB):
    this is OTLP's recommendation."""
    response_headers: dict[str, Secret] = {}
    """Headers added to every answer."""
    read_timeout: Duration = Field(0.0, ge=0)
    """Time for a whole request to arrive; 0 = no limit besides the one on silence."""
    read_header_timeout: Duration = Field(60.0, ge=0)
    """Time for the headers of a request to arrive; 0 = no limit."""
    body_idle_timeout: Duration = Field(30.0, ge=0)
    """Longest silence in the middle of a body; 0 = no limit. Not in the Collector."""
    write_timeout: Duration = Field(30.0, ge=0)
    """Time for a client to take its answer; 0 = no limit."""
    idle_timeout: Duration = Field(60.0, ge=0)
    """Time between requests after which a connection is closed; 0 = no limit."""
    keep_alives_enabled: bool = True
    """Take several requests per connection."""
    max_connections: int = Field(8192, ge=1)
    """Connections beyond are answered with 503. Not in the Collector."""

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
    def max_body_bytes(self) -> int:
        """``max_request_body_size`` with its default."""
        return self.max_request_body_size or 64 * 1024 * 1024


class HttpServerConfig(HttpListenerConfig):
    """An HTTP/1.1 server that reads what it is sent."""

    compression_algorithms: list[Literal["", "gzip", "zstd", "zlib", "deflate"]] = [
        "",
        "gzip",
        "zstd",
        "zlib",
        "deflate",
    ]
    """Values of ``Content-Encoding`` that are accepted; ``""`` stands for none. Differs from the Collector: there is
    no snappy and no lz4."""
    include_metadata: bool = False
    """Keep the client's headers with the data, for conditions and processors that ask for it."""
