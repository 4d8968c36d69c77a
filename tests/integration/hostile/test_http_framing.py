"""Abuse of HTTP itself: framing, smuggling, limits, slow clients, clients that leave."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator

import pytest

from tests.integration.hostile.harness import BODY, ITEMS, PROTOBUF, Running, post, receiver, span_json
from untrace_pipeline.data import Signal
from untrace_pipeline.testing import BlockingSink

CHUNKED = "Transfer-Encoding: chunked"


@pytest.fixture(autouse=True)
def _quick_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines are noticed within hundredths of a second."""
    monkeypatch.setattr("untrace_pipeline.net.stream_server.SWEEP_SECONDS", 0.02)


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    async with receiver(http={}) as one:
        yield one
        await one.still_serves()


def chunked(*chunks: bytes, headers: tuple[str, ...] = ()) -> bytes:
    """Return a POST in chunks."""
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    lines = ["POST /v1/traces HTTP/1.1", "Host: test", CHUNKED, f"Content-Type: {PROTOBUF}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.mark.parametrize(
    "raw",
    [
        b"garbage\r\n\r\n",
        b"\x00\x01\x02\x03",
        b"GET\r\n\r\n",
        b"POST /v1/traces HTTP/9.9\r\nHost: x\r\n\r\n",
        b"POST /v1/traces SMTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v1/traces HTTP/1.1\r\nHost x\r\n\r\n",
        b"POST /v1/traces HTTP/1.1\r\n folded: x\r\n\r\n",
        b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nA\x00B: c\r\n\r\n",
        post(BODY).replace(b"Content-Length: ", b"Content-Length: -"),
        post(BODY).replace(b"Content-Length: ", b"Content-Length: +"),
        post(BODY).replace(b"Content-Length: ", b"Content-Length: 0x"),
        post(BODY, headers=["Content-Length: 3"]),
        post(BODY).replace(b"Content-Length: ", b"Content-Length: 99999999999999999999"),
    ],
)
async def test_what_is_no_request_is_400(running: Running, raw: bytes) -> None:
    """Input that cannot be read is answered with 400 and the connection closes."""
    reply = await running.ask(raw)
    assert reply.status == 400, reply
    assert reply.headers["connection"] == "close"
    assert not running.sink.batches


async def test_missing_host_is_400(running: Running) -> None:
    """HTTP/1.1 demands it (RFC 9112, 3.2)."""
    reply = await running.ask(post(BODY).replace(b"Host: test\r\n", b""))
    assert (reply.status, b"Host" in reply.body) == (400, True)
    assert not running.sink.batches


@pytest.mark.parametrize(
    "raw",
    [
        post(BODY, headers=[CHUNKED]),
        chunked(BODY, headers=("Content-Length: 3",)),
        chunked(BODY, headers=("Transfer-Encoding: identity",)),
        post(BODY, headers=["Transfer-Encoding: xchunked"]),
        post(BODY, headers=["Transfer-Encoding : chunked"]),
        post(BODY, headers=["Transfer-Encoding: chunked, identity"]),
        chunked(BODY).replace(b"\r\n", b"\n"),
    ],
    ids=["both", "both-other-order", "twice", "unknown", "space", "not-last", "bare-newlines"],
)
async def test_ambiguous_framing_is_400(running: Running, raw: bytes) -> None:
    """Where two readers could disagree about the end of a request, neither request is taken (RFC 9112, 6.3)."""
    async with running.client() as client:
        client.send(raw + post(BODY))
        reply = await client.reply()
        assert reply.status == 400
        assert reply.headers["connection"] == "close"
    assert not running.sink.batches


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\n",
        b"-1\r\n",
        b"fffffffffffffffff\r\n",
        b"5\r\nhelloX\r\n0\r\n\r\n",
        b"5;" + b"x" * 2_000_000,
        b"0\r\n" + b"Trailer: x\r\n" * 10_000 + b"\r\n",
        b"186a0\r\n" + b"x" * 100_000 + b"\r\n0\r\nX: " + b"x" * 1_000_000,
    ],
    ids=["no-number", "negative", "too-large", "no-end", "endless-extension", "trailers", "endless-trailer"],
)
async def test_abused_chunks_are_refused(running: Running, body: bytes) -> None:
    """Chunks that break the rules end the request with 4xx, at once."""
    head = chunked().removesuffix(b"0\r\n\r\n")
    async with running.client() as client:
        client.send(head + body)
        assert (await client.reply()).status in {400, 413, 431}
    assert not running.sink.batches


async def test_chunked_body_is_taken(running: Running) -> None:
    """Chunks of any size, extensions and trailers make one body."""
    raw = chunked(*(BODY[i : i + 7] for i in range(0, len(BODY), 7)))
    raw = raw.replace(b"7\r\n", b"7;ext=1\r\n", 3).removesuffix(b"\r\n") + b"Trailer: x\r\n\r\n"
    assert (await running.ask(raw)).status == 200
    assert running.sink.item_count == ITEMS


@pytest.mark.parametrize(
    "head",
    [
        b"X: " + b"x" * 70_000 + b"\r\n",
        b"".join(b"X-%d: y\r\n" % i for i in range(200)),
        b"X: " + b"x" * 200_000,
        b"x" * 200_000,
    ],
    ids=["large", "many", "endless-value", "endless-name"],
)
async def test_oversize_headers_are_431(running: Running, head: bytes) -> None:
    """Headers beyond 64 KiB or 128 are refused while they come."""
    async with running.client() as client:
        client.send(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\n")
        for begin in range(0, len(head), 30_000):
            client.send(head[begin : begin + 30_000])
            await asyncio.sleep(0)
        client.send(b"\r\n")
        assert (await client.reply()).status == 431


async def test_endless_target_is_refused(running: Running) -> None:
    """A request line without end is refused too."""
    assert (await running.ask(b"GET /" + b"a" * 300_000)).status == 431


async def test_unknown_path_is_404_and_wrong_method_405(running: Running) -> None:
    """The answers say what there is."""
    missing = await running.ask(post(BODY, path="/v1/nothing"))
    assert missing.status == 404
    assert "/v1/traces" in missing.text
    for method in (b"GET", b"PUT", b"DELETE", b"OPTIONS", b"HEAD"):
        async with running.client() as client:
            client.send(method + b" /v1/traces HTTP/1.1\r\nHost: x\r\n\r\n")
            head = (await client.reader.readuntil(b"\r\n\r\n")).decode().lower()
            assert " 405 " in head
            assert "allow: post" in head


async def test_absolute_target_and_query_are_understood(running: Running) -> None:
    """A proxy's form of the target and a query string reach the same path."""
    for path in ("http://collector:4318/v1/traces", "/v1/traces?key=value"):
        assert (await running.ask(post(BODY, path=path))).status == 200


async def test_http_1_0_is_answered_and_closed(running: Running) -> None:
    """An old client gets its answer and the end of the connection."""
    async with running.client() as client:
        client.send(post(BODY).replace(b"HTTP/1.1\r\nHost: test\r\n", b"HTTP/1.0\r\nConnection: keep-alive\r\n"))
        reply = await client.reply()
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert await client.closed()


async def test_http_2_is_told_where_to_go(running: Running) -> None:
    """A gRPC client on the HTTP port learns why that cannot work."""
    reply = await running.ask(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert reply.status == 400
    assert "HTTP/2" in reply.text


async def test_upgrade_is_ignored(running: Running) -> None:
    """A request that offers another protocol is served in this one; what follows it is not read."""
    async with running.client() as client:
        client.send(post(BODY, headers=["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: x"]))
        assert (await client.reply()).status == 200
        assert await client.closed()


async def test_pipelined_requests_are_answered_in_order(running: Running) -> None:
    """Requests sent without waiting are answered one after the other, each with its own answer."""
    good, bad, missing = post(BODY), post(b"\xff"), post(BODY, path="/nothing")
    async with running.client() as client:
        client.send(*[good, bad, missing] * 30)
        statuses = [(await client.reply()).status for _ in range(90)]
    assert statuses == [200, 400, 404] * 30
    assert running.sink.item_count == 30 * ITEMS


async def test_garbage_behind_a_request_does_not_spoil_its_answer(running: Running) -> None:
    """What was taken is acknowledged before the connection is closed for what follows."""
    async with running.client() as client:
        client.send(post(BODY) + b"\x00garbage\r\n\r\n")
        assert (await client.reply()).status == 200
        assert await client.closed()
    assert running.sink.item_count == ITEMS


async def test_100_continue_is_sent_when_the_body_is_wanted(running: Running) -> None:
    """A client that asks first is told to go on, or gets the refusal instead."""
    async with running.client() as client:
        client.send(post(b"", headers=["Expect: 100-continue"], length=len(BODY)))
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(BODY)
        assert (await client.reply()).status == 200
    async with running.client() as client:
        client.send(post(b"", "text/plain", headers=["Expect: 100-continue"], length=len(BODY)))
        reply = await client.reply()
        assert (reply.status, reply.headers["connection"]) == (415, "close")


async def test_slow_headers_are_cut_off() -> None:
    """A client that dribbles headers is gone after read_header_timeout, however often it sends a byte."""
    async with receiver(http={"read_header_timeout": "150ms"}) as running, running.client() as client:
        client.send(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\n")

        async def dribble() -> None:
            while True:
                client.send(b"X: y\r\n")
                await asyncio.sleep(0.01)

        task = asyncio.create_task(dribble())
        try:
            assert (await client.reply()).status == 408
        finally:
            task.cancel()
        await running.still_serves()


async def test_slow_body_is_cut_off() -> None:
    """A body that stops in the middle is 408 after body_idle_timeout, one that dribbles after read_timeout."""
    for options in ({"body_idle_timeout": "100ms"}, {"read_timeout": "200ms"}):
        async with receiver(http=options) as running, running.client() as client:
            client.send(post(b"", length=100))
            for _ in range(10):
                client.send(b"x")
                await asyncio.sleep(0.01)
            reply = await client.reply()
            assert reply.status == 408
            assert reply.headers["connection"] == "close"
            await running.still_serves()


@pytest.mark.parametrize("first", [b"", post(BODY)])
async def test_silent_connection_is_closed(first: bytes) -> None:
    """A connection without requests ends after its time, without an answer that nobody asked for."""
    options = {"idle_timeout": "100ms", "read_header_timeout": "100ms"}
    async with receiver(http=options) as running, running.client() as client:
        client.send(first)
        if first:
            assert (await client.reply()).status == 200
        assert await client.closed()


async def test_client_that_takes_no_answers_is_cut_off() -> None:
    """Requests from a client that reads nothing stop being read, and its connection ends."""
    async with receiver(http={"write_timeout": "100ms"}) as running, running.client() as client:
        client.writer.transport.pause_reading()
        request = post(b"", path="/" + "x" * 200)

        async def flood() -> None:
            while True:
                client.send(request * 200)
                await client.writer.drain()

        with pytest.raises(ConnectionError):
            await asyncio.wait_for(flood(), 20)
        await running.still_serves()


async def test_client_gone_in_the_middle_of_a_body(running: Running) -> None:
    """Half a request is nothing: it is not taken, and nobody minds."""
    for abort in (True, False):
        async with running.client() as client:
            client.send(post(BODY)[:-10])
            await client.writer.drain()
            if abort:
                linger = struct.pack("ii", 1, 0)
                client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    await running.still_serves()
    assert running.sink.item_count == ITEMS


async def test_client_gone_while_its_request_is_handled() -> None:
    """A request that was complete is finished even if nobody waits for the answer."""
    sink = BlockingSink()
    async with receiver(sink=sink, http={}) as running:
        async with running.client() as client:
            client.send(post(BODY))
            await wait_for_waiting(sink)
        sink.release.set()
        await sink.wait_for_items(ITEMS)


async def test_half_closed_client_gets_its_answer(running: Running) -> None:
    """A client may close its half after the request, as ``nc`` does."""
    async with running.client() as client:
        client.send(post(BODY) + post(BODY))
        client.writer.write_eof()
        assert (await client.reply()).status == 200
        assert (await client.reply()).status == 200
        assert await client.closed()


async def test_half_closed_in_the_middle_is_closed(running: Running) -> None:
    """A body that ends early is the client's end."""
    async with running.client() as client:
        client.send(post(BODY)[:-1])
        client.writer.write_eof()
        assert await client.closed()
    assert not running.sink.batches


async def test_too_many_connections_are_told_so() -> None:
    """Beyond max_connections a client gets 503, and those inside are not disturbed."""
    async with receiver(http={"max_connections": 2}) as running, running.client() as one, running.client() as two:
        for client in (one, two):
            client.send(post(BODY))
            assert (await client.reply()).status == 200
        async with running.client() as three:
            assert (await three.reply()).status == 503
        one.send(post(BODY))
        assert (await one.reply()).status == 200


async def test_connections_are_not_kept_when_told_so() -> None:
    """Without keep_alives_enabled each answer ends its connection."""
    async with receiver(http={"keep_alives_enabled": False}) as running:
        assert (await running.ask(post(BODY))).headers["connection"] == "close"


async def test_own_headers_are_added() -> None:
    """``response_headers`` are on every answer."""
    async with receiver(http={"response_headers": {"X-Frame-Options": "deny"}}) as running:
        for path in ("/v1/traces", "/nothing"):
            assert (await running.ask(post(BODY, path=path))).headers["x-frame-options"] == "deny"


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        (["https://*.example.com"], "https://app.example.com", "https://app.example.com"),
        (["https://*.example.com"], "https://example.org", None),
        (["https://*.example.com"], "https://evil.org/.example.com.evil", None),
        (["*"], "https://anything", "*"),
    ],
)
async def test_cross_origin_requests(origins: list[str], origin: str, allowed: str | None) -> None:
    """Only pages of allowed origins are let in; preflights list methods and headers."""
    cors = {"allowed_origins": origins, "allowed_headers": ["X-Tenant"], "exposed_headers": ["Date"], "max_age": 600}
    async with receiver(http={"cors": cors}) as running:
        reply = await running.ask(post(span_json(), "application/json", headers=[f"Origin: {origin}"]))
        assert reply.status == 200
        assert reply.headers.get("access-control-allow-origin") == allowed
        preflight = await running.ask(
            f"OPTIONS /v1/traces HTTP/1.1\r\nHost: x\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: POST\r\n"
            "Access-Control-Request-Headers: content-type, x-tenant, x-other\r\n\r\n".encode()
        )
        assert preflight.status == (200 if allowed else 403)
        assert preflight.headers.get("access-control-allow-origin") == allowed
        if allowed:
            assert preflight.headers["access-control-allow-headers"] == "content-type, x-tenant"
            assert preflight.headers["access-control-max-age"] == "600"


async def test_metadata_peer_and_transport_are_kept() -> None:
    """With include_metadata the pipeline sees headers in lower case, and always who sent it and how."""
    for include in (True, False):
        async with receiver(http={"include_metadata": include}, signals=[Signal.TRACES]) as running:
            await running.ask(post(BODY, headers=["X-Tenant: acme", "x-tenant: other"]))
            context = running.sink.batches[0].context
            assert context.metadata.get("x-tenant") == (("acme", "other") if include else None)
            assert context.transport == "http"
            assert context.peer.startswith("127.0.0.1:")


async def wait_for_waiting(sink: BlockingSink) -> None:
    """Wait until somebody waits in the sink."""
    async with asyncio.timeout(10):
        while not sink.waiting:
            await asyncio.sleep(0.005)
