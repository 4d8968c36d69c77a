"""gRPC calls through grpcio: works wherever Python does."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from untrace_pipeline.errors import Code, RetryableError, StartError
from untrace_pipeline.net.client import grpc_refusal, one_line, read_status, user_agent
from untrace_pipeline.net.tls import ClientTls

if TYPE_CHECKING:
    import grpc.aio

    from untrace_pipeline.net.grpc_client import GrpcClientConfig

__all__ = ["PortableChannel"]

RECEIVE_LIMIT_BYTES = 4 * 1024 * 1024
"""OTLP: a client should not take answers larger than 4 MiB."""
RECONNECT_MILLISECONDS = (100, 5000)
"""First and longest wait between attempts to connect; gRPC's own 1 s to 120 s would outlast the retries."""

_TLS_TO_PLAIN = "WRONG_VERSION_NUMBER"


class PortableChannel:
    """A channel of grpcio. Raises :class:`StartError` for unusable TLS files and options that grpcio lacks."""

    def __init__(self, config: GrpcClientConfig, tls: ClientTls | None, metadata: Sequence[tuple[str, str]]) -> None:
        # Else its C core writes a line of its own, in a form of its own, to standard error for each lost connection.
        os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
        import grpc  # noqa: PLC0415  validating a configuration must not load it
        import grpc.aio  # noqa: PLC0415

        known = {"gzip": grpc.Compression.Gzip, "deflate": grpc.Compression.Deflate, "none": None}
        if config.compression.value not in known:
            msg = f"compression {config.compression}: gRPC in Python has gzip and deflate only"
            raise StartError(msg)
        compression = known[config.compression.value]
        if tls is None:
            channel = grpc.aio.insecure_channel(config.target, _options(config), compression)
        else:
            options = [*_options(config), *tls.grpc_options()]
            channel = grpc.aio.secure_channel(config.target, tls.grpc_credentials(), options, compression)
        channel.get_state(try_to_connect=True)
        self._channel = channel
        self._metadata = tuple(metadata)
        self._wait_for_ready = config.wait_for_ready
        self._calls: dict[str, Any] = {}

    async def call(self, method: str, data: bytes, timeout: float | None, headers: Sequence[tuple[str, str]]) -> bytes:
        """Make a call. Raises as :meth:`GrpcClient.call` does."""
        call = self._calls.get(method) or self._prepare(method)
        metadata = (*self._metadata, *headers)
        try:
            answer: bytes = await call(data, timeout=timeout, metadata=metadata, wait_for_ready=self._wait_for_ready)
        except Exception as error:
            raise _translate(error) from error
        return answer

    async def close(self, grace: float | None = None) -> None:
        """Close the channel; calls under way may take ``grace`` seconds to end."""
        await self._channel.close(grace)

    def _prepare(self, method: str) -> Any:
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
    return grpc_refusal(code, message, _retry_after(error))


def _retry_after(error: grpc.aio.AioRpcError) -> float | None:
    trailers: Any = error.trailing_metadata() or ()
    details = dict(trailers).get("grpc-status-details-bin")
    return read_status(details).retry_after if isinstance(details, bytes) else None
