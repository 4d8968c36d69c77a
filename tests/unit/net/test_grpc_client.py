"""The gRPC client against real servers on loopback."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from pydantic import ValidationError

from tests.support.egress import EACH_CLIENT, egress  # noqa: F401  a fixture
from tests.support.otlp_servers import Accept, GrpcServer, Hang, Refuse
from untrace_pipeline.errors import Code, ConsumeError, OversizeError, PermanentError, RetryableError
from untrace_pipeline.net.grpc_client import GrpcClient, GrpcClientConfig
from untrace_pipeline.testing import StubHost, make_batch

pytestmark = EACH_CLIENT

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
DATA = make_batch(items=3).to_otlp()
LOGGER = logging.getLogger(__name__)
PLAIN = {"insecure": True}


class Token:
    """An extension that adds a token, a new one each time."""

    def __init__(self) -> None:
        self.calls = 0

    async def start(self, host: object) -> None: ...
    async def shutdown(self) -> None: ...

    async def headers(self) -> Mapping[str, str]:
        self.calls += 1
        return {"authorization": f"Bearer {self.calls}"}


def config(**options: Any) -> GrpcClientConfig:
    return GrpcClientConfig.model_validate(options)


@asynccontextmanager
async def client(address: str, **options: Any) -> AsyncIterator[GrpcClient]:
    extensions = options.pop("extensions", {})
    made = GrpcClient(config(endpoint=address, **{"tls": PLAIN, **options}), LOGGER)
    await made.start(StubHost(extensions))
    try:
        yield made
    finally:
        await made.close()


async def failure(call: Any) -> ConsumeError:
    with pytest.raises(ConsumeError) as raised:
        await call
    return raised.value


# ------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("endpoint", "target", "secure"),
    [
        ("localhost:4317", "localhost:4317", True),
        ("http://localhost:4317", "localhost:4317", True),
        ("https://localhost:4317", "localhost:4317", True),
        ("dns:///localhost:4317", "dns:///localhost:4317", True),
        ("unix:///run/otel.sock", "unix:///run/otel.sock", True),
        ("[::1]:4317", "[::1]:4317", True),
    ],
)
def test_endpoints_are_read_as_the_collector_does(endpoint: str, target: str, secure: bool) -> None:
    """A scheme of HTTP is cut off; TLS is on unless ``insecure`` says otherwise."""
    assert (config(endpoint=endpoint).target, config(endpoint=endpoint).secure) == (target, secure)


def test_https_overrides_insecure() -> None:
    """``https://`` means TLS whatever ``tls.insecure`` says, as in the Collector."""
    assert config(endpoint="https://a:1", tls=PLAIN).secure
    assert not config(endpoint="http://a:1", tls=PLAIN).secure


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"endpoint": "localhost"}, "host:port"),
        ({"endpoint": "::1:4317"}, "host:port"),
        ({"endpoint": "localhost:http"}, "host:port"),
        ({"endpoint": "a:1", "compression": "snappy"}, "no snappy"),
        ({"endpoint": "a:1", "balancer_name": "random"}, "round_robin"),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason(options: dict[str, Any], message: str) -> None:
    """A configuration error, not a surprise at run time."""
    with pytest.raises(ValidationError, match=message):
        config(**options)


def test_what_grpcio_lacks_is_refused_where_it_is_used(egress: str) -> None:  # noqa: F811
    """zstd, versions of TLS and unchecked certificates need the native client, and the message says so in time."""
    refused: list[tuple[dict[str, Any], str]] = [
        ({"compression": "zstd"}, "no zstd"),
        ({"tls": {"insecure_skip_verify": True}}, "insecure_skip_verify"),
        ({"tls": {"min_version": "1.3"}}, "min_version"),
    ]
    for options, message in refused:
        if egress == "native":
            config(endpoint="a:1", **options)
        else:
            with pytest.raises(ValidationError, match=message):
                config(endpoint="a:1", **options)


# ------------------------------------------------------------------ requests


async def test_bytes_go_and_come_as_they_are() -> None:
    """Nothing is decoded on the way."""
    async with GrpcServer(Accept(rejected=1, message="old")) as server, client(server.address) as c:
        answer = await c.call(METHOD, DATA)
        assert answer == Accept(rejected=1, message="old").body()
        assert server.accepted[0].batch.to_otlp() == DATA


@pytest.mark.parametrize("compression", ["gzip", "deflate", "none", ""])
async def test_compression_reaches_the_server(compression: str) -> None:
    """Whatever the library can compress with, the server reads."""
    async with GrpcServer() as server, client(server.address, compression=compression) as c:
        await c.call(METHOD, DATA)
        assert server.accepted[0].batch.to_otlp() == DATA


async def test_headers_and_credentials_are_sent() -> None:
    """Static headers in lower case, and those of the extension, asked for each call."""
    token = Token()
    auth = {"authenticator": "token"}
    headers = {"X-Tenant": "acme"}
    async with (
        GrpcServer(required={"authorization": "Bearer 2"}) as server,
        client(server.address, headers=headers, auth=auth, extensions={"token": token}) as c,
    ):
        assert (await failure(c.call(METHOD, DATA))).code is Code.UNAUTHENTICATED
        await c.call(METHOD, DATA)
        assert server.accepted[0].headers["x-tenant"] == "acme"
        assert server.accepted[0].headers["user-agent"].startswith("untrace-pipeline/")


@pytest.mark.parametrize(
    "code", [Code.CANCELLED, Code.DEADLINE_EXCEEDED, Code.ABORTED, Code.OUT_OF_RANGE, Code.UNAVAILABLE, Code.DATA_LOSS]
)
async def test_retryable_codes(code: Code) -> None:
    """Exactly those that OTLP names."""
    async with GrpcServer(Refuse(code, "later")) as server, client(server.address) as c:
        error = await failure(c.call(METHOD, DATA))
    assert isinstance(error, RetryableError)
    assert (error.code, str(error), error.retry_after) == (code, "later", None)


@pytest.mark.parametrize(
    "code",
    sorted(
        set(Code)
        - {Code.OK, Code.CANCELLED, Code.DEADLINE_EXCEEDED, Code.ABORTED, Code.OUT_OF_RANGE, Code.UNAVAILABLE}
        - {Code.DATA_LOSS, Code.RESOURCE_EXHAUSTED}
    ),
)
async def test_all_other_codes_are_permanent(code: Code) -> None:
    """Trying again would not help, and the status code is kept for the receiver."""
    async with GrpcServer(Refuse(code, "never")) as server, client(server.address) as c:
        error = await failure(c.call(METHOD, DATA))
    assert isinstance(error, PermanentError)
    assert not isinstance(error, OversizeError)
    assert error.code is code


async def test_resource_exhausted_depends_on_retry_info() -> None:
    """With RetryInfo it is back-pressure, without it the request was too large."""
    steps = [Refuse(Code.RESOURCE_EXHAUSTED, retry_after=2.5), Refuse(Code.RESOURCE_EXHAUSTED)]
    async with GrpcServer(*steps) as server, client(server.address) as c:
        busy, large = await failure(c.call(METHOD, DATA)), await failure(c.call(METHOD, DATA))
    assert isinstance(busy, RetryableError)
    assert busy.retry_after == 2.5
    assert isinstance(large, OversizeError)


async def test_retry_info_of_unavailable_is_read() -> None:
    """The server's delay comes along."""
    async with GrpcServer(Refuse(Code.UNAVAILABLE, retry_after=7)) as server, client(server.address) as c:
        error = await failure(c.call(METHOD, DATA))
    assert isinstance(error, RetryableError)
    assert error.retry_after == 7


async def test_a_server_that_hangs_runs_into_the_deadline() -> None:
    """The deadline travels with the call, and ends it."""
    async with GrpcServer(Hang()) as server, client(server.address) as c:
        error = await failure(c.call(METHOD, DATA, 0.2))
    assert isinstance(error, RetryableError)
    assert error.code is Code.DEADLINE_EXCEEDED


async def test_nobody_there_is_retryable_and_heals() -> None:
    """A destination that comes up later is found without a new client."""
    async with GrpcServer() as server:
        port = server.port
    async with client(f"127.0.0.1:{port}") as c:
        error = await failure(c.call(METHOD, DATA, 5))
        assert isinstance(error, RetryableError)
        assert error.code is Code.UNAVAILABLE
        async with GrpcServer(port=port) as server, asyncio.timeout(10):
            while True:
                try:
                    await c.call(METHOD, DATA, 5)
                    break
                except RetryableError:
                    await asyncio.sleep(0.05)
            assert server.item_count == 3


async def test_wait_for_ready_waits_for_a_connection() -> None:
    """The call is not refused while nobody listens; it ends with its deadline."""
    async with GrpcServer() as server:
        address = server.address
    async with client(address, wait_for_ready=True) as c:
        error = await failure(c.call(METHOD, DATA, 0.3))
    assert error.code is Code.DEADLINE_EXCEEDED


async def test_keepalive_and_authority_options_are_taken() -> None:
    """A channel with all options works."""
    keepalive = {"time": "10s", "timeout": "5s", "permit_without_stream": True}
    async with (
        GrpcServer() as server,
        client(server.address, keepalive=keepalive, authority="example.com", balancer_name="pick_first") as c,
    ):
        await c.call(METHOD, DATA)
        assert server.item_count == 3


async def test_close_is_safe_twice_and_without_start() -> None:
    """As the contract of components asks."""
    unused = GrpcClient(config(endpoint="localhost:1"), LOGGER)
    await unused.close()
    await unused.close()
    assert isinstance(await failure(unused.call(METHOD, DATA)), RetryableError)


async def test_unix_sockets(tmp_path: Path) -> None:
    """``unix://`` reaches a server on a socket of the file system."""
    path = tmp_path / "otlp.sock"
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Echo(),))
    server.add_insecure_port(f"unix://{path}")
    await server.start()
    async with client(f"unix://{path}") as c:
        assert await c.call(METHOD, DATA, 5) == DATA
    await server.stop(None)


class _Echo(grpc.GenericRpcHandler):
    def service(self, details: Any) -> Any:
        async def echo(data: bytes, context: Any) -> bytes:
            return data

        return grpc.unary_unary_rpc_method_handler(echo)


# ----------------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_credentials(authority: trustme.CA, *, mutual: bool = False) -> grpc.ServerCredentials:
    issued = authority.issue_cert("localhost", "127.0.0.1")
    pair = (issued.private_key_pem.bytes(), b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    roots = authority.cert_pem.bytes() if mutual else None
    return grpc.ssl_server_credentials([pair], roots, require_client_auth=mutual)


async def test_tls(authority: trustme.CA) -> None:
    """The server's certificate is checked against ``ca_pem``."""
    tls = {"ca_pem": authority.cert_pem.bytes().decode()}
    async with GrpcServer(credentials=server_credentials(authority)) as server, client(server.address, tls=tls) as c:
        await c.call(METHOD, DATA, 5)
        assert server.item_count == 3


async def test_an_unknown_authority_is_refused(authority: trustme.CA) -> None:
    """A certificate that nobody vouches for gets no data."""
    tls = {"ca_pem": trustme.CA().cert_pem.bytes().decode()}
    async with GrpcServer(credentials=server_credentials(authority)) as server, client(server.address, tls=tls) as c:
        error = await failure(c.call(METHOD, DATA, 5))
        assert isinstance(error, RetryableError)
        assert server.attempts == 0


async def test_mutual_tls(authority: trustme.CA, tmp_path: Path) -> None:
    """The client shows its certificate where the server asks for one."""
    issued = authority.issue_cert("client")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    known = {"ca_file": str(tmp_path / "ca.pem")}
    own = {"cert_file": str(tmp_path / "cert.pem"), "key_file": str(tmp_path / "key.pem")}
    async with GrpcServer(credentials=server_credentials(authority, mutual=True)) as server:
        async with client(server.address, tls={**known, **own}) as c:
            await c.call(METHOD, DATA, 5)
        async with client(server.address, tls=known) as c:
            assert isinstance(await failure(c.call(METHOD, DATA, 5)), RetryableError)
        assert server.attempts == 1


async def test_tls_to_a_plain_port_says_so(authority: trustme.CA) -> None:
    """The commonest mistake gets a message that tells what to change."""
    tls = {"ca_pem": authority.cert_pem.bytes().decode()}
    async with GrpcServer() as server, client(server.address, tls=tls) as c:
        error = await failure(c.call(METHOD, DATA, 5))
    assert "does not speak TLS" in str(error)
    assert "tls.insecure" in str(error)


async def test_changed_certificates_make_a_new_connection(authority: trustme.CA, tmp_path: Path) -> None:
    """With ``reload_interval``, a rotated authority is picked up while running."""
    path = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(path)
    tls = {"ca_file": str(path), "reload_interval": "1ns"}
    async with GrpcServer(credentials=server_credentials(authority)) as server, client(server.address, tls=tls) as c:
        await failure(c.call(METHOD, DATA, 5))
        path.write_bytes(authority.cert_pem.bytes() + b"\n")
        async with asyncio.timeout(10):
            while not server.accepted:
                try:
                    await c.call(METHOD, DATA, 5)
                except RetryableError:
                    await asyncio.sleep(0.05)


async def test_broken_certificate_files_leave_the_old_ones_in_force(
    authority: trustme.CA, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A rotation that goes wrong costs a warning, not data."""
    issued = authority.issue_cert("client")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    files = {"cert_file": str(tmp_path / "cert.pem"), "key_file": str(tmp_path / "key.pem")}
    tls = {"ca_pem": authority.cert_pem.bytes().decode(), "reload_interval": "1ns", **files}
    async with GrpcServer(credentials=server_credentials(authority, mutual=True)) as server:
        async with client(server.address, tls=tls) as c:
            await c.call(METHOD, DATA, 5)
            (tmp_path / "key.pem").unlink()
            await c.call(METHOD, DATA, 5)
        assert server.attempts == 2
    assert "the old ones stay" in caplog.text
