"""The HTTP server: routes by beginning and any method, and answers that are written while they come."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

import pytest

from untrace_pipeline.net.http_message import Request, Response
from untrace_pipeline.net.http_server import HttpServer, Routes
from untrace_pipeline.net.http_settings import HttpServerConfig
from untrace_pipeline.net.http_streaming import BodyWriter, StreamedResponse

Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


@asynccontextmanager
async def serving(routes: Routes) -> AsyncIterator[Callable[[], Awaitable[Client]]]:
    """Serve; yields what connects."""
    server = HttpServer(HttpServerConfig(endpoint="127.0.0.1:0"), routes, logging.getLogger("test"))
    await server.start()
    writers = []

    async def connect() -> Client:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.endpoint.port)
        writers.append(writer)
        return reader, writer

    try:
        yield connect
    finally:
        for writer in writers:
            writer.close()
        await server.stop()


def streamed(
    produce: Callable[[BodyWriter], Awaitable[None]], length: int | None = None, status: int = 200
) -> StreamedResponse:
    lines = b"X-Kept: a  b\r\n" + (b"" if length is None else b"Content-Length: %d\r\n" % length)
    return StreamedResponse(status, b"As it came", lines, length, produce)


def pieces(*parts: bytes, finish: bool = True) -> Callable[[BodyWriter], Awaitable[None]]:
    async def produce(body: BodyWriter) -> None:
        for part in parts:
            body.write(part)
        if finish:
            body.finish()

    return produce


def route(response: Callable[[], StreamedResponse]) -> Routes:
    async def handler(_request: Request) -> StreamedResponse:
        return response()

    return {"/": {"*": handler}}


async def head_of(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


async def test_longest_beginning_wins() -> None:
    """A path goes to its exact route, else to the longest beginning; ``*`` takes every method."""

    def named(name: str) -> Callable[[Request], Awaitable[Response]]:
        async def handler(request: Request) -> Response:
            return Response(body=f"{name} {request.method} {request.path}".encode())

        return handler

    routes = {
        "/v1/*": {"*": named("short")},
        "/v1/proxy/*": {"*": named("long"), "PUT": named("put")},
        "/v1/proxy/exact": {"GET": named("exact")},
    }
    asked = {
        b"GET /v1/proxy/exact": b"exact GET /v1/proxy/exact",
        b"PATCH /v1/proxy/x/y": b"long PATCH /v1/proxy/x/y",
        b"PUT /v1/proxy/x": b"put PUT /v1/proxy/x",
        b"DELETE /v1/": b"short DELETE /v1/",
        b"POST /v1/proxy/exact": b"this path takes GET\n",
        b"GET /v2": b"there is no /v2 here; there: /v1/*, /v1/proxy/*, /v1/proxy/exact\n",
    }
    async with serving(routes) as connect:
        reader, writer = await connect()
        for request, expected in asked.items():
            writer.write(request + b" HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
            head = (await head_of(reader)).lower()
            length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
            assert await reader.readexactly(length) == expected


async def test_chunks_then_next_request() -> None:
    """Without a length the pieces are chunks, lines stay as they are, and the connection takes the next request."""
    async with serving(route(lambda: streamed(pieces(b"one", b"", b"two two two two"), status=529))) as connect:
        reader, writer = await connect()
        for _ in range(2):
            writer.write(GET)
            expected = b"HTTP/1.1 529 As it came\r\nX-Kept: a  b\r\ntransfer-encoding: chunked\r\n\r\n"
            assert await head_of(reader) == expected
            assert await reader.readuntil(b"0\r\n\r\n") == b"3\r\none\r\nf\r\ntwo two two two\r\n0\r\n\r\n"


async def test_length_is_kept() -> None:
    """With a length the body goes as it is."""
    async with serving(route(lambda: streamed(pieces(b"one", b"two"), 6))) as connect:
        reader, writer = await connect()
        writer.write(GET + GET)
        for _ in range(2):
            head = await head_of(reader)
            assert b"\r\nContent-Length: 6\r\n" in head
            assert b"chunked" not in head
            assert await reader.readexactly(6) == b"onetwo"


@pytest.mark.parametrize(("request_", "status"), [(GET.replace(b"GET", b"HEAD"), 200), (GET, 204), (GET, 304)])
async def test_no_body_where_there_is_none(request_: bytes, status: int) -> None:
    """HEAD, 204 and 304 have no body whatever is written, and the next answer follows at once."""
    async with serving(route(lambda: streamed(pieces(b"one"), 3, status))) as connect:
        reader, writer = await connect()
        writer.write(request_ * 2)
        for _ in range(2):
            assert (await head_of(reader)).startswith(b"HTTP/1.1 %d " % status)
        writer.write_eof()
        assert await reader.read() == b""


async def test_old_client_gets_the_end_of_the_connection() -> None:
    """HTTP/1.0 knows no chunks."""
    async with serving(route(lambda: streamed(pieces(b"one", b"two")))) as connect:
        reader, writer = await connect()
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        answer = await reader.read()
        assert answer.endswith(b"\r\nconnection: close\r\n\r\nonetwo")
        assert b"chunked" not in answer


@pytest.mark.parametrize("length", [None, 10])
async def test_unfinished_body_is_seen_as_broken(length: int | None) -> None:
    """A producer that gives up, or fails, leaves a body without its end."""
    async with serving(route(lambda: streamed(pieces(b"one", finish=False), length))) as connect:
        reader, writer = await connect()
        writer.write(GET + GET)
        await head_of(reader)
        assert await reader.read() == (b"one" if length else b"3\r\none\r\n")


async def test_producer_that_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The fault stays on our side: the connection is cut, the log says where."""

    async def produce(body: BodyWriter) -> None:
        body.write(b"one")
        raise RuntimeError("bad day")

    async with serving(route(lambda: streamed(produce))) as connect:
        reader, writer = await connect()
        writer.write(GET)
        await head_of(reader)
        assert await reader.read() == b"3\r\none\r\n"
    assert "the answer broke off unexpectedly" in caplog.text


@pytest.mark.parametrize("half", [True, False])
async def test_client_that_goes_is_told(half: bool) -> None:
    """The handler learns that its client went, also where only the sending half was closed."""
    gone, begun = asyncio.Event(), asyncio.Event()

    async def handler(request: Request) -> StreamedResponse:
        request.on_gone(gone.set)

        async def produce(body: BodyWriter) -> None:
            begun.set()
            await gone.wait()

        return streamed(produce)

    async with serving({"/": {"GET": handler}}) as connect:
        _, writer = await connect()
        writer.write(GET)
        await begun.wait()
        if half:
            writer.write_eof()
        else:
            writer.transport.abort()
        await gone.wait()


async def test_slow_client_pauses_its_producer() -> None:
    """What the client does not take stops the producer, and it goes on when the client reads."""
    paused, resumed = asyncio.Event(), asyncio.Event()
    piece = b"x" * 65536
    written = 0

    async def produce(body: BodyWriter) -> None:
        nonlocal written
        body.pause, body.resume = paused.set, resumed.set
        while not paused.is_set():
            body.write(piece)
            written += len(piece)
            await asyncio.sleep(0)
        await resumed.wait()
        body.finish()

    async with serving(route(lambda: streamed(produce))) as connect:
        reader, writer = await connect()
        writer.write(GET)
        await paused.wait()
        await head_of(reader)
        body = await _all(reader)
        assert body.count(b"x") == written


async def _all(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while not body.endswith(b"\r\n0\r\n\r\n"):
        body += await reader.read(1 << 20)
    return body


async def test_stop_waits_for_the_end_of_the_body() -> None:
    """A drain finishes what is being written, then closes."""
    go = asyncio.Event()

    async def handler(_request: Request) -> StreamedResponse:
        async def produce(body: BodyWriter) -> None:
            body.write(b"one")
            await go.wait()
            body.write(b"two")
            body.finish()

        return streamed(produce, 6)

    server = HttpServer(HttpServerConfig(endpoint="127.0.0.1:0"), {"/": {"GET": handler}}, logging.getLogger("test"))
    await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.endpoint.port)
    writer.write(GET)
    assert (await head_of(reader)).startswith(b"HTTP/1.1 200 ")
    assert await reader.readexactly(3) == b"one"
    stopping = asyncio.create_task(server.stop())
    await asyncio.sleep(0)
    go.set()
    assert await reader.read() == b"two"
    await stopping
    writer.close()


def test_phrase_of_the_server_is_its_own() -> None:
    """Statuses that Python knows no phrase for can be answered, too."""
    assert 529 not in set(HTTPStatus)
    assert streamed(pieces(), 0, 529).head(streamed(pieces(), 0).framing(Request([], 0, "")), close=True) == (
        b"HTTP/1.1 529 As it came\r\nX-Kept: a  b\r\nContent-Length: 0\r\nconnection: close\r\n\r\n"
    )
