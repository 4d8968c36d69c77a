"""The way through an HTTP proxy (RFC 9110, section 9.3.6)."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from urllib.parse import unquote, urlsplit

__all__ = ["Detour", "open_tunnel"]

MAX_ANSWER_BYTES = 16 * 1024


class Detour:
    """An HTTP proxy by its URL, which may hold user and password."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host = parts.hostname or ""
        self.port = parts.port or 80
        self.authorization = ""
        """Value of ``Proxy-Authorization``; empty without a user."""
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self.authorization = f"Basic {b64encode(user.encode()).decode()}"


class _Opening(asyncio.Protocol):
    """Waits for the answer to CONNECT."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._data = b""

    def data_received(self, data: bytes) -> None:
        """Collect the head of the answer."""
        self._data += data
        if b"\r\n\r\n" in self._data or len(self._data) > MAX_ANSWER_BYTES:
            self._settle()

    def connection_lost(self, _exc: Exception | None) -> None:
        """The proxy hung up."""
        self._settle()

    def _settle(self) -> None:
        if not self.answer.done():
            self.answer.set_result(self._data)


async def open_tunnel(detour: Detour, target: str) -> asyncio.Transport:
    """Return a connection to ``target`` through a proxy, ready for TLS. Raises ``OSError``."""
    loop = asyncio.get_running_loop()
    transport, opening = await loop.create_connection(_Opening, detour.host, detour.port)
    proof = f"Proxy-Authorization: {detour.authorization}\r\n" if detour.authorization else ""
    try:
        transport.write(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{proof}\r\n".encode("latin-1"))
        answer = await opening.answer
    except BaseException:
        transport.abort()
        raise
    status = answer.split(b"\r\n", 1)[0].split(b" ")
    if len(status) < 2 or not status[1].startswith(b"2"):  # noqa: PLR2004  version and status
        transport.abort()
        msg = f"the proxy {detour.host}:{detour.port} gives no way to {target}"
        raise OSError(msg)
    return transport
