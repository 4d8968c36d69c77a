"""The HTTP client against real servers on loopback."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import ValidationError

from tests.support.egress import EACH_CLIENT, egress  # noqa: F401  a fixture
from tests.support.otlp_servers import Accept, Hang, HttpServer, Refuse, Reply, Reset
from tests.support.peers import free_port
from untrace_pipeline.errors import Code, ConsumeError, OversizeError, PermanentError, RetryableError
from untrace_pipeline.net.http_answer import Answer
from untrace_pipeline.net.http_client import HttpClient, HttpClientConfig, environment_proxy, host_of
from untrace_pipeline.testing import StubHost, make_batch

pytestmark = EACH_CLIENT

DATA = make_batch(items=3).to_otlp()
LARGE = make_batch(items=100).to_otlp()
LOGGER = logging.getLogger(__name__)
PROTOBUF = "application/x-protobuf"


class Token:
    """An extension that adds a token."""

    async def start(self, host: object) -> None: ...
    async def shutdown(self) -> None: ...

    async def headers(self) -> Mapping[str, str]:
        return {"authorization": "Bearer secret"}


@asynccontextmanager
async def client(**options: Any) -> AsyncIterator[HttpClient]:
    extensions = options.pop("extensions", {})
    made = HttpClient(HttpClientConfig.model_validate(options), LOGGER)
    await made.start(StubHost(extensions))
    try:
        yield made
    finally:
        await made.close()


async def post(server: HttpServer, data: bytes = DATA, **options: Any) -> Answer:
    async with client(**options) as c:
        return await c.post(f"{server.url}/v1/traces", data, PROTOBUF)


async def failure(call: Any) -> ConsumeError:
    with pytest.raises(ConsumeError) as raised:
        await call
    return raised.value


# ------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"endpoint": "localhost:4318"}, 'a URL, such as "https://example.com"'),
        ({"endpoint": "ftp://a"}, "a URL"),
        ({"endpoint": "http://[broken"}, "a URL"),
        ({"endpoint": "http://a:99999"}, "a URL"),
        ({"compression": "snappy"}, "snappy is not supported"),
        ({"compression": "gzip", "compression_params": {"level": 10}}, "above 9"),
        ({"compression_params": {"level": 3}}, "without compression"),
        ({"cookies": {}}, "cookies"),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason(options: dict[str, Any], message: str) -> None:
    """A configuration error, not a surprise at run time."""
    with pytest.raises(ValidationError, match=message):
        HttpClientConfig.model_validate(options)


def test_destinations_carry_no_credentials() -> None:
    """What goes into labels and logs is host and port alone."""
    assert host_of("https://user:secret@example.com/v1/traces?key=1") == "example.com:443"
    assert host_of("http://[::1]:4318/x") == "[::1]:4318"


# ------------------------------------------------------------------ requests


@pytest.mark.parametrize("data", [DATA, LARGE], ids=["inline", "in a thread"])
@pytest.mark.parametrize("compression", ["gzip", "zstd", "deflate", "none"])
async def test_compression_reaches_the_server(compression: str, data: bytes) -> None:
    """The server finds the bytes that were posted, under the encoding that the header names."""
    async with HttpServer() as server:
        answer = await post(server, data, compression=compression)
        assert (answer.status, answer.content_type, answer.body) == (200, PROTOBUF, b"")
        assert server.accepted[0].batch.to_otlp() == data
        encoding = server.accepted[0].headers.get("content-encoding")
        assert encoding == (None if compression == "none" else compression)


async def test_connections_are_kept() -> None:
    """Many requests, one connection; with disable_keep_alives each has its own."""
    for options, expected in (({}, "keep"), ({"disable_keep_alives": True}, "close")):
        async with HttpServer() as server, client(**options) as c:
            for _ in range(3):
                await c.post(f"{server.url}/v1/traces", DATA, PROTOBUF)
            connection = server.accepted[-1].headers.get("connection", "keep-alive")
            assert connection.startswith(expected)


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"Authorization": "Bearer secret"}},
        {"auth": {"authenticator": "token"}, "extensions": {"token": Token()}},
    ],
)
async def test_credentials_of_a_header_win_over_those_of_the_url(options: dict[str, Any]) -> None:
    """Both at once is no error that loses data."""
    async with HttpServer() as server, client(**options) as c:
        await c.post(f"{server.url.replace('://', '://ann:pass@')}/v1/traces", DATA, PROTOBUF)
        assert server.accepted[0].headers["authorization"] == "Bearer secret"


async def test_headers_and_credentials_are_sent() -> None:
    """Static headers win over our own; those of the extension are asked for each request."""
    options = {"headers": {"X-Tenant": "acme", "User-Agent": "mine"}, "auth": {"authenticator": "token"}}
    async with HttpServer(required={"authorization": "Bearer secret"}) as server:
        assert (await failure(post(server))).code is Code.UNAUTHENTICATED
        await post(server, **options, extensions={"token": Token()})
        headers = server.accepted[0].headers
        assert (headers["x-tenant"], headers["user-agent"]) == ("acme", "mine")


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_retryable_statuses(status: int) -> None:
    """Exactly those that OTLP names."""
    async with HttpServer(Reply(status, b"busy", "text/plain")) as server:
        error = await failure(post(server))
    assert isinstance(error, RetryableError)
    assert str(error) == f"HTTP {status}: busy"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 408, 415, 500, 501, 505])
async def test_all_other_statuses_are_permanent(status: int) -> None:
    """Trying again would not help."""
    async with HttpServer(Reply(status)) as server:
        error = await failure(post(server))
    assert isinstance(error, PermanentError)
    assert not isinstance(error, OversizeError)


async def test_413_asks_for_smaller_requests() -> None:
    """Halves may be accepted."""
    async with HttpServer(max_bytes=10) as server:
        assert isinstance(await failure(post(server)), OversizeError)


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_in_seconds(status: int) -> None:
    """The delay that the destination asks for comes along."""
    async with HttpServer(Reply(status, headers={"Retry-After": "12"})) as server:
        error = await failure(post(server))
    assert isinstance(error, RetryableError)
    assert error.retry_after == 12


async def test_retry_after_as_a_date() -> None:
    """An HTTP date is read as well; one in the past means at once, garbage means nothing."""
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    steps = [Reply(503, headers={"Retry-After": value}) for value in (soon, "Thu, 01 Jan 1970 00:00:00 GMT", "soon")]
    async with HttpServer(*steps) as server:
        errors = [await failure(post(server)) for _ in range(3)]
    delays = [error.retry_after for error in errors if isinstance(error, RetryableError)]
    assert delays[0] is not None
    assert 50 < delays[0] <= 60
    assert delays[1:] == [0, None]


async def test_retry_after_is_read_with_429_and_503_only() -> None:
    """As OTLP/HTTP says about throttling."""
    async with HttpServer(Reply(502, headers={"Retry-After": "12"})) as server:
        error = await failure(post(server))
    assert isinstance(error, RetryableError)
    assert error.retry_after is None


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(400, Refuse(message="bad\nspan").status().SerializeToString()), "HTTP 400: bad span"),
        (Reply(400, b'{"code":3,"message":"bad span"}', "application/json"), "HTTP 400: bad span"),
        (Reply(400, b"[1]", "application/json"), "HTTP 400: [1]"),
        (Reply(404, b"<html>not here</html>", "text/html"), "HTTP 404"),
        (Reply(400, b"\xff\xff", "application/x-protobuf"), "HTTP 400"),
        (Reply(302, headers={"Location": "http://elsewhere/"}), "HTTP 302: redirects to http://elsewhere/ are not"),
    ],
)
async def test_refusals_say_why(reply: Reply, message: str) -> None:
    """The body's message is read in each form, cleaned and cut; redirects are not followed."""
    async with HttpServer(reply) as server:
        assert str(await failure(post(server))).startswith(message)
        assert server.attempts == 1


async def test_a_huge_answer_is_not_read_to_its_end() -> None:
    """OTLP's limit of 4 MiB bounds memory, whatever the destination sends."""
    async with HttpServer(Reply(200, b"x" * (6 << 20), "text/plain")) as server:
        assert len((await post(server)).body) == 4 << 20


# ------------------------------------------------------------------- failures


async def test_nobody_there_is_retryable() -> None:
    """Connection refused is no reason to give up."""
    async with HttpServer() as server:
        pass
    error = await failure(post(server))
    assert isinstance(error, RetryableError)
    assert error.code is Code.UNAVAILABLE
    assert str(error) == f"cannot connect to {host_of(server.url)}: Connection refused"


async def test_a_kept_connection_that_is_cut_is_tried_once_more_at_once() -> None:
    """A kept connection may have been closed while idle; a second cut is reported."""
    async with HttpServer(Accept(), Reset(), Accept()) as server, client() as c:
        await c.post(f"{server.url}/v1/traces", DATA, PROTOBUF)
        await c.post(f"{server.url}/v1/traces", DATA, PROTOBUF)
        assert server.attempts == 3
    async with HttpServer(Accept(), Reset(), Reset()) as server, client() as c:
        await c.post(f"{server.url}/v1/traces", DATA, PROTOBUF)
        assert isinstance(await failure(c.post(f"{server.url}/v1/traces", DATA, PROTOBUF)), RetryableError)


async def test_a_new_connection_that_is_cut_is_an_attempt(egress: str) -> None:  # noqa: F811
    """The native client knows a new connection from a kept one, and leaves it to the delivery to try again."""
    async with HttpServer(Reset(), Accept()) as server:
        if egress == "native":
            assert isinstance(await failure(post(server)), RetryableError)
        else:
            await post(server)
        assert server.attempts == (1 if egress == "native" else 2)


async def test_a_server_that_hangs_can_be_left() -> None:
    """The caller's timeout ends the request, and the connection is not used again."""
    async with HttpServer(Hang()) as server, client() as c:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await c.post(f"{server.url}/v1/traces", DATA, PROTOBUF)
        await c.post(f"{server.url}/v1/traces", DATA, PROTOBUF)
        assert server.item_count == 3


async def test_close_is_safe_twice_and_without_start() -> None:
    """As the contract of components asks."""
    unused = HttpClient(HttpClientConfig(), LOGGER)
    await unused.close()
    await unused.close()
    assert isinstance(await failure(unused.post("http://127.0.0.1:1", DATA, PROTOBUF)), RetryableError)


# ----------------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_context(authority: trustme.CA, *, mutual: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    if mutual:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def trusting(authority: trustme.CA, **more: Any) -> dict[str, Any]:
    return {"endpoint": "https://unused", "tls": {"ca_pem": authority.cert_pem.bytes().decode(), **more}}


async def test_tls(authority: trustme.CA) -> None:
    """The server's certificate is checked; one that nobody vouches for gets no data."""
    async with HttpServer(ssl_context=server_context(authority)) as server:
        await post(server, **trusting(authority))
        error = await failure(post(server, **trusting(trustme.CA())))
        assert isinstance(error, RetryableError)
        assert "certificate verify failed" in str(error).lower().replace("_", " ")
        assert server.attempts == 1


async def test_verification_can_be_skipped_or_renamed(authority: trustme.CA) -> None:
    """insecure_skip_verify takes any certificate, server_name_override expects another name."""
    async with HttpServer(ssl_context=server_context(authority)) as server:
        await post(server, endpoint="https://unused", tls={"insecure_skip_verify": True})
        await post(server, **trusting(authority, server_name_override="localhost"))
        assert isinstance(await failure(post(server, **trusting(authority, server_name_override="x"))), RetryableError)


async def test_mutual_tls(authority: trustme.CA, tmp_path: Path) -> None:
    """The client shows its certificate where the server asks for one."""
    issued = authority.issue_cert("client")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    own = {"cert_file": str(tmp_path / "cert.pem"), "key_file": str(tmp_path / "key.pem")}
    async with HttpServer(ssl_context=server_context(authority, mutual=True)) as server:
        await post(server, **trusting(authority, **own))
        assert isinstance(await failure(post(server, **trusting(authority))), RetryableError)
        assert server.attempts == 1


async def test_rotated_certificates_are_picked_up(
    authority: trustme.CA, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A new authority is used as soon as it is there; a broken file costs a warning and leaves the old one."""
    path = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(path)
    tls = {"ca_file": str(path), "reload_interval": "1ns"}
    async with (
        HttpServer(ssl_context=server_context(authority)) as server,
        client(endpoint="https://unused", tls=tls) as c,
    ):
        url = f"{server.url}/v1/traces"
        await failure(c.post(url, DATA, PROTOBUF))
        path.write_bytes(authority.cert_pem.bytes() + b"\n")
        await c.post(url, DATA, PROTOBUF)
        path.write_text("no certificate")
        await c.post(url, DATA, PROTOBUF)
        assert server.attempts == 2
    assert "the old ones stay" in caplog.text


async def test_the_environment_may_name_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY and NO_PROXY mean what they mean to other clients; ``~/.netrc`` is not read."""
    async with HttpServer() as proxy, HttpServer() as near, client() as c:
        environment_proxy.cache_clear()
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        await c.post("http://far.invalid/v1/traces", DATA, PROTOBUF)
        await c.post(f"{near.url}/v1/traces", DATA, PROTOBUF)
        assert (proxy.attempts, near.attempts) == (1, 1)


async def test_a_proxy_is_used() -> None:
    """proxy_url sends requests to the proxy, which sees the whole URL."""
    async with HttpServer() as proxy, client(proxy_url=proxy.url) as c:
        await c.post("http://backend.invalid/v1/traces", DATA, PROTOBUF)
        assert proxy.accepted[0].headers["host"] == "backend.invalid"


# ----------------------------------------------------------------- any request


@asynccontextmanager
async def echo() -> AsyncIterator[str]:
    """Serve a page that says what was asked for; ``/gone`` has no good answer."""

    async def answer(request: web.Request) -> web.Response:
        said = {"method": request.method, "path": request.raw_path, "body": (await request.read()).decode()}
        status = 412 if request.path == "/gone" else 200
        return web.json_response(
            said | {"token": request.headers.get("authorization", "")}, status=status, headers={"ETag": '"1"'}
        )

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("")).removesuffix("/")


async def test_any_request() -> None:
    """Method, path and body arrive as they were given, and the answer comes with its headers."""
    async with echo() as url, client(auth={"authenticator": "t"}, extensions={"t": Token()}) as c:
        answer = await c.request("PUT", f"{url}/a%3Db%2Fc?x=%2F", b"body")
        assert orjson.loads(answer.body) == {
            "method": "PUT", "path": "/a%3Db%2Fc?x=%2F", "body": "body", "token": "Bearer secret"
        }  # fmt: skip
        assert answer.headers["etag"] == '"1"'
        assert (await c.request("DELETE", f"{url}/gone")).status == 412


async def test_no_answer_to_any_request() -> None:
    """Without an answer the request may be tried again; a closed client says so."""
    async with client() as c:
        error = await failure(c.request("PUT", f"http://127.0.0.1:{free_port()}/", b""))
        assert isinstance(error, RetryableError)
        assert "cannot connect" in str(error)
    assert "closed" in str(await failure(c.request("PUT", "http://127.0.0.1:1/", b"")))
