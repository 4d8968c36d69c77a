"""What goes through the proxy is what was sent, in both directions; and one span tells of it."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import trustme

from tests.support.llm_requests import APIS
from tests.support.llm_upstream import LlmUpstream
from tests.support.proxying import Answer, ask, proxying, read_answer
from untrace_pipeline.data import Field, Item, Level
from untrace_plugins.genai import names

CHAT = "/v1/chat/completions"
HELLO = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}
OURS = {"x-untrace-overhead-ms", "transfer-encoding", "connection"}
"""Our own, and what belongs to one connection."""

ODD = (
    ["gzip", "zstd", "deflate", "pieces_7", "crlf", "no_length", "html", "invalid_json", "big_header", "empty"]
    + [f"status_{status}" for status in (400, 401, 429, 529)]
)  # fmt: skip
GEMINI = "/v1beta/models/gemini-2.5-flash:generateContent"


@pytest.fixture
def upstream() -> Iterator[LlmUpstream]:
    with LlmUpstream() as running:
        yield running


def same(through: Answer, direct: Answer) -> bool:
    """Whether a client can tell the difference, besides our own header."""

    def seen(answer: Answer) -> tuple[object, ...]:
        headers = [pair for pair in answer.headers if pair[0].lower() not in OURS]
        return answer.status, answer.reason, headers, answer.body, answer.complete

    return seen(through) == seen(direct)


def told(span: Item, name: str) -> Any:
    return span.get(Field(Level.ITEM, name))


@pytest.mark.parametrize(("options", "connections"), [({}, 1), ({"idle_conn_timeout": "0s"}, 2)])
async def test_connections_are_kept_for_the_next_call(
    upstream: LlmUpstream, options: dict[str, Any], connections: int
) -> None:
    """Unless ``idle_conn_timeout`` is 0."""
    async with proxying(upstreams={"openai": {"base_url": upstream.url, **options}}) as proxy:
        assert [(await proxy.ask(CHAT, HELLO)).status for _ in range(2)] == [200, 200]
    assert upstream.connections == connections


async def test_half_a_request_does_not_hold_a_connection(upstream: LlmUpstream) -> None:
    """After ``read_header_timeout`` its place among ``max_connections`` is another's."""
    async with proxying(upstream, max_connections=1, read_header_timeout="100ms") as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n")
        async with asyncio.timeout(10):
            assert (await read_answer(reader)).status == 408
            assert await reader.read() == b""
            writer.close()
            while (answer := await proxy.ask(CHAT, HELLO)).status == 503:
                await asyncio.sleep(0.005)  # until it has seen our end
        assert answer.status == 200


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("api", APIS)
async def test_every_api_is_passed_through(
    upstream: LlmUpstream, api: Callable[..., tuple[str, Any]], stream: bool
) -> None:
    """The answer is that of a direct call, byte for byte, and the provider sees the same request."""
    path, body = api("Hello", **({"stream": True} if stream else {}))
    direct = await ask(upstream.port, path, body)
    expected = upstream.last
    async with proxying(upstream) as proxy:
        through = await proxy.ask(path, body)
        (span,) = await proxy.spans(1)
    assert same(through, direct)
    seen = upstream.last
    assert (seen.method, seen.target, seen.body) == (expected.method, expected.target, expected.body)
    assert told(span, "name")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"),
        ("GET", "/v1/models/gpt-4o-mini?x=%2F&y"),
        ("DELETE", "/v1/responses/resp_1"),
        ("POST", "/v1/files"),
        ("HEAD", "/v1/models"),
        ("OPTIONS", "/v1/models"),
    ],
)
async def test_every_other_path_is_passed_through(upstream: LlmUpstream, method: str, path: str) -> None:
    """Whatever the method, the path and the query."""
    body = b"\x00\xff" if method == "POST" else None
    direct = await ask(upstream.port, path, body, method=method)
    async with proxying(upstream) as proxy:
        assert same(await proxy.ask(path, body, method=method), direct)
        assert (upstream.last.method, upstream.last.target) == (method, path)
        assert len(await proxy.spans(1)) == 1


@pytest.mark.parametrize("fault", ODD)
@pytest.mark.parametrize("stream", [False, True])
async def test_odd_answers_are_passed_through(upstream: LlmUpstream, fault: str, stream: bool) -> None:
    """Compressed, in pieces, no JSON, errors: nothing is changed, and there is a span."""
    headers = {"x-upstream-fault": fault}
    direct = await ask(upstream.port, CHAT, {**HELLO, "stream": stream}, headers=headers)
    async with proxying(upstream) as proxy:
        assert same(await proxy.ask(CHAT, {**HELLO, "stream": stream}, headers=headers), direct)
        (span,) = await proxy.spans(1)
    attributes = span.attributes
    assert attributes[names.HTTP_STATUS] == direct.status
    assert (attributes.get("error.type") is not None) == (direct.status >= 400 or fault == "html")


async def test_compressed_request_is_not_touched(upstream: LlmUpstream) -> None:
    """The body goes on with its Content-Encoding."""
    body = gzip.compress(b'{"model": "gpt-4o-mini"}')
    async with proxying(upstream) as proxy:
        await proxy.ask(CHAT, body, headers={"Content-Encoding": "gzip"})
    assert upstream.last.body == body
    assert upstream.last.header("content-encoding") == "gzip"


async def test_headers_of_the_connection_and_for_us_stay_here(upstream: LlmUpstream) -> None:
    """Hop-by-hop headers, those that Connection names, and control headers do not reach the provider; others do."""
    stay = {
        "Connection": "keep-alive, X-Hop",
        "X-Hop": "1",
        "Keep-Alive": "1",
        "TE": "trailers",
        "Proxy-Authorization": "Basic x",
        "X-Untrace-Key": "ut_1",
        "X-Untrace-Session": "s-1",
        "X-Untrace-Anything": "1",
        "Helicone-Auth": "Bearer x",
    }
    go = {"Authorization": "Bearer sk-1", "OpenAI-Beta": "a=b", "X-Custom": "spaced  out", "User-Agent": "me"}
    async with proxying(upstream) as proxy:
        await proxy.ask(CHAT, HELLO, headers={**stay, **go})
    seen = {name.lower(): value for name, value in upstream.last.headers}
    assert not {name.lower() for name in stay} & seen.keys()
    assert {name.lower(): value for name, value in go.items()}.items() <= seen.items()
    assert seen["host"] == f"127.0.0.1:{upstream.port}"


async def test_control_headers_become_attributes(upstream: LlmUpstream) -> None:
    """Session, user, tags and metadata are on the span."""
    headers = {
        "X-Untrace-Session-Id": "s-1",
        "X-Untrace-User": "Käthe",
        "X-Untrace-Tags": "a, b",
        "X-Untrace-Metadata": '{"team": "x", "n": 3, "deep": {"a": 1}}',
        "Helicone-Property-App": "shop",
    }
    headers = {name: value.encode().decode("latin-1") for name, value in headers.items()}
    async with proxying(upstream) as proxy:
        await proxy.ask(CHAT, HELLO, headers=headers)
        (span,) = await proxy.spans(1)
    attributes: Mapping[str, Any] = span.attributes
    assert attributes[names.SESSION_ID] == "s-1"
    assert attributes[names.USER_ID] == "Käthe"
    assert attributes[names.TAGS] == ["a", "b"]
    assert json.loads(attributes[names.METADATA]) == {"app": "shop", "team": "x", "n": 3, "deep": '{"a":1}'}


async def test_trace_of_the_caller_goes_on(upstream: LlmUpstream) -> None:
    """Our span is a child of the caller's, and the provider is told of ours."""
    headers = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "a=1,b=2"}
    async with proxying(upstream) as proxy:
        await proxy.ask(CHAT, HELLO, headers=headers)
        (span,) = await proxy.spans(1)
    assert told(span, "trace_id") == bytes.fromhex("0af7651916cd43dd8448eb211c80319c")
    assert told(span, "parent_span_id") == bytes.fromhex("b7ad6b7169203331")
    assert (
        upstream.last.header("traceparent") == f"00-0af7651916cd43dd8448eb211c80319c-{told(span, 'span_id').hex()}-01"
    )
    assert upstream.last.header("tracestate") == "a=1,b=2"


async def test_trace_headers_can_be_left_alone(upstream: LlmUpstream) -> None:
    """Without ``propagate_trace`` the provider sees what the caller sent."""
    headers = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"}
    async with proxying(upstream, propagate_trace=False) as proxy:
        await proxy.ask(CHAT, HELLO, headers=headers)
        assert upstream.last.header("traceparent") == headers["traceparent"]
        await proxy.ask(CHAT, HELLO)
        assert upstream.last.header("traceparent") is None


@pytest.mark.parametrize("capture", ["full", "metadata", "none"])
async def test_capture_modes(upstream: LlmUpstream, capture: str) -> None:
    """Contents are on the span with ``full`` only, the model also with ``metadata``."""
    async with proxying(upstream, capture=capture) as proxy:
        await proxy.ask(CHAT, HELLO)
        (span,) = await proxy.spans(1)
    attributes = span.attributes
    assert (names.INPUT_MESSAGES in attributes) == (capture == "full")
    assert (names.REQUEST_MODEL in attributes) == (capture != "none")
    assert attributes[names.HTTP_STATUS] == 200


async def test_large_answer_is_kept_in_part(upstream: LlmUpstream) -> None:
    """The client gets all of it, the span says that it was cut."""
    headers = {"x-upstream-fault": "huge_3"}
    direct = await ask(upstream.port, CHAT, HELLO, headers=headers)
    async with proxying(upstream, max_capture_bytes="64KiB") as proxy:
        assert same(await proxy.ask(CHAT, HELLO, headers=headers), direct)
        (span,) = await proxy.spans(1)
    assert span.attributes[names.CAPTURE_TRUNCATED] is True


async def test_overhead_is_told(upstream: LlmUpstream) -> None:
    """In a header, and in the histogram."""
    async with proxying(upstream) as proxy:
        answer = await proxy.ask(CHAT, HELLO, headers={"x-upstream-fault": "slow_30"})
        await proxy.spans(1)
        (seconds,) = proxy.running.meter.recorded("llm_proxy_overhead_seconds")
        assert proxy.count("llm_proxy_in_flight") == 0
        assert proxy.count("llm_proxy_calls", upstream="openai", outcome="success") == 1
    assert float(answer.header("x-untrace-overhead-ms") or -1) == pytest.approx(seconds * 1000, abs=0.001)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/v1/proxy/openai/chat/completions", "/v1/chat/completions"),
        ("/v1/proxy/openai/v1/chat/completions?a=1", "/v1/chat/completions?a=1"),
        ("/v1/proxy/anthropic/v1/messages", "/v1/messages"),
        ("/passthrough/openai/any/thing", "/any/thing"),
        (f"/passthrough/gemini{GEMINI}", GEMINI),
    ],
)
async def test_upstream_in_the_path(upstream: LlmUpstream, path: str, target: str) -> None:
    """``/v1/proxy/<upstream>/`` and ``/passthrough/<upstream>/`` name whom to ask."""
    async with proxying(upstream) as proxy:
        await proxy.ask(path, HELLO)
        await proxy.spans(1)
    assert upstream.last.target == target


async def test_upstream_with_a_slash_in_its_name(upstream: LlmUpstream) -> None:
    """The longest name wins, whichever way its slash is written."""
    upstreams = {"openai": {"base_url": "http://127.0.0.1:1"}, "openai/backup": {"base_url": f"{upstream.url}/deep/"}}
    async with proxying(upstreams=upstreams) as proxy:
        for name in ("openai/backup", "openai%2Fbackup"):
            await proxy.ask(f"/passthrough/{name}/v1/x", HELLO)
            assert upstream.last.target == "/deep/v1/x"


async def test_nothing_but_upstreams_is_reached(upstream: LlmUpstream) -> None:
    """A whole URL, or a host in a header, does not lead anywhere else."""
    async with proxying(upstream) as proxy:
        await proxy.ask("http://169.254.169.254/v1/models", headers={"Host": "169.254.169.254"})
        assert upstream.last.target == "/v1/models"
        answer = await proxy.ask("/passthrough/169.254.169.254/latest", headers={"Host": "169.254.169.254"})
    assert answer.status == 404
    assert answer.json["error"]["code"] == "no_upstream"


@pytest.mark.parametrize("up", ["..", "%2e%2E", ".%2e", "a%2f..%2f", "a%5C..", "..;"])
async def test_nothing_above_the_upstreams_path_is_reached(upstream: LlmUpstream, up: str) -> None:
    """The key that the daemon adds is for what stands below ``base_url`` only."""
    upstreams = {"openai": {"base_url": f"{upstream.url}/team", "api_key": "ours"}}
    async with proxying(upstreams=upstreams) as proxy:
        answer = await proxy.ask(f"/passthrough/openai/{up}/other/v1/models")
        assert answer.status == 400
        assert answer.json["error"]["code"] == "invalid_path"
        assert (await proxy.ask("/passthrough/openai/v1/models/a..b")).status != 400


async def test_tls_to_the_upstream() -> None:
    """The provider is called over TLS, and only if its certificate is good."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    tls = {"ca_pem": authority.cert_pem.bytes().decode()}
    with LlmUpstream(tls=context) as upstream:
        async with proxying(upstreams={"openai": {"base_url": upstream.url, "tls": tls}}) as proxy:
            for _ in range(2):
                assert (await proxy.ask(CHAT, HELLO)).status == 200
        assert upstream.connections == 1
        async with proxying(upstream) as proxy:
            answer = await proxy.ask(CHAT, HELLO)
            assert proxy.count("llm_proxy_calls", upstream="openai", outcome="connect_error") == 1
    assert answer.status == 502
    assert "certificate verify failed" in answer.json["error"]["message"].lower().replace("_", " ")


async def test_request_in_chunks(upstream: LlmUpstream) -> None:
    """The provider gets the whole body with its length, however it came."""
    async with proxying(upstream) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
        writer.write(head.encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        body = json.dumps(HELLO).encode()
        for piece in (body[:10], body[10:]):
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        writer.write(b"0\r\n\r\n")
        assert (await read_answer(reader)).status == 200
        writer.close()
    assert upstream.last.body == body
    seen = {name.lower(): value for name, value in upstream.last.headers}
    assert seen["content-length"] == str(len(body))
    assert not {"transfer-encoding", "expect"} & seen.keys()


@pytest.mark.parametrize(("method", "status"), [("TRACE", 405), ("CONNECT", 404)])
async def test_methods_that_lead_astray(upstream: LlmUpstream, method: str, status: int) -> None:
    """One would show the key that the daemon adds, the other would lead anywhere."""
    async with proxying(upstream) as proxy:
        target = "example.com:443" if method == "CONNECT" else "/v1/models"
        assert (await proxy.ask(target, method=method)).status == status
    assert not upstream.requests


async def test_page_may_ask_first(upstream: LlmUpstream) -> None:
    """With ``cors`` the daemon answers preflight requests, whatever the path."""
    headers = {"Origin": "https://a.example.com", "Access-Control-Request-Method": "POST"}
    async with proxying(upstream, cors={"allowed_origins": ["https://*.example.com"]}) as proxy:
        answer = await proxy.ask(CHAT, method="OPTIONS", headers=headers)
        assert answer.header("access-control-allow-methods") == "POST"
        assert not upstream.requests
        answer = await proxy.ask(CHAT, HELLO, headers={"Origin": "https://a.example.com"})
    assert answer.header("access-control-allow-origin") == "https://a.example.com"
