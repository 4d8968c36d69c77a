"""A small HTTP/1.1 server for pages about the daemon itself: metrics, health. GET and HEAD only, no bodies.

It exists because aiohttp costs an idle daemon time and memory that a handful of short answers do not need
(docs/decisions/0003-small-http-server.md has the numbers). Data never comes this way.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote, urlsplit

__all__ = ["GetServer", "Request", "Response"]

MAX_HEAD_BYTES = 16 * 1024
"""Request line and headers; probes and scrapers send less than 1 KiB."""
IDLE_SECONDS = 60.0
"""Between requests of one connection, and for one request head to arrive."""
MAX_CONNECTIONS = 100
"""More than any number of probes and scrapers; beyond it, connections are closed at once."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request."""

    method: str
    path: str
    """Percent-decoded, without the query."""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    """Lower-case names; of repeated headers the last."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Request], Awaitable[Response]]


class GetServer:
    """Answers GET and HEAD with one handler; everything else is refused."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self, host: str | None, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Listen. Raises ``OSError`` if the address cannot be bound."""
        self._server = await asyncio.start_server(self._accept, host, port, ssl=tls, limit=MAX_HEAD_BYTES)

    @property
    def port(self) -> int:
        """The port listened on; of interest if 0 was asked for."""
        assert self._server is not None
        number: int = self._server.sockets[0].getsockname()[1]
        return number

    async def close(self) -> None:
        """Stop listening and drop all connections. Safe twice and without ``start``."""
        if self._server is None:
            return
        self._server.close()
        for task in self._connections:
            task.cancel()
        if self._connections:
            await asyncio.wait(self._connections)
        await self._server.wait_closed()
        self._server = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            if len(self._connections) <= MAX_CONNECTIONS:
                with contextlib.suppress(ConnectionError, TimeoutError, asyncio.IncompleteReadError):
                    while await self._serve(reader, writer):
                        pass
        except asyncio.CancelledError:
            pass  # close() ends the connection; nobody awaits this task for its outcome
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether the connection stays open."""
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            await _write(writer, "GET", Response(431, b"request head too large\n"), keep=False)
            return False
        request = _parse(head)
        if request is None:
            await _write(writer, "GET", Response(400, b"not an HTTP/1.1 request\n"), keep=False)
            return False
        headers = request.headers
        body_follows = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        keep = headers.get("connection", "").lower() != "close" and not body_follows
        response = await self._answer(request)
        await _write(writer, request.method, response, keep=keep)
        return keep

    async def _answer(self, request: Request) -> Response:
        if request.method not in {"GET", "HEAD"}:
            return Response(405, b"only GET and HEAD\n", headers={"Allow": "GET, HEAD"})
        try:
            return await self._handler(request)
        except Exception:
            logger.exception("no answer to %s %s", request.method, request.path)
            return Response(500, b"internal error\n")


def _parse(head: bytes) -> Request | None:
    lines = head.decode("latin-1").split("\r\n")
    parts = lines[0].split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):  # noqa: PLR2004  method, target, version
        return None
    headers = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if line and not colon:
            return None
        headers[name.lower()] = value.strip()
    if parts[2] == "HTTP/1.0":
        headers.setdefault("connection", "close")
    try:
        target = urlsplit(parts[1])
    except ValueError:
        return None
    query = dict(parse_qsl(target.query, keep_blank_values=True))
    return Request(parts[0], unquote(target.path), query, headers)


async def _write(writer: asyncio.StreamWriter, method: str, response: Response, *, keep: bool) -> None:
    lines = [
        f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}",
        f"Content-Type: {response.content_type}",
        f"Content-Length: {len(response.body)}",
        f"Connection: {'keep-alive' if keep else 'close'}",
        *(f"{name}: {value}" for name, value in response.headers.items()),
    ]
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    writer.write(head if method == "HEAD" else head + response.body)
    await writer.drain()
