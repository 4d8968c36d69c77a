"""Calls to one HTTP server: what comes is handed on as it comes, connections are kept, failures have a name."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any
from unittest.mock import Mock

import pytest
import trustme

from untrace_pipeline.errors import StartError
from untrace_pipeline.net.http_origin import Origin
from untrace_pipeline.net.http_origin_connection import AnswerHead, CallError, Failure, OriginConnection
from untrace_pipeline.net.tls import ClientTlsConfig

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


class Heard:
    """Listens to one call."""

    def __init__(self) -> None:
        self.head: AnswerHead | None = None
        self.pieces: list[bytes] = []
        self.error: CallError | None = None
        self.done = asyncio.Event()
        self.ended = False
        self.progress = asyncio.Event()

    def on_head(self, head: AnswerHead) -> None:
        self.head = head
        self.progress.set()

    def on_piece(self, piece: bytes) -> None:
        self.pieces.append(piece)
        self.progress.set()

    def on_end(self) -> None:
        self.ended = True
        self.done.set()

    def on_failure(self, error: CallError) -> None:
        self.error = error
        self.done.set()

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)


class Server:
    """Answers the n-th request with the n-th answer; closes after one that is followed by ``None``."""

    def __init__(self, answers: Sequence[bytes | None]) -> None:
        self._answers = list(answers)
        self.requests: list[bytes] = []
        self.connections = 0
        self.serving: set[asyncio.Task[None] | None] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.serving.add(asyncio.current_task())
        try:
            while self._answers:
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                answer = self._answers.pop(0)
                writer.write(answer or b"")
                if answer is None or (self._answers and self._answers[0] is None):
                    del self._answers[:1]
                    break
            else:
                await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def origin_of(
    *answers: bytes | None, context: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[tuple[Origin, Server]]:
    """Serve answers; yields what calls them."""
    script = Server(answers)
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    origin = make(f"{'https' if context else 'http'}://127.0.0.1:{port}", **options)
    origin.start()
    try:
        yield origin, script
    finally:
        origin.close()
        server.close()
        await server.wait_closed()
        await asyncio.gather(*filter(None, script.serving))


def make(url: str, **options: Any) -> Origin:
    given = {"connect_timeout": 5.0, "keep_idle": 60.0, **options}
    tls = ClientTlsConfig.model_validate(given.pop("tls", {}))
    return Origin(url, tls, logging.getLogger("test"), **given)


async def call(origin: Origin, data: bytes = GET, body: bytes = b"", *, head_only: bool = False) -> Heard:
    heard = Heard()
    connection: OriginConnection = origin.kept() or await origin.connect()
    connection.send(data, body, heard, head_only=head_only)
    async with asyncio.timeout(10):
        await heard.done.wait()
    return heard


async def test_answer_as_it_came() -> None:
    """Status, reason, headers in their order and case, body; and the connection serves the next call."""
    answer = b"HTTP/1.1 529 Very busy\r\nX-A: 1\r\nx-a:  2 \r\nX-Empty:\r\nContent-Length: 2\r\n\r\nhi"
    async with origin_of(answer, OK) as (origin, server):
        heard = await call(origin)
        assert heard.head == AnswerHead(
            529, b"Very busy", [(b"X-A", b"1"), (b"x-a", b"2 "), (b"X-Empty", b""), (b"Content-Length", b"2")]
        )
        assert (heard.body, heard.ended) == (b"hi", True)
        assert (await call(origin)).body == b"hi"
        assert server.connections == 1


async def test_chunks() -> None:
    """Chunks are taken out of their framing; trailers are left out."""
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n3;x=1\r\n yo\r\n0\r\nX-T: 1\r\n\r\n"
    async with origin_of(answer, OK) as (origin, server):
        heard = await call(origin)
        assert heard.body == b"hi yo"
        assert heard.head is not None
        assert [name for name, _ in heard.head.headers] == [b"Transfer-Encoding"]
        await call(origin)
        assert server.connections == 1


async def test_preliminary_answers_are_passed_over() -> None:
    """100 and 103 announce the answer."""
    async with origin_of(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK) as (
        origin,
        _,
    ):
        heard = await call(origin)
        assert heard.head is not None
        assert (heard.head.status, heard.body) == (200, b"hi")
        assert [name for name, _ in heard.head.headers] == [b"Content-Length"]


@pytest.mark.parametrize("status", [204, 304])
async def test_answers_without_a_body(status: int) -> None:
    """204 and 304 end with their head."""
    async with origin_of(b"HTTP/1.1 %d \r\n\r\n" % status, OK) as (origin, server):
        heard = await call(origin)
        assert (heard.ended, heard.body) == (True, b"")
        assert (await call(origin)).body == b"hi"
        assert server.connections == 1


async def test_head_has_no_body() -> None:
    """Whatever length its answer names."""
    async with origin_of(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", OK) as (origin, server):
        assert (await call(origin, GET.replace(b"GET", b"HEAD"), head_only=True)).ended
        assert (await call(origin)).body == b"hi"
        assert server.connections == 2


async def test_body_that_ends_with_the_connection() -> None:
    """Without length and chunks the end of the connection is the end of the body."""
    async with origin_of(b"HTTP/1.1 200 OK\r\n\r\nhi", None) as (origin, _):
        heard = await call(origin)
        assert (heard.body, heard.ended) == (b"hi", True)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi", b"HTTP/1.1 200 OK\r\nA: "])
async def test_answer_that_is_cut(answer: bytes) -> None:
    """The end of the connection before that of the answer is a failure; what came was handed on."""
    async with origin_of(answer, None) as (origin, _):
        heard = await call(origin)
        assert heard.error is not None
        assert (heard.error.failure, heard.ended) == (Failure.RESET, False)
        assert heard.body == (b"hi" if b"hi" in answer else b"")


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\n" + b"X: %b\r\n" % (b"x" * 70_000) * 10 + b"\r\n",
        b"HTTP/1.1 " + b"x" * 700_000,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 700_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX: " + b"x" * 700_000,
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    ],
)
async def test_answer_that_is_none(answer: bytes) -> None:
    """What is no HTTP, or too large, or another protocol, is said to be so."""
    async with origin_of(answer) as (origin, _):
        heard = await call(origin)
        assert heard.error is not None
        assert heard.error.failure is Failure.INVALID


@pytest.mark.parametrize("read_bytes", [10_000, 250_000, 1_000_000])
@pytest.mark.parametrize(
    "before",
    [
        b"HTTP/1.1 200 " + b"x" * 300_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: %b\r\n" % (b"x" * 1000) * 300,
        b"HTTP/1.1 200 %b\r\nX: %b\r\n" % (b"x" * 150_000, b"x" * 150_000),
    ],
)
def test_head_that_is_too_large(before: bytes, read_bytes: int) -> None:
    """All of it counts, the reason too, in however few reads it comes."""
    answer, heard = before + b"Content-Length: 2\r\n\r\nhi", Heard()
    connection = OriginConnection(make("http://127.0.0.1:1"))
    connection.connection_made(Mock(asyncio.Transport))
    connection.send(GET, b"", heard)
    for start in range(0, len(answer), read_bytes):
        if connection.is_open:
            connection.data_received(answer[start : start + read_bytes])
    assert heard.error is not None
    assert (heard.error.failure, heard.head) == (Failure.INVALID, None)
    assert "too large" in str(heard.error)


async def test_announcements_without_an_end() -> None:
    """They count together; no answer needs so many."""
    async with origin_of(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 25_000 + OK) as (origin, _):
        heard = await call(origin)
    assert heard.error is not None
    assert heard.error.failure is Failure.INVALID


async def test_more_than_was_asked_for() -> None:
    """An answer that is followed by more counts; its connection is not used again."""
    async with origin_of(OK + OK, OK) as (origin, server):
        assert (await call(origin)).ended
        assert (await call(origin)).body == b"hi"
        assert server.connections == 2


async def test_connection_that_was_closed_meanwhile() -> None:
    """It is not taken again once the end was seen."""
    async with origin_of(OK, None, OK) as (origin, server):
        connection = await origin.connect()
        connection.send(GET, b"", heard := Heard())
        await heard.done.wait()
        async with asyncio.timeout(5):
            while connection.is_open:
                await asyncio.sleep(0.005)
        assert origin.kept() is None
        assert (await call(origin)).body == b"hi"
        assert server.connections == 2


async def test_connection_that_wants_to_close() -> None:
    """``Connection: close`` is honoured."""
    answer = OK.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n")
    async with origin_of(answer, OK) as (origin, _):
        await call(origin)
        assert origin.kept() is None


async def test_idle_connections_are_closed() -> None:
    """After ``keep_idle`` seconds; 0 keeps none."""
    async with origin_of(OK, keep_idle=0.01) as (origin, _):
        await call(origin)
        kept = origin.kept()
        assert kept is not None
        origin.keep(kept)
        async with asyncio.timeout(5):
            while kept.is_open:
                await asyncio.sleep(0.005)
    async with origin_of(OK, keep_idle=0) as (origin, _):
        await call(origin)
        assert origin.kept() is None


async def test_nobody_listens() -> None:
    """The text says where and why."""
    origin = make("http://127.0.0.1:1")
    origin.start()
    with pytest.raises(CallError, match=r"cannot connect to 127\.0\.0\.1:1: ") as caught:
        await origin.connect()
    assert caught.value.failure is Failure.CONNECT
    origin.close()


async def test_connecting_takes_too_long() -> None:
    """``connect_timeout`` covers the handshake of TLS as well."""

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        silent.set()

    silent = asyncio.Event()
    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    origin = make(f"https://127.0.0.1:{port}", connect_timeout=0.05)
    origin.start()
    with pytest.raises(CallError, match=r"no connection to .* in 0\.05 s"):
        await origin.connect()
    origin.close()
    await silent.wait()
    server.close()
    await server.wait_closed()


# ----------------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def context_of(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


async def test_certificate_is_checked(authority: trustme.CA) -> None:
    """Only a server that a known authority vouches for, under the name in the URL, is called."""
    trusted = {"ca_pem": authority.cert_pem.bytes().decode()}
    async with origin_of(OK, context=context_of(authority), tls=trusted) as (origin, _):
        assert (await call(origin)).body == b"hi"
    for tls in ({}, {**trusted, "server_name_override": "other"}):
        async with origin_of(OK, context=context_of(authority), tls=tls) as (origin, _):
            with pytest.raises(CallError, match=r"TLS with .* failed"):
                await origin.connect()


def test_bad_files_are_a_start_error() -> None:
    """Named before the first call."""

    async def start() -> None:
        make("https://x", tls={"ca_file": "/nowhere/ca.pem"}).start()

    with pytest.raises(StartError, match=r"/nowhere/ca\.pem"):
        asyncio.run(start())


# --------------------------------------------------------------------- proxies


@asynccontextmanager
async def http_proxy(answer: bytes) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Run an HTTP proxy that knows CONNECT, and answers it as told."""
    asked: list[bytes] = []
    serving: set[asyncio.Task[None] | None] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        if not asked[-1].startswith(b"CONNECT") or b" 200 " not in answer:
            writer.close()
            return
        host, _, port = asked[-1].split()[1].decode().rpartition(":")
        there = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pump(reader, there[1]), pump(there[0], writer), return_exceptions=True)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], asked
    finally:
        server.close()
        await server.wait_closed()
        await asyncio.gather(*filter(None, serving))


async def test_tls_through_a_tunnel(authority: trustme.CA) -> None:
    """The proxy sees the address and its own credentials, nothing else."""
    tls = {"ca_pem": authority.cert_pem.bytes().decode()}
    async with http_proxy(b"HTTP/1.1 200 Connection established\r\n\r\n") as (port, asked):
        proxy = f"http://me:p%40ss@127.0.0.1:{port}"
        async with origin_of(OK, context=context_of(authority), tls=tls, proxy_url=proxy) as (origin, server):
            assert (await call(origin)).body == b"hi"
            assert server.requests == [GET]
            assert (origin.target_prefix, origin.proxy_authorization) == ("", "")
    assert asked[0].startswith(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n" % origin.port)
    assert b"\r\nProxy-Authorization: Basic bWU6cEBzcw==\r\n" in asked[0]


async def test_tunnel_that_is_refused() -> None:
    """The text names the proxy."""
    async with http_proxy(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n") as (port, _):
        origin = make("https://example.invalid", proxy_url=f"http://127.0.0.1:{port}")
        origin.start()
        with pytest.raises(CallError, match=rf"the proxy 127\.0\.0\.1:{port} gives no way to example\.invalid:443"):
            await origin.connect()
        origin.close()


async def test_plain_call_through_a_proxy() -> None:
    """The request line has the whole URL."""
    async with http_proxy(OK) as (port, asked):
        origin = make("http://example.invalid:81", proxy_url=f"http://me:x@127.0.0.1:{port}")
        origin.start()
        target = f"{origin.target_prefix}/a"
        heard = await call(origin, f"GET {target} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        origin.close()
    assert heard.body == b"hi"
    assert asked[0].startswith(b"GET http://example.invalid:81/a HTTP/1.1\r\n")
    assert origin.proxy_authorization == "Basic bWU6eA=="
