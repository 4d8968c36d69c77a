"""HTTP requests through the native client: compression and input and output outside of the GIL."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from untrace_pipeline.errors import PermanentError, RetryableError, StartError
from untrace_pipeline.net.client import one_line
from untrace_pipeline.net.compression import Compression, native_level
from untrace_pipeline.net.http_answer import Answer
from untrace_pipeline.net.http_portable import RECEIVE_LIMIT_BYTES
from untrace_pipeline.net.native_ends import Ends, Flights
from untrace_pipeline.net.tls import ClientTls, ClientTlsConfig

if TYPE_CHECKING:
    from untrace_pipeline.net.http_client import HttpClientConfig

__all__ = ["NativePool", "not_native"]

_OF_CONNECTIONS = {"connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
"""Headers that say how a message travels: the native client writes its own."""


def not_native(config: HttpClientConfig) -> str:
    """Say why the native client cannot serve a configuration; empty if it can."""
    if config.proxy_url:
        return "it knows no proxies"
    if limit := config.tls.native_limits():
        return f"tls.{limit}"
    if own := sorted(_OF_CONNECTIONS.intersection(map(str.lower, config.headers))):
        return f"headers: {', '.join(own)}"
    return ""


class NativePool:
    """A native pool. Raises :class:`StartError` for unusable TLS files and headers."""

    def __init__(self, config: HttpClientConfig, tls: ClientTls, headers: Mapping[str, str]) -> None:
        self._config = config
        self._tls = tls
        self._headers = {"accept": "*/*", **{name.lower(): value for name, value in headers.items()}}
        self._pools: dict[bool, tuple[Any, Flights]] = {}
        secure = config.endpoint.startswith("https:") or config.tls != ClientTlsConfig()
        self._ends = Ends.acquire()
        self._closed = False
        try:
            self._pools[secure] = self._made(secure=secure)
        except StartError:
            self._ends.release()
            raise

    async def post(self, url: str, data: bytes, headers: Mapping[str, str], proxy: str | None) -> Answer:
        """Send a body, and return whatever is answered. Raises as :meth:`HttpClient.post` does where nothing is.

        There is no ``proxy`` here.
        """
        assert proxy is None
        clean, user = _parts(url)
        names = {name.lower(): value for name, value in headers.items()}
        if user and "authorization" not in names and "authorization" not in self._headers:
            names["authorization"] = user
        pool, flights = self._pools.get(True) or self._pool(secure=clean.startswith("https:"))
        try:
            token = pool.post(clean, data, _encoded(names.items()))
        except ValueError as error:
            raise PermanentError(one_line(str(error))) from error
        end = await flights.end(token)
        if len(end) == 2:  # noqa: PLR2004  no answer: the token, and why
            raise RetryableError(one_line(end[1]))
        _, status, content_type, retry_after, location, body = end
        told = {"Retry-After": retry_after, "Location": location}
        headers = {name: value for name, value in told.items() if value is not None}
        kind = content_type.partition(";")[0].strip().lower() or "application/octet-stream"
        return Answer(status, kind, body, headers)

    async def close(self, grace: float | None = None) -> None:
        """Close all connections, after at most ``grace`` seconds for the requests under way. Safe twice."""
        try:
            if grace:
                for _, flights in self._pools.values():
                    await flights.finish(grace)
        finally:
            if not self._closed:
                self._closed = True
                for pool, flights in self._pools.values():
                    pool.close()
                    flights.abandon()
                self._ends.release()

    def _pool(self, *, secure: bool) -> tuple[Any, Flights]:
        """Return the pool for a URL; one with TLS is made when it is needed, for it loads many certificates."""
        found = self._pools.get(secure)
        if found is None:
            found = self._pools[secure] = self._made(secure=secure)
        return found

    def _made(self, *, secure: bool) -> tuple[Any, Flights]:
        config = self._config
        compression = config.compression
        level = config.compression_params.level
        try:
            pool = self._ends.egress.pool(
                tls=self._tls.native("http/1.1") if secure else None,
                server_name=config.tls.server_name_override,
                headers=_encoded(self._headers.items()),
                compression=None
                if compression is Compression.NONE
                else (compression.value, native_level(compression) if level is None else level),
                connections_per_host=config.max_conns_per_host,
                idle_timeout=config.idle_conn_timeout,
                keep_alive=not config.disable_keep_alives,
                answer_limit=RECEIVE_LIMIT_BYTES,
            )
        except ValueError as error:
            raise StartError(str(error)) from error
        return pool, Flights(self._ends, pool.cancel)


@lru_cache(maxsize=256)
def _parts(url: str) -> tuple[str, str]:
    """Return a URL as it goes over the wire, without its user, and the header that stands for the user."""
    from yarl import URL  # noqa: PLC0415

    try:
        parsed = URL(url)
        clean = str(parsed.with_user(None).with_fragment(None))
    except ValueError as error:
        raise PermanentError(one_line(str(error))) from error
    if parsed.raw_user is None:
        return clean, ""
    pair = f"{unquote(parsed.raw_user)}:{unquote(parsed.raw_password or '')}"
    return clean, "Basic " + base64.b64encode(pair.encode("latin1", "replace")).decode()


def _encoded(headers: Iterable[tuple[str, str]]) -> list[tuple[str, bytes]]:
    return [(name, value.encode()) for name, value in headers]
