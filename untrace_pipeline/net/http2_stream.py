"""What an HTTP/2 connection and the application on it have in common: streams, limits, callbacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from untrace_pipeline.net.hpack import HeaderList
from untrace_pipeline.net.pieces import add_piece

if TYPE_CHECKING:
    from untrace_pipeline.net.http2_connection import Http2Connection

__all__ = ["Application", "Http2Limits", "Stream"]


class Application(Protocol):
    """What runs on the connections of a server."""

    def register(self, connection: Http2Connection) -> bool:
        """Take a new connection; false if there are too many."""

    def unregister(self, connection: Http2Connection) -> None:
        """Forget a connection that is closed."""

    def begin(self, stream: Stream) -> None:
        """The headers of a stream are there."""

    def receive(self, stream: Stream) -> None:
        """Data of a stream came, or its end (``stream.ended``)."""

    def abandon(self, stream: Stream) -> None:
        """The client cancelled a stream, or is gone; nobody reads an answer."""


@dataclass(frozen=True, slots=True)
class Http2Limits:
    """Seconds are infinite where there is no limit."""

    max_streams: int
    stream_window: int
    handshake: float
    write: float
    idle: float
    age: float
    age_grace: float
    ping_after: float
    ping_timeout: float
    least_ping_interval: float
    ping_without_streams: bool


class Stream:
    """One request and its answer."""

    __slots__ = (
        "answered", "call", "chunks", "connection", "content_length", "ended", "headers", "id", "open",
        "receive_window", "send_window", "size", "touched",
    )  # fmt: skip

    def __init__(self, connection: Http2Connection, id: int, headers: HeaderList | None, content_length: int) -> None:
        self.connection = connection
        self.id = id
        self.headers = headers
        """In order, names in lower case; ``None`` if they are larger than the limit."""
        self.content_length = content_length
        """What the data must add up to, -1 if the client did not say."""
        self.chunks: list[bytes] = []
        self.size = 0
        """Bytes in ``chunks``."""
        self.ended = False
        """Whether the client has sent everything."""
        self.answered = False
        """Whether the application has answered; the answer may still wait for the client's window."""
        self.open = True
        """Whether the client may still read an answer."""
        self.receive_window = connection.limits.stream_window
        self.send_window = 0
        """What the client granted beyond the window that its settings give to every stream."""
        self.touched = connection.now
        """When something came last, in the loop's time."""
        self.call: Any = None
        """The application's own."""

    def take(self, piece: bytes) -> None:
        """Add a piece of the message."""
        add_piece(self.chunks, piece)
        self.size += len(piece)
