"""Bad input over gRPC: clear status codes, details that say whether to retry, and the next call is served."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

import grpc
import grpc.aio
import h2.connection
import h2.events
import pytest
import zstandard
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from tests.integration.hostile.harness import BODY, ITEMS, TIMEOUT, Running, post, receiver
from untrace_pipeline.api import Code, Credentials, OversizeError, PermanentError, RetryableError
from untrace_pipeline.data import Signal
from untrace_pipeline.testing import BlockingSink, FailingSink, Sink, make_batch
from untrace_plugins.receivers.otlp.grpc_transport import METHODS

MIB = 1024 * 1024
UNLIMITED = [("grpc.max_send_message_length", -1)]
DETAILS = "grpc-status-details-bin"


def message_frame(body: bytes, compressed: int = 0) -> bytes:
    """Return a message with its prefix."""
    return bytes([compressed]) + len(body).to_bytes(4, "big") + body


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    async with receiver(grpc={"max_recv_msg_size_mib": 8}) as one:
        yield one
        await one.still_serves()


async def refusal(running: Running, body: bytes = BODY, **options: Any) -> grpc.aio.AioRpcError:
    """Return the error of a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await running.export(body, **options)
    return caught.value


def details(error: grpc.aio.AioRpcError) -> Status:
    """Return the status in the trailers."""
    return Status.FromString(dict(error.trailing_metadata() or ())[DETAILS])  # type: ignore[arg-type]


@pytest.mark.parametrize("signal", Signal)
@pytest.mark.parametrize(
    "compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip, grpc.Compression.Deflate]
)
async def test_every_signal_and_compression_is_taken(
    running: Running, signal: Signal, compression: grpc.Compression
) -> None:
    """What is sent arrives unchanged, and the answer is an empty response."""
    batch = make_batch(signal, 50)
    assert await running.export(batch.to_otlp(), METHODS[signal], compression=compression) == b""
    assert [one.to_otlp() for one in running.sink.batches] == [batch.to_otlp()]


async def test_empty_request_succeeds(running: Running) -> None:
    """A request without items is a success and reaches nobody."""
    assert await running.export(b"") == b""
    assert not running.sink.batches


@pytest.mark.parametrize("body", [b"\xff\xfe", BODY[:-3], b"\x0a\xff\xff\xff\xff\x0f", b"{}"])
async def test_what_is_no_otlp_is_invalid(running: Running, body: bytes) -> None:
    """Garbage and truncation are INVALID_ARGUMENT and reach nobody."""
    error = await refusal(running, body)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert details(error).code == Code.INVALID_ARGUMENT
    assert not running.sink.batches


@pytest.mark.parametrize(
    "compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip, grpc.Compression.Deflate]
)
async def test_oversize_and_bomb_are_refused(running: Running, compression: grpc.Compression) -> None:
    """The limit holds for what comes out of decompression, too."""
    error = await refusal(running, bytes(64 * MIB), compression=compression)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than" in (error.details() or "")


async def test_zstd_is_taken(running: Running) -> None:
    """Clients that are no Python may compress with zstd."""
    status, message, _ = await raw_call(
        running, [("grpc-encoding", "zstd")], message_frame(zstandard.compress(BODY), 1)
    )
    assert status == "0", message
    assert [batch.to_otlp() for batch in running.sink.batches] == [BODY]


@pytest.mark.parametrize("encoding", ["snappy", "br", "x" * 5000, "gzip, gzip"])
async def test_unknown_compression_is_unimplemented(running: Running, encoding: str) -> None:
    """The answer lists what is supported, as the protocol asks for."""
    status, message, headers = await raw_call(running, [("grpc-encoding", encoding)], message_frame(BODY, 1))
    assert status == str(int(Code.UNIMPLEMENTED))
    assert "identity,gzip,deflate,zstd" in message
    assert headers["grpc-accept-encoding"] == "identity,gzip,deflate,zstd"
    assert not running.sink.batches


@pytest.mark.parametrize(
    ("headers", "frame", "code"),
    [
        ([], b"", Code.INVALID_ARGUMENT),
        ([], b"\x00\x00", Code.INVALID_ARGUMENT),
        ([], message_frame(BODY)[:-1], Code.INVALID_ARGUMENT),
        ([], message_frame(BODY) * 2, Code.INVALID_ARGUMENT),
        ([], b"\x00\xff\xff\xff\xff", Code.RESOURCE_EXHAUSTED),
        ([], message_frame(BODY, 1), Code.INTERNAL),
        ([("grpc-encoding", "gzip")], message_frame(b"not gzip", 1), Code.INVALID_ARGUMENT),
        ([("grpc-encoding", "gzip")], message_frame(gzip.compress(BODY)[:-9], 1), Code.INVALID_ARGUMENT),
        ([("x-large", "x" * 60_000), ("x-more", "x" * 10_000)], message_frame(BODY), Code.RESOURCE_EXHAUSTED),
    ],
)
async def test_message_that_is_no_message(
    running: Running, headers: list[tuple[str, str]], frame: bytes, code: Code
) -> None:
    """Framing that does not add up, compression without a name, damage and oversize have their codes."""
    status, message, _ = await raw_call(running, headers, frame)
    assert status == str(int(code)), message
    assert not running.sink.batches


async def test_unknown_method_is_unimplemented(running: Running) -> None:
    """A method that does not exist is UNIMPLEMENTED."""
    error = await refusal(running, method="/opentelemetry.proto.collector.trace.v1.TraceService/Import")
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_signal_without_a_pipeline_is_unimplemented() -> None:
    """A signal that nobody takes is said to be unserved."""
    async with receiver(grpc={}, signals=[Signal.TRACES]) as running:
        error = await refusal(running, method=METHODS[Signal.LOGS])
        assert error.code() is grpc.StatusCode.UNIMPLEMENTED
        assert error.details() == "no logs pipeline names receiver otlp"


@pytest.mark.parametrize(
    ("error", "delay"),
    [
        (RetryableError("memory", retry_after=2.5), 2.5),
        (RetryableError("busy"), 1.0),
        (RetryableError("quota", code=Code.RESOURCE_EXHAUSTED, retry_after=5), 5.0),
        (PermanentError("never"), None),
        (PermanentError("bad", code=Code.INVALID_ARGUMENT), None),
        (OversizeError("large"), None),
    ],
)
async def test_refusal_of_the_pipelines_reaches_the_client(error: Any, delay: float | None) -> None:
    """Code, text and RetryInfo say whether sending again helps."""
    async with receiver(sink=FailingSink([error]), grpc={}) as running:
        caught = await refusal(running)
        assert (caught.code().value[0], caught.details()) == (error.code, str(error))
        status, info = details(caught), RetryInfo()
        assert status.message == str(error)
        if delay is None:
            assert not status.details
        else:
            assert status.details[0].Unpack(info)
            assert info.retry_delay.seconds + info.retry_delay.nanos / 1e9 == delay
        await running.still_serves()


class Limiter(Sink):
    """Admits nothing until told otherwise."""

    open = False

    def admit(self, byte_size: int) -> None:
        if not self.open:
            raise RetryableError("out of memory", retry_after=7)


async def test_admission_is_refused_before_the_message() -> None:
    """Under pressure the call ends with UNAVAILABLE and RetryInfo, and large messages are not taken in first."""
    sink = Limiter()
    async with receiver(sink=sink, grpc={}) as running:
        for body in (BODY, bytes(32 * MIB)):
            error = await refusal(running, body)
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            info = RetryInfo()
            assert details(error).details[0].Unpack(info)
            assert info.retry_delay.seconds == 7
        sink.open = True
        await running.still_serves()


async def test_message_that_is_begun_is_refused_when_memory_runs_short() -> None:
    """Admission is asked again while a large message comes in: what is begun does not fill the memory."""
    sink = Limiter()
    sink.open = True
    async with receiver(sink=sink, grpc={}) as running:
        connection = h2.connection.H2Connection()
        connection.initiate_connection()
        method = [(":method", "POST"), (":scheme", "http"), (":authority", "x"), (":path", METHODS[Signal.TRACES])]
        connection.send_headers(1, [*method, ("content-type", "application/grpc")])
        connection.send_data(1, b"\0" + (32 * MIB).to_bytes(4, "big"))
        host, _, port = running.grpc_target.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        sent, answered = 0, False
        async with asyncio.timeout(TIMEOUT):
            while not answered:
                room = min(connection.local_flow_control_window(1), 16_384)
                if room and sent < 16 * MIB:
                    connection.send_data(1, bytes(room))
                    sent += room
                    sink.open = sent < 4 * MIB
                writer.write(connection.data_to_send())
                with suppress(TimeoutError):
                    async with asyncio.timeout(0 if room else TIMEOUT):
                        events = connection.receive_data(await reader.read(65536))
                        answered = any(isinstance(event, h2.events.ResponseReceived) for event in events)
        writer.close()
        assert sent < 8 * MIB


async def test_client_that_cancels_is_finished() -> None:
    """A batch that was taken is completed, although its client went away."""
    sink = BlockingSink()
    async with receiver(sink=sink, grpc={}) as running:
        async with grpc.aio.insecure_channel(running.grpc_target) as channel:
            call = channel.unary_unary(METHODS[Signal.TRACES])(BODY, timeout=TIMEOUT)
            while not sink.waiting:
                await asyncio.sleep(0.005)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        sink.release.set()
        await sink.wait_for_items(ITEMS)
        await running.still_serves()


async def test_call_without_a_message_is_refused(running: Running) -> None:
    """A stream that ends before its message is an error of the client."""
    async with grpc.aio.insecure_channel(running.grpc_target) as channel:
        call = channel.stream_unary(METHODS[Signal.TRACES])(timeout=TIMEOUT)
        await call.done_writing()
        with pytest.raises(grpc.aio.AioRpcError, match="exactly one whole message"):
            await call


@pytest.mark.parametrize(
    "raw", [b"garbage\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", post(BODY), b"\x16\x03\x01\x02"]
)
async def test_what_is_no_http_2_is_cut_off(running: Running, raw: bytes) -> None:
    """Anything else on the gRPC port ends the connection."""
    host, _, port = running.grpc_target.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(raw)
    writer.write_eof()
    async with asyncio.timeout(TIMEOUT):
        while await reader.read(65536):
            pass
    writer.close()


async def test_metadata_peer_and_transport_are_kept() -> None:
    """With include_metadata the pipeline sees the client's metadata, and always who sent it and how."""
    for include in (True, False):
        async with receiver(grpc={"include_metadata": include}) as running:
            await running.export(
                BODY, metadata=[("x-tenant", "acme"), ("x-tenant", "other"), ("x-id-bin", b"\x00\x01")]
            )
            context = running.sink.batches[0].context
            assert context.metadata.get("x-tenant") == (("acme", "other") if include else None)
            assert context.metadata.get("x-id-bin") == (("AAE",) if include else None)
            assert context.transport == "grpc"
            assert context.peer.startswith("127.0.0.1:")


class Guard:
    """Lets in who says the word."""

    challenge = "Word"

    async def start(self, host: object) -> None:
        """Nothing to do."""

    async def shutdown(self) -> None:
        """Nothing to do."""

    async def authenticate(self, metadata: Mapping[str, tuple[str, ...]]) -> Credentials:
        if metadata.get("word") != ("please",):
            raise PermanentError("unauthenticated: say please", code=Code.UNAUTHENTICATED)
        return Credentials({"subject": "ann"}, tenant="acme")


async def test_authentication_comes_before_the_message() -> None:
    """Who is not let in does not get a message through; who is, is known to the pipelines. Over gRPC and HTTP."""
    auth = {"auth": {"authenticator": "guard"}}
    async with receiver(http=auth, grpc=auth, extensions={"guard": Guard()}) as running:
        for body in (BODY, bytes(32 * MIB)):
            error = await refusal(running, body)
            assert (error.code(), error.details()) == (
                grpc.StatusCode.UNAUTHENTICATED,
                "unauthenticated: say please",
            )
        reply = await running.ask(post(length=32 * MIB))
        assert (reply.status, reply.headers["www-authenticate"]) == (401, "word")
        await running.export(BODY, metadata=[("word", "please")])
        assert (await running.ask(post(BODY, headers=["Word: please"]))).status == 200
        for batch in running.sink.batches:
            assert (batch.context.auth, batch.context.tenant) == ({"subject": "ann"}, "acme")
        assert len(running.sink.batches) == 2


async def raw_call(
    running: Running, headers: list[tuple[str, str]], frame: bytes
) -> tuple[str, str, Mapping[str, str]]:
    """Make a call with headers that the library would not send; return status, message and all headers."""
    connection = h2.connection.H2Connection()
    connection.initiate_connection()
    method = [(":method", "POST"), (":scheme", "http"), (":authority", "x"), (":path", METHODS[Signal.TRACES])]
    connection.send_headers(1, [*method, ("content-type", "application/grpc"), ("te", "trailers"), *headers])
    for begin in range(0, len(frame), 16_384):
        connection.send_data(1, frame[begin : begin + 16_384])
    connection.end_stream(1)
    host, _, port = running.grpc_target.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    found: dict[str, str] = {}
    async with asyncio.timeout(TIMEOUT):
        while "grpc-status" not in found:
            writer.write(connection.data_to_send())
            for event in connection.receive_data(await reader.read(65536)):
                if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
                    found |= {name.decode(): value.decode() for name, value in event.headers}
    writer.close()
    return found["grpc-status"], found.get("grpc-message", ""), found


async def test_large_messages_arrive_whole() -> None:
    """Messages of many windows go through, several at a time on one connection."""
    async with receiver(grpc={}) as running, grpc.aio.insecure_channel(running.grpc_target, UNLIMITED) as channel:
        export = channel.unary_unary(METHODS[Signal.TRACES])
        large = make_batch(Signal.TRACES, 5, attributes={"text": "x" * 1_000_000}).to_otlp()
        answers = await asyncio.gather(*(export(large, timeout=TIMEOUT) for _ in range(6)))
        assert answers == [b""] * 6
        assert [batch.to_otlp() == large for batch in running.sink.batches] == [True] * 6
