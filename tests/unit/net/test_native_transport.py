"""The native clients against servers that break off, refuse, are silent, or are not who they should be."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
import zstandard
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.egress import egress  # noqa: F401  a fixture
from tests.support.http2_script import ScriptedHttp2, Step, cut, go_away, half, hang, reset
from untrace_pipeline.errors import Code, ConsumeError, OversizeError, PermanentError, RetryableError
from untrace_pipeline.net.grpc_client import GrpcClient, GrpcClientConfig
from untrace_pipeline.net.grpc_native import NativeChannel
from untrace_pipeline.net.http_client import HttpClient, HttpClientConfig
from untrace_pipeline.testing import StubHost

pytestmark = [pytest.mark.usefixtures("egress"), pytest.mark.parametrize("egress", ["native"], indirect=True)]

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
PROTOBUF = "application/x-protobuf"
LOGGER = logging.getLogger(__name__)
REFUSED_STREAM, CANCEL, INTERNAL_ERROR = 7, 8, 2
SECONDS = 10.0


@asynccontextmanager
async def grpc_client(address: str, **options: Any) -> AsyncIterator[GrpcClient]:
    made = GrpcClient(
        GrpcClientConfig.model_validate({"endpoint": address, "tls": {"insecure": True}, **options}), LOGGER
    )
    await made.start(StubHost({}))
    try:
        yield made
    finally:
        await made.close()


@asynccontextmanager
async def http_client(**options: Any) -> AsyncIterator[HttpClient]:
    made = HttpClient(HttpClientConfig.model_validate(options), LOGGER)
    await made.start(StubHost({}))
    try:
        yield made
    finally:
        await made.close()


async def failure(call: Awaitable[object]) -> ConsumeError:
    with pytest.raises(ConsumeError) as raised:
        await call
    return raised.value


def pending(client: GrpcClient) -> int:
    assert isinstance(client._channel, NativeChannel)
    return client._channel._channel.pending()


# ---------------------------------------------------------------------- gRPC


async def test_a_refused_stream_is_opened_once_more() -> None:
    """The server did not look at it; a second refusal is left to the delivery."""
    async with ScriptedHttp2(reset(REFUSED_STREAM)) as server, grpc_client(server.address) as c:
        await c.call(METHOD, b"data", SECONDS)
        assert len(server.messages) == 2
    async with ScriptedHttp2(*[reset(REFUSED_STREAM)] * 2) as server, grpc_client(server.address) as c:
        error = await failure(c.call(METHOD, b"data", SECONDS))
        assert (error.code, len(server.messages)) == (Code.UNAVAILABLE, 2)


@pytest.mark.parametrize(
    ("step", "kind", "code"),
    [
        (reset(CANCEL), RetryableError, Code.CANCELLED),
        (reset(INTERNAL_ERROR), PermanentError, Code.INTERNAL),
        (half, RetryableError, Code.UNAVAILABLE),
        (cut, RetryableError, Code.UNAVAILABLE),
    ],
    ids=["cancel", "internal", "half an answer", "no answer"],
)
async def test_calls_that_break_off(step: Step, kind: type[ConsumeError], code: Code) -> None:
    """Each end is told as gRPC's mapping says, once, and the next call works."""
    async with ScriptedHttp2(step) as server, grpc_client(server.address, wait_for_ready=True) as c:
        error = await failure(c.call(METHOD, b"data", SECONDS))
        assert (type(error), error.code) == (kind, code)
        assert len(server.messages) == 1
        await c.call(METHOD, b"data", SECONDS)
        assert pending(c) == 0


async def test_go_away_moves_to_a_new_connection() -> None:
    """The call under way ends well, the next one finds another connection, and none fails."""
    async with ScriptedHttp2(go_away) as server, grpc_client(server.address, wait_for_ready=True) as c:
        await c.call(METHOD, b"one", SECONDS)
        await c.call(METHOD, b"two", SECONDS)
        assert (server.connections, len(server.messages)) == (2, 2)


async def test_garbage_instead_of_http2() -> None:
    """Somebody else listens there: the call fails with the reason, and may be tried again."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com ESMTP\r\n")
        await reader.read(100)
        writer.close()

    async with plain_server(serve) as port, grpc_client(f"127.0.0.1:{port}") as c:
        assert (await failure(c.call(METHOD, b"data", SECONDS))).code is Code.UNAVAILABLE


async def test_a_call_that_is_left_is_forgotten() -> None:
    """Cancelling resets the stream; nothing of the call stays."""
    async with ScriptedHttp2(hang) as server, grpc_client(server.address) as c:
        call = asyncio.create_task(c.call(METHOD, b"data"))
        async with asyncio.timeout(SECONDS):
            await server.arrived.wait()
            assert pending(c) == 1
            call.cancel()
            await asyncio.wait([call])
            await server.reset.wait()
        assert pending(c) == 0
        await c.call(METHOD, b"data", SECONDS)
        assert server.connections == 1


async def test_a_deadline_ends_the_call_on_both_sides() -> None:
    """The server is told, and nothing of the call stays."""
    async with ScriptedHttp2(hang) as server, grpc_client(server.address) as c:
        assert (await failure(c.call(METHOD, b"data", 0.1))).code is Code.DEADLINE_EXCEEDED
        async with asyncio.timeout(SECONDS):
            await server.reset.wait()
        assert pending(c) == 0


async def test_close_with_calls_under_way() -> None:
    """They end with an error, and the server sees the connection go."""
    async with ScriptedHttp2(hang, hang) as server, grpc_client(server.address) as c:
        calls = [asyncio.create_task(c.call(METHOD, b"data")) for _ in range(2)]
        async with asyncio.timeout(SECONDS):
            await server.arrived.wait()
            await c.close()
            ends = await asyncio.gather(*calls, return_exceptions=True)
            await server.left.wait()
        assert all(isinstance(end, RetryableError) for end in ends)


async def test_zstd_arrives_as_zstd() -> None:
    """The message is compressed, and says so."""
    data = b"the same again and again " * 20_000
    async with ScriptedHttp2() as server, grpc_client(server.address, compression="zstd") as c:
        await c.call(METHOD, data, SECONDS)
        message = server.messages[0]
        assert message[0] == 1
        assert int.from_bytes(message[1:5], "big") == len(message) - 5
        assert zstandard.ZstdDecompressor().decompress(message[5:]) == data


async def test_pings_keep_a_connection_and_find_a_dead_one() -> None:
    """Answered pings change nothing; without an answer the call fails at once, long before its deadline."""
    keepalive = {"time": "20ms", "timeout": "20ms"}
    async with ScriptedHttp2(hang, pongs=False) as server, grpc_client(server.address, keepalive=keepalive) as c:
        error = await failure(c.call(METHOD, b"data", 60.0))
        assert (error.code, server.pings) == (Code.UNAVAILABLE, 1)

    keepalive["timeout"] = "10s"
    async with ScriptedHttp2(hang) as server, grpc_client(server.address, keepalive=keepalive) as c:
        call = asyncio.create_task(c.call(METHOD, b"data", 60.0))
        async with asyncio.timeout(SECONDS):
            while server.pings < 3:
                await asyncio.sleep(0)
        assert not call.done()
        call.cancel()
        await asyncio.wait([call])


@pytest.mark.parametrize(("balancer", "used"), [("round_robin", [2, 2]), ("pick_first", [0, 4])])
async def test_several_addresses(balancer: str, used: list[int]) -> None:
    """``round_robin`` takes all in turn, ``pick_first`` stays with one."""
    found = {info[4][0] for info in socket.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)}
    if found != {"127.0.0.1", "::1"}:
        pytest.skip("localhost has one address here")
    async with ScriptedHttp2() as one, ScriptedHttp2(host="::1", port=one.port) as two:
        async with grpc_client(f"localhost:{one.port}", balancer_name=balancer) as c:
            async with asyncio.timeout(SECONDS):
                while balancer == "round_robin" and not (one.messages and two.messages):
                    await c.call(METHOD, b"data", SECONDS)
            one.messages.clear()
            two.messages.clear()
            for _ in range(4):
                await c.call(METHOD, b"data", SECONDS)
        assert sorted([len(one.messages), len(two.messages)]) == used


async def test_a_large_message_passes_small_windows() -> None:
    """More than the window of a stream is sent as the server makes room, whole and in order."""
    from tests.support.otlp_servers import GrpcServer  # noqa: PLC0415
    from untrace_pipeline.testing import make_batch  # noqa: PLC0415

    data = make_batch(items=20_000).to_otlp()
    assert len(data) > 2 << 20
    async with GrpcServer() as server, grpc_client(server.address) as c:
        await asyncio.gather(*(c.call(METHOD, data, SECONDS) for _ in range(3)))
        assert all(one.batch.to_otlp() == data for one in server.accepted)


# ---------------------------------------------------------------------- HTTP

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@asynccontextmanager
async def plain_server(serve: Serve) -> AsyncIterator[int]:
    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(served, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return await reader.readexactly(int(length.partition(b":")[2]))


@pytest.mark.parametrize(
    "sent",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", b"HTTP/1.1 200", b"220 mail.example.com ESMTP\r\n", b""],
    ids=["half a body", "half a head", "garbage", "nothing"],
)
async def test_answers_that_break_off_are_retryable(sent: bytes) -> None:
    """No answer is no answer, however it was begun; on a new connection it is not sent again."""
    requests = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await read_request(reader))
        writer.write(sent)

    async with plain_server(serve) as port, http_client() as c:
        error = await failure(c.post(f"http://127.0.0.1:{port}/v1/traces", b"data", PROTOBUF))
        assert isinstance(error, RetryableError)
        assert requests == [b"data"]


async def test_an_early_413_is_read_while_the_body_is_being_sent() -> None:
    """The server does not wait for the body, and its answer is not lost."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.write_eof()
        await reader.read()

    async with plain_server(serve) as port, http_client() as c:
        error = await failure(c.post(f"http://127.0.0.1:{port}/v1/traces", b"x" * (8 << 20), PROTOBUF))
        assert isinstance(error, OversizeError)


async def test_a_kept_connection_that_the_server_closed_costs_nothing() -> None:
    """The request goes over a new one, once."""
    connections = []
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(await read_request(reader))
        writer.write(OK)
        if len(connections) > 1:
            await reader.read()
        gone.set()

    async with plain_server(serve) as port, http_client() as c:
        url = f"http://127.0.0.1:{port}/v1/traces"
        await c.post(url, b"one", PROTOBUF)
        async with asyncio.timeout(SECONDS):
            await gone.wait()
        await c.post(url, b"two", PROTOBUF)
        assert connections == [b"one", b"two"]


async def test_http_close_with_requests_under_way() -> None:
    """They end with an error, and the server sees the connection go."""
    arrived, left = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        arrived.set()
        assert await reader.read() == b""
        left.set()

    async with plain_server(serve) as port, http_client() as c:
        call = asyncio.create_task(c.post(f"http://127.0.0.1:{port}/v1/traces", b"data", PROTOBUF))
        async with asyncio.timeout(SECONDS):
            await arrived.wait()
            await c.close()
            await asyncio.wait([call])
            await left.wait()
        assert isinstance(call.exception(), RetryableError)


# ----------------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def context_of(authority: trustme.CA, protocol: str = "h2") -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols([protocol])
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


def own_authority(path: Path, begin: timedelta, end: timedelta) -> ssl.SSLContext:
    """Write a certificate that is its own authority, and return what shows it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now + begin, now + end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    secret = path.with_suffix(".key")
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path, secret)
    return context


@pytest.mark.parametrize(
    ("begin", "end", "taken"),
    [(-1, 1, True), (-2, -1, False), (1, 2, False)],
    ids=["valid", "expired", "not yet valid"],
)
async def test_a_named_certificate_is_taken_while_it_is_valid(
    begin: int, end: int, taken: bool, tmp_path: Path
) -> None:
    """A self-signed certificate as ``ca_file`` vouches for itself, within its time and under its name."""
    path = tmp_path / "own.pem"
    context = own_authority(path, timedelta(days=begin), timedelta(days=end))
    context.set_alpn_protocols(["h2"])
    tls = {"ca_file": str(path), "server_name_override": "localhost"}
    async with ScriptedHttp2(tls=context) as server:
        async with grpc_client(server.address, tls=tls) as c:
            if taken:
                await c.call(METHOD, b"data", SECONDS)
            else:
                error = await failure(c.call(METHOD, b"data", SECONDS))
                assert "certificate verify failed" in str(error)
        async with grpc_client(server.address, tls={**tls, "server_name_override": "other"}) as c:
            await failure(c.call(METHOD, b"data", SECONDS))
        assert len(server.messages) == taken


async def test_whom_grpc_trusts(authority: trustme.CA) -> None:
    """Names and authorities are checked unless that was switched off."""
    known = {"ca_pem": authority.cert_pem.bytes().decode()}
    cases: list[tuple[dict[str, Any], bool]] = [
        (known, True),
        ({"insecure_skip_verify": True}, True),
        ({**known, "server_name_override": "localhost"}, True),
        ({**known, "server_name_override": "elsewhere"}, False),
        ({"ca_pem": trustme.CA().cert_pem.bytes().decode()}, False),
    ]
    for tls, taken in cases:
        async with ScriptedHttp2(tls=context_of(authority)) as server, grpc_client(server.address, tls=tls) as c:
            if taken:
                await c.call(METHOD, b"data", SECONDS)
            else:
                assert (await failure(c.call(METHOD, b"data", SECONDS))).code is Code.UNAVAILABLE
            assert len(server.messages) == taken


@pytest.mark.parametrize(
    ("server_has", "limits", "taken"),
    [
        (ssl.TLSVersion.TLSv1_2, {}, True),
        (ssl.TLSVersion.TLSv1_2, {"min_version": "1.3"}, False),
        (ssl.TLSVersion.TLSv1_3, {"min_version": "1.3"}, True),
        (ssl.TLSVersion.TLSv1_3, {"max_version": "1.2"}, False),
    ],
)
async def test_versions_of_tls(
    server_has: ssl.TLSVersion, limits: dict[str, str], taken: bool, authority: trustme.CA
) -> None:
    """A server that speaks only what is not allowed gets nothing."""
    context = context_of(authority)
    context.minimum_version = context.maximum_version = server_has
    tls = {"ca_pem": authority.cert_pem.bytes().decode(), **limits}
    async with ScriptedHttp2(tls=context) as server, grpc_client(server.address, tls=tls) as c:
        if taken:
            await c.call(METHOD, b"data", SECONDS)
        else:
            await failure(c.call(METHOD, b"data", SECONDS))
        assert len(server.messages) == taken
