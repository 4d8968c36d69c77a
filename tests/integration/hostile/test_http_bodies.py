"""Bad bodies over HTTP: each gets a clear answer, costs little, and the next request is served."""

from __future__ import annotations

import asyncio
import gzip
import json
import resource
import zlib
from collections.abc import AsyncIterator

import pytest
import zstandard
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from tests.integration.hostile.harness import BODY, ITEMS, JSON, PROTOBUF, Running, post, receiver, span_json
from untrace_pipeline.api import Code, OversizeError, PermanentError, QueueFullError, RetryableError
from untrace_pipeline.data import Signal
from untrace_pipeline.testing import FailingSink, Sink, make_batch

MIB = 1024 * 1024


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    async with receiver(http={"max_request_body_size": "8MiB"}) as one:
        yield one
        await one.still_serves()


def encoded(name: str) -> list[str]:
    return [f"Content-Encoding: {name}"]


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(BODY)),
        ("zstd", zstandard.compress(BODY)),
        ("zlib", zlib.compress(BODY)),
        ("deflate", zlib.compress(BODY)),
        ("deflate", zlib.compress(BODY, wbits=-15)),
        ("identity", BODY),
        ("GZIP", gzip.compress(BODY)),
        ("gzip", gzip.compress(BODY[:50]) + gzip.compress(BODY[50:])),
    ],
)
async def test_every_compression_is_taken(running: Running, encoding: str, body: bytes) -> None:
    """What OTLP and the Collector's clients send is understood."""
    assert (await running.ask(post(body, headers=encoded(encoding)))).status == 200
    assert running.sink.item_count == ITEMS


@pytest.mark.parametrize("signal", Signal)
@pytest.mark.parametrize("content_type", [PROTOBUF, JSON, "application/json; charset=utf-8", "Application/JSON"])
async def test_answer_has_the_form_of_the_request(running: Running, signal: Signal, content_type: str) -> None:
    """Success is an empty response message, in the request's encoding."""
    batch = make_batch(signal, 3)
    json_body = "json" in content_type.lower()
    body = batch.to_json() if json_body else batch.to_otlp()
    reply = await running.ask(post(body, content_type, path=f"/v1/{signal}"))
    assert (reply.status, reply.headers["content-type"]) == (200, JSON if json_body else PROTOBUF)
    assert reply.body == (b"{}" if json_body else b"")
    assert running.sink.batches[0].to_json() == batch.to_json()  # JSON does not say in which order fields are written


@pytest.mark.parametrize(("body", "content_type"), [(b"", PROTOBUF), (b"{}", JSON), (b'{"resourceSpans": []}', JSON)])
async def test_empty_request_succeeds(running: Running, body: bytes, content_type: str) -> None:
    """A request without items is a success and reaches nobody."""
    assert (await running.ask(post(body, content_type))).status == 200
    assert not running.sink.batches


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"\xff\xfe garbage", PROTOBUF),
        (BODY[: len(BODY) // 2], PROTOBUF),
        (b"\x0a\xff\xff\xff\xff\x0f", PROTOBUF),
        (span_json(), PROTOBUF),
        (b"{ not json", JSON),
        (b"[]", JSON),
        (b"", JSON),
        (b"\xff\xff", JSON),
        (BODY, JSON),
        (span_json(traceId="5b8e"), JSON),
        (span_json(spanId="zzzzzzzzzzzzzzzz"), JSON),
        (span_json(startTimeUnixNano="yesterday"), JSON),
        (span_json(startTimeUnixNano=str(1 << 70)), JSON),
        (b'{"resourceSpans": 3}', JSON),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, JSON),
        (b"[" * 1_000_000, JSON),
    ],
)
async def test_what_is_no_otlp_is_400(running: Running, body: bytes, content_type: str) -> None:
    """Garbage, truncation, wrong ids and absurd nesting: 400 with a Status in the request's form, nothing passed on."""
    reply = await running.ask(post(body, content_type))
    assert (reply.status, reply.headers["content-type"]) == (400, content_type), reply.body
    code = Status.FromString(reply.body).code if content_type == PROTOBUF else json.loads(reply.body)["code"]
    assert code == Code.INVALID_ARGUMENT
    assert not running.sink.batches


async def test_deeply_nested_value_is_refused(running: Running) -> None:
    """A value nested ten thousand times is answered."""
    text = '{"stringValue":"x"}'
    for _ in range(10_000):
        text = '{"arrayValue":{"values":[' + text + "]}}"
    body = span_json(attributes=[]).replace(
        b'"attributes": []', b'"attributes":[{"key":"a","value":%b}]' % text.encode()
    )
    assert (await running.ask(post(body, JSON))).status == 400


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/xml", "application/protobuf", "x" * 5000])
async def test_unknown_content_type_is_415(running: Running, content_type: str) -> None:
    """The answer lists what is taken."""
    reply = await running.ask(post(BODY, content_type))
    assert reply.status == 415
    assert PROTOBUF in reply.text
    assert JSON in reply.text


@pytest.mark.parametrize("encoding", ["br", "snappy", "lz4", "gzip, gzip", "x" * 1000])
async def test_unknown_encoding_is_415(running: Running, encoding: str) -> None:
    """The answer lists what is understood, also in a header."""
    reply = await running.ask(post(BODY, headers=encoded(encoding)))
    assert reply.status == 415
    assert "gzip, zstd, zlib, deflate" in reply.text
    assert "gzip" in reply.headers["accept-encoding"]


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "deflate"])
async def test_damaged_compression_is_400(running: Running, encoding: str) -> None:
    """Data that is not compressed, or ends early, is named."""
    compress = {"gzip": gzip.compress, "zstd": zstandard.compress, "deflate": zlib.compress}[encoding]
    for body in (b"not compressed", compress(BODY)[:-5]):
        reply = await running.ask(post(body, headers=encoded(encoding)))
        assert reply.status == 400
        assert encoding in Status.FromString(reply.body).message


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "deflate"])
async def test_bomb_costs_nothing(running: Running, encoding: str) -> None:
    """A body that would grow a thousandfold is 413, and memory grows by little more than the limit of 8 MiB."""
    compress = {"gzip": gzip.compress, "zstd": zstandard.compress, "deflate": zlib.compress}[encoding]
    body = compress(bytes(512 * MIB))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    reply = await running.ask(post(body, headers=encoded(encoding)))
    assert reply.status == 413
    assert Status.FromString(reply.body).code == Code.RESOURCE_EXHAUSTED
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


async def test_many_empty_gzip_members_are_refused(running: Running) -> None:
    """Members that hold nothing are counted too."""
    body = gzip.compress(b"") * 1000
    assert (await running.ask(post(body, headers=encoded("gzip")))).status == 400


async def test_announced_size_beyond_the_limit_is_413_at_once(running: Running) -> None:
    """The answer comes before a single byte of the body."""
    reply = await running.ask(post(length=65 * MIB))
    assert reply.status == 413
    assert reply.headers["connection"] == "close"
    assert str(8 * MIB) in Status.FromString(reply.body).message


async def test_client_that_ignores_100_continue_reads_413_after_sending_much() -> None:
    """A client that pushes 65 MiB in spite of the limit can still read the answer: input is drained for a while."""
    async with receiver(http={}) as running, running.client() as client:
        client.send(post(length=65 * MIB))
        sent = bytes(256 * 1024)
        for _ in range(20):
            client.send(sent)
            await asyncio.wait_for(client.writer.drain(), 10)
        assert (await client.reply()).status == 413
        await running.still_serves()


async def test_chunked_body_beyond_the_limit_is_413_on_the_way(running: Running) -> None:
    """Without an announced size the limit holds while bytes come."""
    async with running.client() as client:
        client.send(post().replace(b"Content-Length: 0", b"Transfer-Encoding: chunked"))
        chunk = b"%x\r\n" % MIB + bytes(MIB) + b"\r\n"
        for _ in range(9):
            client.send(chunk)
        reply = await client.reply()
    assert reply.status == 413


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (RetryableError("memory", retry_after=2.2), 503, "3"),
        (RetryableError("busy"), 503, "1"),
        (QueueFullError("full", retry_after=0), 503, "1"),
        (RetryableError("quota", code=Code.RESOURCE_EXHAUSTED, retry_after=5), 429, "5"),
        (PermanentError("never"), 500, None),
        (PermanentError("bad", code=Code.INVALID_ARGUMENT), 400, None),
        (PermanentError("who", code=Code.UNAUTHENTICATED), 401, None),
        (PermanentError("no", code=Code.PERMISSION_DENIED), 403, None),
        (OversizeError("large"), 413, None),
    ],
)
async def test_refusal_of_the_pipelines_reaches_the_client(
    error: PermanentError | RetryableError, status: int, retry_after: str | None
) -> None:
    """Status, code, text and delay say whether sending again helps."""
    async with receiver(sink=FailingSink([error, error]), http={}) as running:
        reply = await running.ask(post(BODY))
        body = Status.FromString(reply.body)
        assert (reply.status, reply.headers.get("retry-after")) == (status, retry_after)
        assert (body.code, body.message) == (error.code, str(error))
        info = RetryInfo()
        assert bool(body.details and body.details[0].Unpack(info)) == (retry_after is not None)
        in_json = json.loads((await running.ask(post(span_json(), JSON))).body)
        assert in_json["code"] == error.code
        await running.still_serves()


class Raising(Sink):
    """Raises what no sink should."""

    async def consume(self, batch: object) -> None:
        raise ZeroDivisionError


async def test_unexpected_error_may_be_sent_again(caplog: pytest.LogCaptureFixture) -> None:
    """A bug behind the receiver is logged, tells the client nothing of itself, and loses nothing."""
    async with receiver(sink=Raising(), http={}) as running:
        reply = await running.ask(post(BODY))
    assert reply.status == 503
    assert b"Zero" not in reply.body
    assert "ZeroDivisionError" in caplog.text


class Limiter(Sink):
    """Admits nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    def admit(self, byte_size: int) -> None:
        self.asked.append(byte_size)
        raise RetryableError("out of memory", retry_after=7)


async def test_admission_is_refused_before_the_body() -> None:
    """Under pressure the answer comes at the headers, with the announced size asked for, and the body is not read."""
    limiter = Limiter()
    async with receiver(sink=limiter, http={}) as running, running.client() as client:
        client.send(post(length=5 * MIB))
        reply = await client.reply()
        assert (reply.status, reply.headers["retry-after"]) == (503, "7")
        assert limiter.asked == [5 * MIB]


class Shrinking(Sink):
    """Admits requests, until more than 3 MiB of one are there."""

    def admit(self, byte_size: int) -> None:
        if 3 * MIB < byte_size < 32 * MIB:
            raise RetryableError("out of memory", retry_after=7)


async def test_body_that_is_begun_is_refused_when_memory_runs_short() -> None:
    """Admission is asked again while a large body comes in, so that many slow ones cannot fill the memory."""
    async with receiver(sink=Shrinking(), http={}) as running, running.client() as client:
        client.send(post(length=32 * MIB), bytes(5 * MIB))
        reply = await client.reply()
        assert (reply.status, reply.headers["retry-after"]) == (503, "7")
        await running.still_serves()


async def test_refused_small_body_keeps_the_connection() -> None:
    """Overload does not cost a new connection per refused request."""
    async with receiver(sink=Limiter(), http={}) as running, running.client() as client:
        for _ in range(3):
            client.send(post(BODY))
            assert (await client.reply()).status == 503


async def test_signal_without_a_pipeline_is_404() -> None:
    """A signal that nobody takes is said to be unserved, with the receiver's id."""
    async with receiver(http={}, signals=[Signal.TRACES]) as running:
        reply = await running.ask(post(b"", path="/v1/logs"))
        assert reply.status == 404
        assert "no logs pipeline names receiver otlp" in Status.FromString(reply.body).message
        await running.still_serves()
