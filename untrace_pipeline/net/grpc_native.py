"""gRPC calls through the native client: compression and input and output outside of the GIL."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # missing in the stubs

from untrace_pipeline.errors import Code, PermanentError, StartError
from untrace_pipeline.net.client import grpc_refusal, one_line, read_status, user_agent
from untrace_pipeline.net.compression import native_level
from untrace_pipeline.net.grpc_portable import RECEIVE_LIMIT_BYTES, RECONNECT_MILLISECONDS
from untrace_pipeline.net.native_ends import Ends, Flights
from untrace_pipeline.net.tls import ClientTls

if TYPE_CHECKING:
    from untrace_pipeline.net.grpc_client import GrpcClientConfig

__all__ = ["NativeChannel", "not_native"]

_PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")
"""Variables that gRPC's own libraries look at, in this order."""


_EXEMPT = ("no_grpc_proxy", "no_proxy")


def not_native(config: GrpcClientConfig) -> str:
    """Say why the native client cannot serve a configuration; empty if it can."""
    if config.target.startswith("unix:"):
        return ""
    scheme, separator, rest = config.target.partition("://")
    if separator and (scheme != "dns" or not rest.startswith("/")):
        return f"it resolves names itself, {config.target} asks for another way"
    if limit := config.tls.native_limits():
        return f"tls.{limit}"
    host = _split(config)[0]
    proxy = next(filter(None, (os.environ.get(name) for name in _PROXIES)), None)
    exempt = next(filter(None, (os.environ.get(name) for name in _EXEMPT)), "")
    if proxy and not proxy_bypass_environment(host, {"no": exempt}):
        return "the environment names a proxy"
    return ""


def _split(config: GrpcClientConfig) -> tuple[str, int]:
    """Return the host and the port, or the path of a unix socket and 0."""
    if config.target.startswith("unix:"):
        path = config.target.removeprefix("unix:")
        return path.removeprefix("//") if path.startswith("///") else path, 0
    host, _, port = config.target.removeprefix("dns:///").rpartition(":")
    return host.strip("[]"), int(port)


class NativeChannel:
    """A native channel. Raises :class:`StartError` for unusable TLS files and options."""

    def __init__(self, config: GrpcClientConfig, tls: ClientTls | None, metadata: Sequence[tuple[str, str]]) -> None:
        host, port = _split(config)
        name = config.tls.server_name_override if tls is not None else None
        given = config.authority or name or ("localhost" if not port else config.target.removeprefix("dns:///"))
        headers = [("user-agent", config.user_agent or user_agent()), *metadata]
        keepalive = config.keepalive
        first, longest = RECONNECT_MILLISECONDS
        compression = config.compression.value
        secure = tls.native("h2") if tls is not None else None
        self._ends = Ends.acquire()
        try:
            self._channel = self._ends.egress.channel(
                target=(host, port),
                authority=given,
                tls=secure,
                server_name=name or _host(config.authority) or (host if port else "localhost"),
                headers=_encoded(headers),
                compression=None if compression == "none" else (compression, native_level(compression)),
                keepalive=(keepalive.time, keepalive.timeout, keepalive.permit_without_stream) if keepalive else None,
                round_robin=config.balancer_name.value == "round_robin",
                wait_for_ready=config.wait_for_ready,
                backoff=(first / 1000, longest / 1000),
                answer_limit=RECEIVE_LIMIT_BYTES,
            )
        except ValueError as error:
            self._ends.release()
            raise StartError(str(error)) from error
        self._flights = Flights(self._ends, self._channel.cancel)
        self._closed = False

    async def call(self, method: str, data: bytes, timeout: float | None, headers: Sequence[tuple[str, str]]) -> bytes:
        """Make a call. Raises as :meth:`GrpcClient.call` does."""
        try:
            token = self._channel.call(method, data, _encoded(headers) if headers else None, timeout)
        except ValueError as error:
            raise PermanentError(str(error)) from error
        body: bytes
        _, code, message, details, body = await self._flights.end(token)
        if not code:
            return body
        raise grpc_refusal(Code(code), one_line(message), read_status(details).retry_after if details else None)

    async def close(self, grace: float | None = None) -> None:
        """Close the channel; calls under way may take ``grace`` seconds to end. Safe twice."""
        try:
            if grace:
                await self._flights.finish(grace)
        finally:
            if not self._closed:
                self._closed = True
                self._channel.close()
                self._flights.abandon()
                self._ends.release()


def _host(authority: str) -> str:
    host, colon, port = authority.rpartition(":")
    return (host if colon and port.isdecimal() and (":" not in host or host.endswith("]")) else authority).strip("[]")


def _encoded(headers: Sequence[tuple[str, str]]) -> list[tuple[str, bytes]]:
    return [(name, value.encode()) for name, value in headers]
