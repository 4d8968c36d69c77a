"""Requests and responses of the HTTP server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from untrace_pipeline.net.pieces import add_piece

__all__ = ["ClientGoneError", "HttpError", "Request", "Response", "metadata"]


class HttpError(Exception):
    """Ends a request with a status and a text that says what would be right."""

    def __init__(self, status: HTTPStatus, message: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


class ClientGoneError(Exception):
    """The client left before its request was complete; there is nobody to answer."""


@dataclass(slots=True)
class Response:
    """What a handler answers."""

    status: HTTPStatus = HTTPStatus.OK
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()
    """More headers, without those of length and connection."""

    def head(self) -> bytes:
        """Return the status line and the headers that are in the answer's own hands."""
        lines = [f"HTTP/1.1 {self.status.value} {self.status.phrase}\r\n", f"content-type: {self.content_type}\r\n"]
        lines += [f"{name}: {value}\r\n" for name, value in self.headers]
        return "".join(lines).encode("latin-1")

    def encode(self, *, with_body: bool, close: bool, date: bytes) -> bytes:
        """Return the bytes for the wire."""
        return b"%b%bdate: %b\r\ncontent-length: %d\r\n\r\n%b" % (
            self.head(),
            b"connection: close\r\n" if close else b"",
            date,
            len(self.body),
            self.body if with_body else b"",
        )


GROWTH_BYTES = 1024 * 1024
"""How much of a body may come between two questions whether more is welcome."""


class Request:
    """One request; the handler runs from its headers on and asks for the body when it wants it."""

    __slots__ = (
        "_admit",
        "_admitted",
        "_chunks",
        "_gone",
        "_waiter",
        "_want",
        "complete",
        "discarded",
        "expects_continue",
        "first",
        "headers",
        "is_http_1_0",
        "keep_alive",
        "limit",
        "method",
        "path",
        "peer",
        "problem",
        "query",
        "size",
        "wanted",
    )  # fmt: skip

    def __init__(self, headers: list[tuple[bytes, bytes]], limit: int, peer: str) -> None:
        self.headers = headers
        """All headers in order, with lower-case names."""
        self.first: dict[bytes, bytes] = dict(headers)
        """One value per name; the last where a name occurs twice."""
        self.method = ""
        self.path = ""
        """Without the query."""
        self.query = ""
        """As it was sent, without the question mark."""
        self.peer = peer
        """``host:port`` of the client, or ``unix``."""
        self.limit = limit
        """Largest body in bytes."""
        self.size = 0
        """Bytes of the body that have come."""
        self.complete = False
        self.wanted = False
        self.discarded = False
        self.keep_alive = True
        self.expects_continue = False
        self.is_http_1_0 = False
        self.problem: Exception | None = None
        self._chunks: list[bytes] = []
        self._admit: Callable[[int], HttpError | None] | None = None
        self._admitted = GROWTH_BYTES
        self._waiter: asyncio.Future[None] | None = None
        self._want: Callable[[], None] | None = None
        self._gone: Callable[[], None] | None = None

    def header(self, name: str) -> str:
        """Return a header, empty if it is absent; ``name`` in lower case."""
        value = self.first.get(name.encode())
        return "" if value is None else value.decode("latin-1")

    @property
    def content_length(self) -> int | None:
        """The announced size of the body; ``None`` for a chunked one."""
        value = self.first.get(b"content-length")
        if value is None:
            return None if b"transfer-encoding" in self.first else 0
        return int(value)

    async def read(self) -> bytes:
        """Return the whole body as it came. Raises :class:`HttpError` 413 as soon as it is known to be too large."""
        announced = self.content_length
        if announced is not None and announced > self.limit:
            raise self._too_large()
        self.wanted = True
        if not self.complete and self.problem is None:
            if self._want:
                self._want()
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self.problem is not None:
            raise self.problem
        chunks = self._chunks
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def release(self) -> None:
        """Forget the body and whom to tell: for a handler that keeps the request longer than its answer takes."""
        self._chunks.clear()
        self._gone = self._admit = None

    def on_growth(self, admit: Callable[[int], HttpError | None]) -> None:
        """Ask, with the bytes that have come, whenever another MiB of the body is there: memory may be short by now."""
        self._admit = admit

    def on_gone(self, call: Callable[[], None] | None) -> None:
        """Be told when the client goes before it has its whole answer; closing its sending half counts as going.

        ``None`` ends it.
        """
        self._gone = call

    # ------------------------------------------------- for the connection only

    @property
    def is_watched(self) -> bool:
        """Whether somebody wants to be told that the client is gone."""
        return self._gone is not None

    def gone(self) -> None:
        """The client is gone."""
        call, self._gone = self._gone, None
        if call is not None:
            call()

    def on_want(self, call: Callable[[], None]) -> None:
        """Set what is called when the handler waits for a body that is not there yet."""
        self._want = call

    def take(self, chunk: bytes) -> None:
        """Take a piece of the body."""
        if self.discarded or self.problem is not None:
            return
        self.size += len(chunk)
        if self.size > self.limit:
            self.fail(self._too_large())
        elif self.size > self._admitted and self._admit is not None and (refusal := self._admit(self.size)):
            self.fail(refusal)
        else:
            add_piece(self._chunks, chunk)
        while self.size > self._admitted:
            self._admitted += GROWTH_BYTES

    def finish(self) -> None:
        """The body is complete."""
        self.complete = True
        self._wake()

    def fail(self, problem: Exception) -> None:
        """The body will never be complete."""
        self.problem = self.problem or problem
        self._chunks.clear()
        self._wake()

    def discard(self) -> None:
        """Nobody will ask for the body any more."""
        self.discarded = True
        self._chunks.clear()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _too_large(self) -> HttpError:
        return HttpError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than the limit of {self.limit} bytes"
        )


def metadata(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, tuple[str, ...]]:
    """Return headers as metadata of a context."""
    found: dict[str, tuple[str, ...]] = {}
    for name, value in headers:
        key = name.decode("latin-1")
        found[key] = (*found.get(key, ()), value.decode("latin-1"))
    return found
