"""One connection to an HTTP/1.1 server: a call at a time, its answer in pieces."""

from __future__ import annotations

import asyncio
import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

import httptools

if TYPE_CHECKING:
    from untrace_pipeline.net.http_origin import Origin

__all__ = ["AnswerHead", "CallError", "Failure", "Listener", "OriginConnection"]

MAX_HEAD_BYTES = 256 * 1024
"""Reason and headers of an answer with all that announces it; what stands between two pieces of its body, too."""
_INFORMATIONAL = 200
"""Statuses below announce another answer (RFC 9110, 15.2)."""
_BODILESS = {204, 304}


class Failure(enum.StrEnum):
    """How a call can fail without an answer, or in the middle of one."""

    CONNECT = "connect_error"
    RESET = "upstream_reset"
    """The connection ended before the answer did."""
    INVALID = "invalid_response"
    """What came is no HTTP."""
    TIMEOUT = "timeout"


class CallError(Exception):
    """A call failed; the text is for people, without secrets."""

    def __init__(self, failure: Failure, message: str) -> None:
        super().__init__(message)
        self.failure = failure


@dataclass(slots=True)
class AnswerHead:
    """Status line and headers as they came."""

    status: int
    reason: bytes
    headers: list[tuple[bytes, bytes]]


class Listener(Protocol):
    """Whoever made the call. All of it is called from the event loop and must not block."""

    def on_head(self, head: AnswerHead) -> None:
        """The head is there."""

    def on_piece(self, piece: bytes) -> None:
        """A piece of the body is there, as it came in."""

    def on_end(self) -> None:
        """The body is complete; the connection is not the caller's any more."""

    def on_failure(self, error: CallError) -> None:
        """There will be no more; the connection is closed."""


class OriginConnection(asyncio.Protocol):
    """Sends what it is given and parses what comes back."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._transport: asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self._listener: Listener | None = None
        self._head_only = False
        self._reason = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._framing_bytes = 0  # since the call or the answer's body began, or the last piece of the body
        self._head: AnswerHead | None = None  # came with the present data
        self._in_body = False
        self._pieces: list[bytes] = []
        self._complete = False
        self._to_the_end = False  # the body ends with the connection
        self._reusable = False
        self.is_open = True
        self.is_fresh = True
        """Whether nothing of an answer to the present call has come."""
        self.idle_since = 0.0

    def send(self, head: bytes, body: bytes, listener: Listener, *, head_only: bool = False) -> None:
        """Send a request; ``head_only`` for HEAD, whose answer has no body whatever its head says."""
        self._listener = listener
        self._head_only = head_only
        self._reusable = False
        self._framing_bytes = 0
        self.is_fresh = True
        self._transport.write(head + body if len(body) < MAX_HEAD_BYTES else head)
        if len(body) >= MAX_HEAD_BYTES:
            self._transport.write(body)

    def pause(self) -> None:
        """Read no more for the time being."""
        if self.is_open and self._listener is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self.is_open and self._listener is not None:
            self._transport.resume_reading()

    def abort(self) -> None:
        """Close at once; the listener hears no more."""
        self._listener = None
        self.is_open = False
        self._transport.abort()

    # -------------------------------------------------------------- transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is connected."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse what came, and hand it on at once."""
        if self._listener is None:
            self.abort()  # nobody asked for anything
            return
        self.is_fresh = False
        self._framing_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._reusable = False
            self._hand_on()
            self._fail(Failure.INVALID, f"the answer is no HTTP: {error.__context__ or error}")
        else:
            self._hand_on()
            if self._framing_bytes > MAX_HEAD_BYTES:  # the parser would gather a header without an end
                self._fail(Failure.INVALID, "the answer is no HTTP: headers or trailers are too large")

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self.is_open = False
        self._origin.forget(self)
        if exc is None and self._to_the_end:
            self._complete = True
            self._hand_on()
        self._fail(Failure.RESET, "the connection was reset" if exc else "the connection was closed")

    def _fail(self, failure: Failure, message: str) -> None:
        listener = self._listener
        if self.is_open:
            self.abort()
        self._listener = None
        if listener is not None:
            listener.on_failure(CallError(failure, message))

    def _hand_on(self) -> None:
        """Tell the listener what the present data brought."""
        listener = self._listener
        if listener is None:
            return
        if self._head is not None:
            head, self._head = self._head, None
            listener.on_head(head)
        if self._pieces:
            pieces, self._pieces = self._pieces, []
            listener.on_piece(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if self._complete:
            self._finish(listener)

    def _finish(self, listener: Listener) -> None:
        self._listener = None
        self._complete = self._in_body = self._to_the_end = False
        if self._reusable and self.is_open and not self._transport.get_write_buffer_size():
            self._origin.keep(self)
        elif self.is_open:
            self.abort()
        listener.on_end()

    # ----------------------------------------------------------------- parser

    def on_message_begin(self) -> None:
        """An answer begins."""
        if self._complete:
            msg = "more than one answer"
            raise ValueError(msg)
        self._reason = b""
        self._headers = []

    def on_status(self, reason: bytes) -> None:
        """Take the reason phrase, or a part of it."""
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; trailers are left out, as RFC 9110 (6.5.1) allows."""
        if not self._in_body:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is complete."""
        status = self._parser.get_status_code()
        if status < _INFORMATIONAL:
            return
        if len(self._reason) + sum(len(name) + len(value) for name, value in self._headers) > MAX_HEAD_BYTES:
            msg = "the head is too large"
            raise ValueError(msg)
        self._head = AnswerHead(status, self._reason, self._headers)
        self._in_body = True
        self._framing_bytes = 0
        if self._head_only:
            self._complete = True
            return
        names = {name.lower() for name, _ in self._headers}
        framed = b"content-length" in names or b"transfer-encoding" in names
        self._to_the_end = not framed and status not in _BODILESS

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._framing_bytes = 0
        if not self._head_only:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        """The answer is complete, or it was a preliminary one."""
        if self._in_body and not self._head_only:
            self._complete = True
            self._reusable = self._parser.should_keep_alive()
