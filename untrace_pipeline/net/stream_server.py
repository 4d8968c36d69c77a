"""What servers over sockets share: listening, the set of connections, looking at deadlines, waiting for the last."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Generic, TypeVar

from untrace_pipeline.net.endpoint import Endpoint, close_listeners, open_listeners

__all__ = ["StreamServer"]

C = TypeVar("C", bound=asyncio.Protocol)

SWEEP_SECONDS = 0.5
"""How late a deadline is noticed at most."""
TLS_HANDSHAKE_SECONDS = 15.0


class StreamServer(Generic[C]):
    """Listens on one endpoint and keeps its connections."""

    def __init__(self, max_connections: int, sweep: Callable[[float], None]) -> None:
        self._max_connections = max_connections
        self._sweep = sweep
        self._servers: list[asyncio.Server] = []
        self._timer: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()
        self._endpoint = Endpoint()
        self.connections: set[C] = set()

    async def start(self, endpoint: Endpoint, make: Callable[[], C], tls: ssl.SSLContext | None) -> Endpoint:
        """Listen; return the endpoint with the port that was chosen. Raises :class:`StartError`."""
        loop = asyncio.get_running_loop()
        sockets, self._endpoint = open_listeners(endpoint)
        create = loop.create_unix_server if self._endpoint.path else loop.create_server
        handshake = TLS_HANDSHAKE_SECONDS if tls else None
        for one in sockets:
            self._servers.append(await create(make, sock=one, ssl=tls, ssl_handshake_timeout=handshake))
        self._tick()
        return self._endpoint

    @property
    def listening(self) -> bool:
        """Whether new connections are accepted."""
        return bool(self._servers)

    def close(self) -> None:
        """Accept no more connections."""
        for server in self._servers:
            server.close()
        if self._servers:
            close_listeners([], self._endpoint)
        self._servers.clear()

    async def wait_empty(self) -> None:
        """Wait until the last connection is gone."""
        while self.connections:
            self._empty.clear()
            await self._empty.wait()

    def stop_sweeping(self) -> None:
        """Look at deadlines no more."""
        if self._timer is not None:
            self._timer.cancel()

    def register(self, connection: C) -> bool:
        """Take a new connection; false if there are too many."""
        self.connections.add(connection)
        return len(self.connections) <= self._max_connections

    def unregister(self, connection: C) -> None:
        """Forget a connection that is closed."""
        self.connections.discard(connection)
        if not self.connections:
            self._empty.set()

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweep(loop.time())
        self._timer = loop.call_later(SWEEP_SECONDS, self._tick)
