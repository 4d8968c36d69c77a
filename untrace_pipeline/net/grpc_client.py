"""A gRPC client: one channel, unary calls of raw bytes, errors as :mod:`untrace_pipeline.errors`."""

from __future__ import annotations

import asyncio
import logging
import os
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, field_validator, model_validator

from untrace_pipeline.api.auth import ClientAuthenticator
from untrace_pipeline.api.component import Host
from untrace_pipeline.api.config import ConfigModel, Duration
from untrace_pipeline.errors import Code, ConsumeError, OversizeError, PermanentError, RetryableError, StartError
from untrace_pipeline.net.client import (
    ClientAuthConfig,
    Headers,
    find_authenticator,
    hide,
    one_line,
    read_status,
    user_agent,
)
from untrace_pipeline.net.tls import ClientTls, ClientTlsConfig

if TYPE_CHECKING:
    import grpc.aio

__all__ = ["GrpcClient", "GrpcClientConfig", "GrpcCompression"]

RECEIVE_LIMIT_BYTES = 4 * 1024 * 1024
"""OTLP: a client should not take answers larger than 4 MiB."""
RECONNECT_MILLISECONDS = (100, 5000)
"""First and longest wait between attempts to connect; gRPC's own 1 s to 120 s would outlast the retries."""
OLD_CHANNEL_SECONDS = 30.0
"""Calls on a channel whose certificates changed may take that long to end."""

_RETRYABLE = {
    Code.CANCELLED,
    Code.DEADLINE_EXCEEDED,
    Code.ABORTED,
    Code.OUT_OF_RANGE,
    Code.UNAVAILABLE,
    Code.DATA_LOSS,
}
_TLS_TO_PLAIN = "WRONG_VERSION_NUMBER"


class GrpcCompression(StrEnum):
    """Compression of requests that the gRPC library can do."""

    GZIP = "gzip"
    DEFLATE = "deflate"
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
    """``gzip``, ``deflate`` or ``none``; zstd and snappy are not in Python's gRPC library (``otlp_http`` has zstd)."""
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
        if value in ("zstd", "snappy"):
            msg = f"gzip, deflate or none: Python's gRPC library has no {value} (otlp_http has zstd)"
            raise ValueError(msg)
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
        if self.secure and (limit := self.tls.model_copy(update={"insecure": False}).grpc_limits()):
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


class GrpcClient:
    """Calls of one endpoint. Connects in the background, and again whenever the connection is lost."""

    def __init__(self, config: GrpcClientConfig, logger: logging.Logger) -> None:
        self._config = config
        self._logger = logger
        self._tls = ClientTls(config.tls.model_copy(update={"insecure": False})) if config.secure else None
        self._metadata = tuple((name.lower(), value.reveal()) for name, value in config.headers.items())
        self._authenticator: ClientAuthenticator | None = None
        self._channel: grpc.aio.Channel | None = None
        self._calls: dict[str, Any] = {}
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def destination(self) -> str:
        """Where the calls go."""
        return self._config.target

    async def start(self, host: Host) -> None:
        """Open the channel; does not wait for a connection. Raises :class:`StartError` for unusable TLS files."""
        self._authenticator = find_authenticator(host, self._config.auth)
        self._open()

    async def call(self, method: str, data: bytes, timeout: float | None = None) -> bytes:
        """Send a request of serialized bytes and return those of the answer; ``timeout`` in seconds.

        Raises :class:`RetryableError` for CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS,
        and for RESOURCE_EXHAUSTED with RetryInfo; without RetryInfo that is :class:`OversizeError`; everything else is
        :class:`PermanentError` (OTLP, "Failures" of OTLP/gRPC).
        """
        if self._tls is not None and self._tls.changed():
            self._reopen()
        if self._channel is None:
            raise RetryableError("the client is closed")
        call = self._calls.get(method) or self._prepare(method)
        metadata = self._metadata
        if self._authenticator is not None:
            metadata = (*metadata, *(await self._authenticator.headers()).items())
        try:
            answer: bytes = await call(
                data, timeout=timeout, metadata=metadata, wait_for_ready=self._config.wait_for_ready
            )
        except Exception as error:
            translated = _translate(error)
            if isinstance(translated, ConsumeError):
                hide(translated, (value for _, value in metadata))
            raise translated from error
        return answer

    async def close(self) -> None:
        """Close the channel; calls under way are cancelled. Safe twice and without ``start``."""
        channel, self._channel = self._channel, None
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        if channel is not None:
            await channel.close(None)

    def _open(self) -> None:
        """Open a channel, and let calls on the one before end."""
        # Else its C core writes a line of its own, in a form of its own, to standard error for each lost connection.
        os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
        import grpc  # noqa: PLC0415  validating a configuration must not load it
        import grpc.aio  # noqa: PLC0415

        config = self._config
        compression = {
            GrpcCompression.GZIP: grpc.Compression.Gzip,
            GrpcCompression.DEFLATE: grpc.Compression.Deflate,
            GrpcCompression.NONE: None,
        }[config.compression]
        if self._tls is None:
            channel = grpc.aio.insecure_channel(config.target, _options(config), compression)
        else:
            options = [*_options(config), *self._tls.grpc_options()]
            channel = grpc.aio.secure_channel(config.target, self._tls.grpc_credentials(), options, compression)
        old, self._channel = self._channel, channel
        self._calls = {}
        channel.get_state(try_to_connect=True)
        if old is not None:
            task = asyncio.create_task(old.close(OLD_CHANNEL_SECONDS))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _reopen(self) -> None:
        try:
            self._open()
        except StartError as error:
            self._logger.warning("changed certificates not taken, the old ones stay: %s", error)

    def _prepare(self, method: str) -> Any:
        assert self._channel is not None
        call = self._calls[method] = self._channel.unary_unary(method, None, None)  # bytes in, bytes out
        return call


def _options(config: GrpcClientConfig) -> list[tuple[str, Any]]:
    first, longest = RECONNECT_MILLISECONDS
    options: list[tuple[str, Any]] = [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", RECEIVE_LIMIT_BYTES),
        ("grpc.initial_reconnect_backoff_ms", first),
        ("grpc.max_reconnect_backoff_ms", longest),
        ("grpc.lb_policy_name", config.balancer_name.value),
        ("grpc.primary_user_agent", config.user_agent or user_agent()),
        ("grpc.use_local_subchannel_pool", 1),  # one exporter's broken connection is not another's
        ("grpc.enable_retries", 0),  # retrying is the delivery's part, which counts and bounds it
    ]
    if config.authority:
        options.append(("grpc.default_authority", config.authority))
    if config.keepalive is not None:
        options += [
            ("grpc.keepalive_time_ms", int(config.keepalive.time * 1000)),
            ("grpc.keepalive_timeout_ms", int(config.keepalive.timeout * 1000)),
            ("grpc.keepalive_permit_without_calls", int(config.keepalive.permit_without_stream)),
            ("grpc.http2.max_pings_without_data", 0),
        ]
    return options


def _translate(error: Exception) -> Exception:
    import grpc.aio  # noqa: PLC0415

    if isinstance(error, grpc.aio.UsageError):
        return RetryableError("the connection is being closed")
    if not isinstance(error, grpc.aio.AioRpcError):
        return error
    code = Code(error.code().value[0])
    message = one_line(error.details() or "")
    if _TLS_TO_PLAIN in message:
        message = "the destination does not speak TLS on this port; set tls.insecure: true if that is meant"
    return _as_tree(code, message, _retry_after(error))


def _as_tree(code: Code, message: str, retry_after: float | None) -> ConsumeError:
    if code in _RETRYABLE or (code is Code.RESOURCE_EXHAUSTED and retry_after is not None):
        return RetryableError(message, retry_after=retry_after, code=code)
    if code is Code.RESOURCE_EXHAUSTED:
        return OversizeError(message)
    return PermanentError(message, code=code)


def _retry_after(error: grpc.aio.AioRpcError) -> float | None:
    trailers: Any = error.trailing_metadata() or ()
    details = dict(trailers).get("grpc-status-details-bin")
    return read_status(details).retry_after if isinstance(details, bytes) else None
