"""One HTTP/1.1 connection: httptools parses, handlers answer, in the order of the requests.

A handler starts when the headers of its request are there. Requests behind it are parsed meanwhile and answered after
it. Deadlines are plain numbers that the server compares with the clock every so often, because a timer per request
would cost more than the rest.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import httptools

from untrace_pipeline.net.http_message import ClientGoneError, HttpError, Request
from untrace_pipeline.net.http_streaming import BodyWriter, Framing, StreamedResponse

if TYPE_CHECKING:
    from untrace_pipeline.net.http_server import HttpServer

__all__ = ["HttpConnection"]

MAX_HEAD_BYTES = 64 * 1024
"""Request line and headers; far more than SDKs send, cookies and baggage included."""
MAX_HEADERS = 128
MAX_PIPELINED = 16
"""Requests parsed ahead; then reading pauses."""
UNASKED_BYTES = 64 * 1024
"""Bytes of a body that are taken while its handler has not asked for it (it may be authenticating)."""
FRAMING_BYTES, FRAMING_FACTOR = 64 * 1024, 16
"""Bytes of chunk headers that a body may have, and per byte of content; one-byte chunks have 5."""
SKIPPED_BYTES = 256 * 1024
"""A body that nobody wants is read to its end up to this size; beyond, the connection is closed. As Go does it."""
LINGER_SECONDS = 2.0
"""How long input is thrown away after a refusal, so that the client can read it before the connection resets."""
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_TLS_HANDSHAKE = b"\x16\x03"
_HTTP_2 = b"PRI * HTTP/2"


class HttpConnection(asyncio.Protocol):
    """Reads requests of one client and writes the answers."""

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._loop = server.loop
        self._limits = server.limits
        self._transport: asyncio.Transport
        self._parser = httptools.HttpRequestParser(self)
        self._peer = ""
        self._current: Request | None = None  # being answered
        self._task: asyncio.Task[None] | None = None
        self._body: BodyWriter | None = None  # of an answer that is written while it comes
        self._incoming: Request | None = None  # its headers are there, its body is not
        self._queue: deque[Request] = deque()  # wait for the current one; the last may still be incoming
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0  # of a head that is not complete; 0 between requests
        self._head_is_new = False
        self._body_bytes: float = 0  # of the incoming body, with framing; -inf where its headers end
        self._framing_bytes: float = 0  # since the last piece of the incoming body; -inf where that ends
        self._deaf = False  # input is thrown away; the connection closes after what is still to be answered
        self._ended = False  # the client will send no more
        self._lost = False
        self._reading = True
        self._blocked = False  # the client does not take its answers
        self._request_deadline = math.inf
        self.deadline = math.inf
        """When :meth:`expire` is due, in the loop's time."""

    # -------------------------------------------------------------- transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self._peer = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else "unix"
        self._due_in(self._limits.head)
        if not self._server.register(self):
            self._refuse(HttpError(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections", (("retry-after", "1"),)))

    def data_received(self, data: bytes) -> None:
        """Parse what came; the callbacks start handlers."""
        if self._deaf:
            return
        between = self._incoming is None and not self._head_bytes
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._ignore_upgrade()
        except httptools.HttpParserError as error:
            self._refuse(_unreadable(data if between else b"", error))
        if not self._deaf:
            self._after_feed(len(data))

    def _after_feed(self, size: int) -> None:
        """Move the deadline: a head has a fixed one, a body one from its last piece on."""
        if self._incoming is not None:
            self._due_in(self._limits.body_idle)
            self._count_framing(self._incoming, size)
            self._update_reading()
        elif self._head_is_new:
            self._head_is_new = False
            self._due_in(self._limits.head)
        elif self._head_bytes:
            self._head_bytes += size
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(_head_too_large())
        elif self._current is not None:
            self._due_in(math.inf)
            if len(self._queue) >= MAX_PIPELINED:
                self._update_reading()

    def _count_framing(self, request: Request, size: int) -> None:
        """Refuse a body that is nearly all chunk headers, and one with a trailer that does not end."""
        self._framing_bytes = max(0, self._framing_bytes + size)
        if self._framing_bytes > MAX_HEAD_BYTES:
            self._refuse(_head_too_large())
        self._body_bytes = max(0, self._body_bytes + size)
        if self._body_bytes > FRAMING_BYTES + FRAMING_FACTOR * request.size and not request.discarded:
            self._refuse(HttpError(HTTPStatus.BAD_REQUEST, "the body is nearly all chunk headers"))

    def eof_received(self) -> bool:
        """Let a client that closes its half have the answers to what it sent completely."""
        self._ended = True
        if self._incoming is not None:
            self._incoming.fail(ClientGoneError())
        current = self._current
        if current is not None and current.is_watched:
            current.gone()
            return False
        waits = current is not None and self._incoming is not current
        return waits and self._transport.get_extra_info("ssl_object") is None

    def connection_lost(self, exc: Exception | None) -> None:
        """A handler that has its whole request goes on, though nobody reads its answer; what waits is dropped."""
        self._lost = True
        self.deadline = math.inf
        self._queue.clear()
        if self._incoming is not None:
            self._incoming.fail(ClientGoneError())
        if self._current is None:
            self._server.unregister(self)
        else:
            self._current.gone()

    def pause_writing(self) -> None:
        """The client does not take its answers: read no more from it."""
        self._due_in(self._limits.write)
        self._blocked = True
        self._update_reading()
        if self._body is not None:
            self._body.pause()

    def resume_writing(self) -> None:
        """It took them."""
        self._blocked = False
        if self._body is not None:
            self._body.resume()
        self._due_in(self._limits.idle if self._current is None else math.inf)
        self._update_reading()

    # ----------------------------------------------------------------- parser

    def on_message_begin(self) -> None:
        """A request begins."""
        self._url = b""
        self._headers = []
        self._head_bytes = 1
        self._head_is_new = True
        if self._limits.request < math.inf:
            self._request_deadline = self._loop.time() + self._limits.request

    def on_url(self, url: bytes) -> None:
        """Take the target, or a part of it."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. Trailers of chunked bodies come here too; they are counted and forgotten."""
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MAX_HEAD_BYTES or len(self._headers) >= MAX_HEADERS:
            self._refuse(_head_too_large())
        elif self._incoming is None:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Start the handler, or put the request behind the one being answered."""
        if self._deaf:
            return
        parser = self._parser
        request = Request(self._headers, self._server.max_body_bytes, self._peer)
        request.method = parser.get_method().decode("ascii")
        request.path, request.query = _target(self._url)
        request.keep_alive = parser.should_keep_alive() and self._server.keep_alive
        if parser.get_http_version() == "1.0":
            request.keep_alive = False
            request.is_http_1_0 = True
        else:
            request.expects_continue = request.first.get(b"expect", b"").lower() == b"100-continue"
            if b"host" not in request.first:
                request.fail(HttpError(HTTPStatus.BAD_REQUEST, "the header Host is missing"))
        request.on_want(self._want_body)
        self._incoming = request
        self._head_bytes = 0
        self._head_is_new = False
        self._body_bytes = self._framing_bytes = -math.inf
        if self._current is None:
            self._start(request)
        else:
            self._queue.append(request)

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._framing_bytes = -math.inf
        if self._incoming is not None:
            self._incoming.take(body)

    def on_message_complete(self) -> None:
        """The request is complete."""
        request, self._incoming = self._incoming, None
        self._head_bytes = 0
        self._request_deadline = math.inf
        if request is None or self._deaf:
            return
        request.finish()
        if not self._reading:
            self._update_reading()
        if self._current is None:  # it was answered before its body was read
            self._next()

    def _ignore_upgrade(self) -> None:
        """The parser stops where another protocol would begin: answer in this one, then close."""
        if self._incoming is not None:
            self._incoming.keep_alive = False
            self.on_message_complete()
        self._deaf = True

    # ---------------------------------------------------------------- serving

    def _start(self, request: Request) -> None:
        self._current = request
        self._task = self._loop.create_task(self._serve(request))

    async def _serve(self, request: Request) -> None:
        answered = False
        try:
            answered = await self._answer(request)
        except ClientGoneError:
            pass
        except asyncio.CancelledError:
            self._transport.abort()
            raise
        finally:
            self._current = None
            if self._lost:
                self._server.unregister(self)
        if not self._lost:
            self._go_on(request, answered)

    async def _answer(self, request: Request) -> bool:
        """Write the answer; return whether the connection can take another one. Raises :class:`ClientGoneError`."""
        response = await self._server.answer(request)
        if self._lost:
            raise ClientGoneError
        close = self._is_last(request)
        if isinstance(response, StreamedResponse):
            return await self._stream(request, response, close=close)
        with_body = request.method != "HEAD"
        self._transport.write(response.encode(with_body=with_body, close=close, date=self._server.date))
        return not close

    async def _stream(self, request: Request, response: StreamedResponse, *, close: bool) -> bool:
        """Write an answer while it comes; return whether the connection can take another one."""
        framing = response.framing(request)
        close = close or framing is Framing.CLOSE
        self._transport.write(response.head(framing, close=close))
        self._body = body = BodyWriter(self._transport, framing)
        if self._blocked:
            body.pause()
        try:
            await self._server.produce(request, response, body)
        finally:
            self._body = None
        if not body.complete and framing is Framing.CLOSE:
            self._transport.abort()  # a mere end would look like a complete body
        return body.complete and not close and not self._server.draining

    def _is_last(self, request: Request) -> bool:
        """Whether the connection closes after the answer to a request."""
        readable = request.complete or self._skippable(request)
        last = (self._ended or self._deaf) and not self._queue
        return last or not request.keep_alive or not readable or self._server.draining

    def _go_on(self, request: Request, answered: bool) -> None:
        """Go on with the next request, or close."""
        if not answered:
            self._close(linger=self._deaf or not request.complete)
        elif request.complete:
            self._next()
        else:
            request.discard()
            self._update_reading()

    def _next(self) -> None:
        """Answer the next request, or wait for one."""
        if self._queue:
            self._start(self._queue.popleft())
            if not self._reading:
                self._update_reading()
        elif not self._head_bytes:
            self._due_in(self._limits.idle)

    def _skippable(self, request: Request) -> bool:
        """Whether the rest of an unwanted body is small enough to read past it."""
        announced = request.content_length
        wanted = request.problem is None and not request.expects_continue
        return wanted and announced is not None and announced <= SKIPPED_BYTES

    def _want_body(self) -> None:
        """The handler waits for the body."""
        request = self._current
        if request is not None and request.expects_continue and not self._lost:
            request.expects_continue = False
            if not request.size:
                self._transport.write(_CONTINUE)
        self._update_reading()

    def _update_reading(self) -> None:
        """Read on, or let the client wait."""
        incoming = self._incoming
        unasked = incoming is not None and not (incoming.wanted or incoming.discarded) and incoming.size > UNASKED_BYTES
        reading = self._deaf or not (self._blocked or unasked or len(self._queue) >= MAX_PIPELINED)
        if reading is self._reading or self._lost or self._transport.is_closing():
            return
        self._reading = reading
        if reading:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    # ---------------------------------------------------------------- closing

    def _due_in(self, seconds: float) -> None:
        if not self._blocked:
            self.deadline = min(self._loop.time() + seconds, self._request_deadline)

    def expire(self) -> None:
        """The deadline has passed: answer 408 if a request had begun, and close."""
        self.deadline = math.inf
        if self._blocked or (self._current is None and self._deaf):
            self._transport.abort()
        elif self._incoming is not None and not self._incoming.discarded:
            self._incoming.fail(HttpError(HTTPStatus.REQUEST_TIMEOUT, "the body did not arrive in time"))
        elif self._head_bytes:
            self._refuse(HttpError(HTTPStatus.REQUEST_TIMEOUT, "the headers did not arrive in time"))
        elif self._current is None:
            self._transport.close()

    def drain(self) -> None:
        """Close when what is under way is answered, at once if nothing is."""
        if self._current is None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once; a handler that runs is cancelled."""
        if self._current is not None and self._task is not None:
            self._task.cancel()
        self._transport.abort()

    def _refuse(self, error: HttpError) -> None:
        """Answer input that is no request, after what came before it, and close."""
        if self._deaf:
            return
        self._deaf = True
        if self._incoming is not None:
            self._incoming.fail(error)  # its handler answers
        elif self._current is None:
            response = self._server.render(None, error)
            self._transport.write(response.encode(with_body=True, close=True, date=self._server.date))
            self._close(linger=True)

    def _close(self, *, linger: bool) -> None:
        """Close; with ``linger`` the client can read the answer while its input is thrown away."""
        self._deaf = True
        if not linger or self._ended:
            self._transport.close()
            return
        self._due_in(LINGER_SECONDS)
        self._update_reading()
        if self._transport.can_write_eof():
            self._transport.write_eof()


def _target(url: bytes) -> tuple[str, str]:
    """Return path and query of a target, which may be a whole URL (RFC 9112, 3.2.2)."""
    if not url.startswith((b"/", b"*")):
        try:
            parsed = httptools.parse_url(url)
        except httptools.HttpParserInvalidURLError:
            return "", ""
        return (parsed.path or b"/").decode("latin-1"), (parsed.query or b"").decode("latin-1")
    path, _, query = url.partition(b"?")
    return path.decode("latin-1"), query.decode("latin-1")


def _unreadable(begin: bytes, error: httptools.HttpParserError) -> HttpError:
    """Say what the input looks like; ``begin`` is the beginning of the connection's input, if it is known."""
    if begin.startswith(_TLS_HANDSHAKE):
        message = "this endpoint speaks plain HTTP, the client began a TLS handshake: configure tls on one of the sides"
    elif begin.startswith(_HTTP_2):
        message = "this endpoint speaks HTTP/1.1, the client began HTTP/2: OTLP/gRPC has an endpoint of its own"
    else:
        message = f"this is no HTTP request: {error}"
    return HttpError(HTTPStatus.BAD_REQUEST, message)


def _head_too_large() -> HttpError:
    message = f"the headers are more than {MAX_HEADERS} or larger than {MAX_HEAD_BYTES} bytes"
    return HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, message)
