"""A gRPC client: one channel, unary calls of raw bytes, errors as :mod:`untrace_pipeline.errors`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol, Self

from pydantic import Field, field_validator, model_validator

from untrace_pipeline import native
from untrace_pipeline.api.auth import ClientAuthenticator
from untrace_pipeline.api.component import Host
from untrace_pipeline.api.config import ConfigModel, Duration
from untrace_pipeline.errors import ConsumeError, RetryableError, StartError
from untrace_pipeline.net.client import ClientAuthConfig, Headers, find_authenticator, hide
from untrace_pipeline.net.grpc_native import NativeChannel, not_native
from untrace_pipeline.net.tls import ClientTls, ClientTlsConfig

__all__ = ["GrpcClient", "GrpcClientConfig", "GrpcCompression"]

OLD_CHANNEL_SECONDS = 30.0
"""Calls on a channel whose certificates changed may take that long to end."""


class GrpcCompression(StrEnum):
    """Compression of requests."""

    GZIP = "gzip"
    DEFLATE = "deflate"
    ZSTD = "zstd"
    """With the native client only."""
    NONE = "none"


class Balancer(StrEnum):
    """How calls are spread over the addresses of a name."""

    ROUND_ROBIN = "round_robin"
    PICK_FIRST = "pick_first"


class KeepaliveConfig(ConfigModel):
    """``keepalive``: HTTP/2 pings that find dead connections."""

    time: Duration = Field(10.0, gt=0)
    """Ping after that long without a sign of life."""
    timeout: Duration = Field(10.0, gt=0)
    """Close the connection when a ping is not answered in that time."""
    permit_without_stream: bool = False
    """Ping also while no call is under way."""


class GrpcClientConfig(ConfigModel):
    """A gRPC client; the Collector's ``configgrpc`` keys."""

    endpoint: str = Field(min_length=1)
    """``host:port``, ``dns:///host:port`` or ``unix:///path``. A prefix ``https://`` means TLS, whatever
    ``tls.insecure`` says; ``http://`` changes nothing (without ``insecure`` TLS is still on, as in the Collector)."""
    tls: ClientTlsConfig = ClientTlsConfig()
    """TLS is on unless ``insecure: true``."""
    compression: GrpcCompression = GrpcCompression.NONE
    """``gzip``, ``deflate`` or ``none``; ``zstd`` too with the native client (half of the CPU of gzip, where the
    destination takes it), not with Python's gRPC library."""
    headers: Headers = {}
    """Sent as metadata with each call; names are lower-cased."""
    keepalive: KeepaliveConfig | None = None
    """Absent = no pings."""
    balancer_name: Balancer = Balancer.ROUND_ROBIN
    """``round_robin`` over all addresses, or ``pick_first``."""
    wait_for_ready: bool = False
    """Let calls wait for a connection, up to their timeout, instead of failing at once."""
    authority: str = ""
    """Value of ``:authority`` instead of the endpoint."""
    user_agent: str = ""
    """Begins the user agent instead of the own name."""
    auth: ClientAuthConfig | None = None
    """Extension that adds credentials."""
    read_buffer_size: int = Field(0, ge=0)
    """Accepted for the Collector's sake; the gRPC library sizes its buffers itself."""
    write_buffer_size: int = Field(524288, ge=0)
    """Accepted for the Collector's sake."""

    @field_validator("compression", mode="before")
    @classmethod
    def _supported(cls, value: object) -> object:
        if value in ("", None):
            return GrpcCompression.NONE
        if value == "snappy":
            raise ValueError("gzip, deflate, zstd or none: there is no snappy")
        if value == "zstd" and not _native_client():
            raise ValueError(
                "gzip, deflate or none: Python's gRPC library has no zstd (the native client and otlp_http have)"
            )
        return value

    @field_validator("endpoint")
    @classmethod
    def _has_port(cls, endpoint: str) -> str:
        if endpoint.startswith("unix:"):
            return endpoint
        address = endpoint.split("://", 1)[-1].rsplit("/", 1)[-1]
        host, colon, port = address.rpartition(":")
        if not colon or not port.isdecimal() or (":" in host and not host.endswith("]")):
            msg = 'host:port, such as "localhost:4317" or "https://collector.example.com:4317"'
            raise ValueError(msg)
        return endpoint

    @model_validator(mode="after")
    def _tls_is_possible(self) -> Self:
        limit = self.tls.model_copy(update={"insecure": False}).grpc_limits() if self.secure else None
        if limit and (not _native_client() or not_native(self)):
            raise ValueError(f"tls.{limit}")
        return self

    @property
    def target(self) -> str:
        """What gRPC dials."""
        return self.endpoint.removeprefix("http://").removeprefix("https://")

    @property
    def secure(self) -> bool:
        """Whether TLS is spoken."""
        return self.endpoint.startswith("https://") or not self.tls.insecure


class _Channel(Protocol):
    """What makes the calls."""

    async def call(
        self, method: str, data: bytes, timeout: float | None, headers: Sequence[tuple[str, str]]
    ) -> bytes: ...
    async def close(self, grace: float | None = None) -> None: ...


class GrpcClient:
    """Calls of one endpoint. Connects in the background, and again whenever the connection is lost."""

    def __init__(self, config: GrpcClientConfig, logger: logging.Logger) -> None:
        self._config = config
        self._logger = logger
        self._tls = ClientTls(config.tls.model_copy(update={"insecure": False})) if config.secure else None
        self._metadata = tuple((name.lower(), value.reveal()) for name, value in config.headers.items())
        self._authenticator: ClientAuthenticator | None = None
        self._channel: _Channel | None = None
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def destination(self) -> str:
        """Where the calls go."""
        return self._config.target

    async def start(self, host: Host) -> None:
        """Open the channel; does not wait for a connection. Raises :class:`StartError` for unusable TLS files."""
        self._authenticator = find_authenticator(host, self._config.auth)
        self._open()

    async def call(
        self, method: str, data: bytes, timeout: float | None = None, headers: Sequence[tuple[str, str]] = ()
    ) -> bytes:
        """Send a request of serialized bytes and return those of the answer; ``timeout`` in seconds.

        ``headers`` are those of this call alone, names in lower case.

        Raises :class:`RetryableError` for CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS,
        and for RESOURCE_EXHAUSTED with RetryInfo; without RetryInfo that is :class:`OversizeError`; everything else is
        :class:`PermanentError` (OTLP, "Failures" of OTLP/gRPC).
        """
        if self._tls is not None and self._tls.changed():
            self._reopen()
        if self._channel is None:
            raise RetryableError("the client is closed")
        if self._authenticator is not None:
            headers = (*headers, *(await self._authenticator.headers()).items())
            if self._channel is None:
                raise RetryableError("the client is closed")
        try:
            return await self._channel.call(method, data, timeout, headers)
        except ConsumeError as error:
            raise hide(error, (value for _, value in (*self._metadata, *headers)))  # noqa: B904  the same error

    async def close(self) -> None:
        """Close the channel; calls under way are cancelled. Safe twice and without ``start``."""
        channel, self._channel = self._channel, None
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        if channel is not None:
            await channel.close()

    def _open(self) -> None:
        """Open a channel, and let calls on the one before end."""
        old, self._channel = self._channel, self._made()
        if old is not None:
            task = asyncio.create_task(old.close(OLD_CHANNEL_SECONDS))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _made(self) -> _Channel:
        if native.egress().is_native:
            reason = not_native(self._config)
            if not reason:
                return NativeChannel(self._config, self._tls, self._metadata)
            self._logger.info("the native gRPC client is not used: %s", reason)
        from untrace_pipeline.net.grpc_portable import PortableChannel  # noqa: PLC0415  needed only here

        return PortableChannel(self._config, self._tls, self._metadata)

    def _reopen(self) -> None:
        try:
            self._open()
        except StartError as error:
            self._logger.warning("changed certificates not taken, the old ones stay: %s", error)


def _native_client() -> bool:
    return native.expected(native.Part.EGRESS) == native.NATIVE
