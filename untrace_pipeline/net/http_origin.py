"""Calls to one HTTP/1.1 server whose answers are handed on piece by piece, as they come.

For proxies: what is sent is said byte by byte, and so is what comes back. One connection carries one call at a time and
is kept for the next. Costs about 15 µs per small call.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from functools import cache
from urllib.parse import urlsplit

from untrace_pipeline.errors import StartError
from untrace_pipeline.net.client import one_line
from untrace_pipeline.net.http_origin_connection import CallError, Failure, OriginConnection
from untrace_pipeline.net.http_tunnel import Detour, open_tunnel
from untrace_pipeline.net.tls import ClientTls, ClientTlsConfig

__all__ = ["Origin"]


class Origin:
    """A server by its URL, and the connections to it."""

    def __init__(
        self,
        url: str,
        tls: ClientTlsConfig,
        logger: logging.Logger,
        *,
        connect_timeout: float,
        keep_idle: float,
        proxy_url: str | None = None,
    ) -> None:
        """Make no connection yet; ``connect_timeout`` and ``keep_idle`` in seconds, ``proxy_url`` of an HTTP proxy."""
        self._logger = logger
        parts = urlsplit(url)
        self.host = parts.hostname or ""
        self.is_secure = parts.scheme == "https"
        self.port = parts.port or (443 if self.is_secure else 80)
        host = f"[{self.host}]" if ":" in self.host else self.host
        self.authority = host if parts.port is None else f"{host}:{parts.port}"
        """What belongs into the header ``Host``."""
        self._detour = Detour(proxy_url) if proxy_url else None
        self.target_prefix = "" if self._detour is None or self.is_secure else f"http://{self.authority}"
        """What goes before the path in the request line: a plain proxy wants the whole URL."""
        self.proxy_authorization = self._detour.authorization if self._detour and not self.is_secure else ""
        """The value of ``Proxy-Authorization`` that each request must have; empty if none."""
        self._tls = ClientTls(tls)
        self._is_plain_tls = tls == ClientTlsConfig()
        self._server_name = tls.server_name_override or self.host
        self._context: ssl.SSLContext | None = None
        self._connect_timeout = connect_timeout
        self._keep_idle = keep_idle
        self._idle: deque[OriginConnection] = deque()  # the newest at the right end
        self._all: set[OriginConnection] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def start(self) -> None:
        """Load what TLS needs. Raises :class:`StartError`."""
        self._loop = asyncio.get_running_loop()
        self._closed = False
        if self.is_secure:
            self._context = _default_context() if self._is_plain_tls else self._tls.ssl_context()

    def close(self) -> None:
        """Close all connections; calls under way fail."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for connection in list(self._all):
            connection.abort()
        self._idle.clear()

    def kept(self) -> OriginConnection | None:
        """Return a connection that was used before and is free, if there is one."""
        if self._context is not None and self._tls.changed():
            self._reload()
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        return None

    def _reload(self) -> None:
        """Use the changed files from the next connection on."""
        try:
            self._context = self._tls.ssl_context()
        except StartError as error:
            self._logger.warning("changed certificates not taken, the old ones stay: %s", error)
        else:
            self._drop_idle(self._loop.time())

    async def connect(self) -> OriginConnection:
        """Return a new connection. Raises :class:`CallError`."""
        try:
            async with asyncio.timeout(self._connect_timeout or None):
                connection = await self._connect()
        except TimeoutError as error:
            msg = f"no connection to {self.host}:{self.port} in {self._connect_timeout:g} s"
            raise CallError(Failure.CONNECT, msg) from error
        except ssl.SSLError as error:
            msg = f"TLS with {self.host}:{self.port} failed: {one_line(error.reason or str(error))}"
            raise CallError(Failure.CONNECT, msg) from error
        except OSError as error:
            msg = f"cannot connect to {self.host}:{self.port}: {one_line(error.strerror or str(error))}"
            raise CallError(Failure.CONNECT, msg) from error
        if self._closed:
            connection.abort()
            raise CallError(Failure.CONNECT, "the client is closed")
        self._all.add(connection)
        return connection

    async def _connect(self) -> OriginConnection:
        def make() -> OriginConnection:
            return OriginConnection(self)

        name = self._server_name if self._context else None
        if self._detour is None:
            _, connection = await self._loop.create_connection(
                make, self.host, self.port, ssl=self._context, server_hostname=name
            )
            return connection
        if self._context is None:
            _, connection = await self._loop.create_connection(make, self._detour.host, self._detour.port)
            return connection
        tunnel = await open_tunnel(self._detour, f"{self.host}:{self.port}")
        connection = make()
        transport = await self._loop.start_tls(tunnel, connection, self._context, server_hostname=name)
        if transport is None:
            msg = "the connection was lost during the handshake"
            raise OSError(msg)
        connection.connection_made(transport)
        return connection

    # ---------------------------------------------- called by the connections

    def keep(self, connection: OriginConnection) -> None:
        """Take a connection back whose call is complete."""
        if self._closed or not self._keep_idle:
            connection.abort()
            return
        connection.idle_since = self._loop.time()
        self._idle.append(connection)
        if self._timer is None:
            self._timer = self._loop.call_later(self._keep_idle, self._sweep)

    def forget(self, connection: OriginConnection) -> None:
        """A connection is gone."""
        self._all.discard(connection)

    def _sweep(self) -> None:
        self._timer = None
        self._drop_idle(self._loop.time() - self._keep_idle)
        if self._idle:
            self._timer = self._loop.call_later(self._keep_idle, self._sweep)

    def _drop_idle(self, since: float) -> None:
        """Close connections that are idle since then or longer."""
        while self._idle and self._idle[0].idle_since <= since:
            self._idle.popleft().abort()


@cache
def _default_context() -> ssl.SSLContext:
    """Return the context of all servers without ``tls`` options: loading the system's authorities takes 30 ms."""
    return ClientTls(ClientTlsConfig()).ssl_context()
