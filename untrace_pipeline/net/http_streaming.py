"""Answers whose bodies are written while they come, as a proxy or a live view does."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from untrace_pipeline.net.http_message import Request

__all__ = ["BodyWriter", "Framing", "StreamedResponse"]

_NO_CONTENT = {204, 304}
_LAST_CHUNK = b"0\r\n\r\n"


class Framing(enum.Enum):
    """How the end of a body is told (RFC 9112, section 6)."""

    NONE = enum.auto()
    """There is no body: an answer to HEAD, 204, 304."""
    LENGTH = enum.auto()
    CHUNKED = enum.auto()
    CLOSE = enum.auto()
    """By the end of the connection; for clients of HTTP/1.0."""


class BodyWriter:
    """Writes the body of one answer, each piece at once. Never waits: a producer stops while its client is slow."""

    __slots__ = ("_transport", "complete", "framing", "pause", "resume")

    def __init__(self, transport: asyncio.WriteTransport, framing: Framing) -> None:
        self._transport = transport
        self.framing = framing
        self.complete = False
        """Whether :meth:`finish` was called; without it the connection is cut, and the client sees a broken body."""
        self.pause: Callable[[], None] = _nothing
        """Called when the client does not take what is written; more may be written, it costs memory."""
        self.resume: Callable[[], None] = _nothing
        """Called when it took it."""

    def write(self, piece: bytes) -> None:
        """Write a piece; an empty one is nothing, nor is one that nobody is there to take."""
        if not piece or self.framing is Framing.NONE or self._transport.is_closing():
            return
        self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if self.framing is Framing.CHUNKED else piece)

    def finish(self) -> None:
        """The body is complete."""
        self.complete = True
        if self.framing is Framing.CHUNKED and not self._transport.is_closing():
            self._transport.write(_LAST_CHUNK)


def _nothing() -> None:
    """Nobody listens."""


@dataclass(slots=True)
class StreamedResponse:
    """What a handler answers whose body is written by ``produce``."""

    status: int
    reason: bytes
    lines: bytes
    """Header lines as they go onto the wire, without those of the connection and ``Transfer-Encoding``."""
    length: int | None
    """What ``Content-Length`` among the lines says; ``None`` where there is none."""
    produce: Callable[[BodyWriter], Awaitable[None]]
    """Writes the body and returns; where it did not finish it, the connection is cut.

    It learns through :meth:`Request.on_gone` that the client went.
    """
    headers: tuple[tuple[str, str], ...] = ()
    """More headers; the server adds its own."""

    def framing(self, request: Request) -> Framing:
        """Return how the end of the body is told to the client of ``request``."""
        if request.method == "HEAD" or self.status in _NO_CONTENT:
            return Framing.NONE
        if self.length is not None:
            return Framing.LENGTH
        return Framing.CLOSE if request.is_http_1_0 else Framing.CHUNKED

    def head(self, framing: Framing, *, close: bool) -> bytes:
        """Return the status line and all headers."""
        more = "".join(f"{name}: {value}\r\n" for name, value in self.headers).encode("latin-1")
        return b"HTTP/1.1 %d %b\r\n%b%b%b%b\r\n" % (
            self.status,
            self.reason,
            self.lines,
            more,
            b"transfer-encoding: chunked\r\n" if framing is Framing.CHUNKED else b"",
            b"connection: close\r\n" if close else b"",
        )
