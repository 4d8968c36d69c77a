"""The pure parts: paths, headers, trace context, the copy of a body, the option that asks for usage."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrace_pipeline.net.http_message import Request
from untrace_pipeline.net.http_origin_connection import AnswerHead
from untrace_plugins.genai.providers.exchange import Api
from untrace_plugins.receivers.llm_proxy.headers import attribution, response_lines, secrets
from untrace_plugins.receivers.llm_proxy.paths import Named, api_of, azure_path, kind_of, named_upstream, openai_path
from untrace_plugins.receivers.llm_proxy.refusals import ProxyError, render
from untrace_plugins.receivers.llm_proxy.retrying import delay_before
from untrace_plugins.receivers.llm_proxy.stream_ends import has_ended
from untrace_plugins.receivers.llm_proxy.tee import Tee, whole
from untrace_plugins.receivers.llm_proxy.trace_context import trace_of, traceparent
from untrace_plugins.receivers.llm_proxy.upstream import Upstream
from untrace_plugins.receivers.llm_proxy.upstream_call import UpstreamCall
from untrace_plugins.receivers.llm_proxy.upstream_config import UpstreamConfig, UpstreamKind
from untrace_plugins.receivers.llm_proxy.usage_option import UsageStripper, with_usage

GEMINI = "/v1beta/models/gemini-2.5-flash"


@pytest.mark.parametrize(
    ("path", "api", "kind"),
    [
        ("/v1/chat/completions", Api.OPENAI_CHAT, "openai"),
        ("/v1/completions", Api.OPENAI_COMPLETIONS, "openai"),
        ("/v1/responses", Api.OPENAI_RESPONSES, "openai"),
        ("/v1/embeddings", Api.OPENAI_EMBEDDINGS, "openai"),
        ("/v1/models", Api.OTHER, None),
        ("/openai/deployments/d/chat/completions", Api.OPENAI_CHAT, "azure_openai"),
        ("/openai/v1/responses", Api.OPENAI_RESPONSES, "azure_openai"),
        ("/v1/messages", Api.ANTHROPIC_MESSAGES, "anthropic"),
        ("/v1/messages/count_tokens", Api.OTHER, "anthropic"),
        ("/v2/chat", Api.COHERE_CHAT, "cohere"),
        ("/v2/embed", Api.COHERE_EMBED, "cohere"),
        ("/v2/rerank", Api.OTHER, "cohere"),
        (f"{GEMINI}:generateContent", Api.GEMINI_GENERATE_CONTENT, "gemini"),
        (f"{GEMINI}:streamGenerateContent", Api.GEMINI_GENERATE_CONTENT, "gemini"),
        (f"{GEMINI}:embedContent", Api.GEMINI_EMBED_CONTENT, "gemini"),
        (f"{GEMINI}:batchEmbedContents", Api.GEMINI_EMBED_CONTENT, "gemini"),
        (f"{GEMINI}:countTokens", Api.OTHER, "gemini"),
        ("/v1/projects/p/publishers/google/models/m:generateContent", Api.GEMINI_GENERATE_CONTENT, "gemini"),
        ("/groq/openai/v1/chat/completions", Api.OPENAI_CHAT, "openai"),
        ("/", Api.OTHER, None),
    ],
)  # fmt: skip
def test_what_a_path_says(path: str, api: Api, kind: str | None) -> None:
    """How its bodies are read, and whose API it is; only POST has bodies to read."""
    assert (api_of("POST", path), kind_of(path)) == (api, kind)
    assert api_of("GET", path) is Api.OTHER


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/v1/proxy/openai/chat", Named("openai", "/chat", False)),
        ("/v1/proxy/openai", Named("openai", "/", False)),
        ("/passthrough/openai/backup/a%2Fb", Named("openai/backup", "/a%2Fb", True)),
        ("/passthrough/openai%2Fbackup/a", Named("openai/backup", "/a", True)),
        ("/passthrough/openaiish/a", Named("openaiish", "/a", True)),
        ("/passthrough/openai%2Fother/a", Named("openai/other", "/a", True)),
        ("/passthrough/openai%2F%2F/a", Named("openai//", "/a", True)),
        ("/v1/proxies/openai/a", None),
    ],
)
def test_upstream_in_a_path(path: str, named: Named | None) -> None:
    """The longest name; an unknown one as it stands; the rest as it was written."""
    assert named_upstream(path, ["openai", "openai/backup"]) == named


@pytest.mark.parametrize(
    ("azure", "openai", "deployment"),
    [
        ("/openai/deployments/d/chat/completions", "/v1/chat/completions", "d"),
        ("/openai/deployments/d/audio/speech", "/v1/audio/speech", "d"),
        ("/openai/v1/responses", "/v1/responses", "d"),
        ("/openai/v1/files/f", "/v1/files/f", "d"),
        ("/openai/v1/embeddings", "/v1/embeddings", ""),
    ],
)
def test_azure_and_openai(azure: str, openai: str, deployment: str) -> None:
    """Paths of one become paths of the other."""
    assert openai_path(azure) == openai
    assert azure_path(openai, deployment)[0] == azure


def test_base_with_v1() -> None:
    """A base_url that ends in /v1 all the same does not double it."""
    config = UpstreamConfig(base_url="https://gateway.example.com/llm/v1/")
    upstream = Upstream("openai", config, logging.getLogger(), lambda _: None)
    assert upstream.target(UpstreamKind.OPENAI, "/v1/models", str) == ("/llm/v1/models", "")


@pytest.mark.parametrize(
    ("name", "url", "kind", "provider"),
    [
        ("openai", "https://api.openai.com", "openai", "openai"),
        ("x", "https://res.openai.azure.com", "azure_openai", "azure.ai.openai"),
        ("x", "https://api.anthropic.com", "anthropic", "anthropic"),
        ("x", "https://europe-west1-aiplatform.googleapis.com", "gemini", "gcp.vertex_ai"),
        ("groq", "https://api.groq.com/openai", "openai", "groq"),
        ("cohere/eu", "https://gateway.example.com", "cohere", "cohere"),
        ("x", "https://gateway.example.com", "openai", "openai"),
    ],
)
def test_kind_and_provider(name: str, url: str, kind: str, provider: str) -> None:
    """From the name, else from the host."""
    upstream = Upstream(name, UpstreamConfig(base_url=url), logging.getLogger(), lambda _: None)
    assert (upstream.kind, upstream.provider) == (kind, provider)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
    ],
)
def test_trace_that_is_none(text: str) -> None:
    """A traceparent that is wrong begins a new trace, without the state of another."""
    trace = trace_of({b"traceparent": text.encode(), b"tracestate": b"a=1"})
    assert (len(trace.trace_id), len(trace.span_id), trace.parent_span_id, trace.trace_state) == (16, 8, b"", "")


@pytest.mark.parametrize(("flags", "kept"), [("00", 0), ("01", 1), ("03", 1)])
def test_trace_goes_on(flags: str, kept: int) -> None:
    """Also from a later version; of the flags the sampled one is known."""
    text = f"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}-what-comes"
    trace = trace_of({b"traceparent": text.encode()})
    assert (trace.trace_id.hex(), trace.flags) == ("0af7651916cd43dd8448eb211c80319c", kept)
    expected = f"traceparent: 00-{trace.trace_id.hex()}-{trace.span_id.hex()}-0{kept}\r\n"
    assert traceparent(trace) == expected.encode()


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=40), st.integers(16, 200))
def test_copy_is_the_beginning_and_the_end(pieces: list[bytes], limit: int) -> None:
    """Up to the limit everything is kept, beyond it the beginning and the very end, never more than the limit."""
    tee, data = Tee(limit), b"".join(pieces)
    for number, piece in enumerate(pieces):
        tee.add(piece, number)
    body = tee.body()
    kept = b"".join(body.chunks)
    assert (body.size, len(body.chunks)) == (len(data), len(body.times))
    assert tee.kept == len(kept) <= limit
    assert body.times == sorted(body.times)
    if len(data) <= limit:
        assert (kept, body.gap) == (data, None)
        return
    assert body.gap is not None
    head, tail = b"".join(body.chunks[: body.gap]), b"".join(body.chunks[body.gap :])
    assert data.startswith(head)
    assert data.endswith(tail)
    assert len(tail) >= min(limit // 2, limit - len(head))


def test_whole_body_that_is_too_large() -> None:
    """Its two ends are kept."""
    assert whole(b"0123456789", 1, 5).chunks == [b"01", b"789"]
    assert whole(b"0123456789", 1, 5).gap == 1
    assert whole(b"01234", 1, 5).chunks == [b"01234"]


def test_lines_of_an_answer() -> None:
    """Kept as they came, but those of the connection, those that it names, and what is ours."""
    headers = [(b"X-A", b" 1 "), (b"Connection", b"close, X-B"), (b"X-B", b"1"), (b"Content-Length", b"7")]
    headers.append((b"X-Untrace-Overhead-Ms", b"9"))
    assert response_lines(headers) == (b"X-A:  1 \r\nContent-Length: 7\r\n", 7)
    assert response_lines(headers, with_length=False) == (b"X-A:  1 \r\n", None)


@pytest.mark.parametrize("text", ["{", "[1]", '"a"', "{}", "\xff"])
def test_metadata_that_is_none(text: str) -> None:
    """A label that is wrong does not hurt the call."""
    assert attribution([(b"x-untrace-metadata", text.encode("latin-1"))]).metadata == {}


def test_too_many_labels_are_cut() -> None:
    """What clients send is bounded."""
    said = attribution(
        [
            (b"x-untrace-tags", b",".join(b"t%d" % number for number in range(1000))),
            (b"x-untrace-metadata", json.dumps({f"k{number}": "v" * 5000 for number in range(200)}).encode()),
            (b"x-untrace-user", b"u" * 5000),
        ]
    )
    assert (len(said.tags), len(said.metadata), len(said.user_id)) == (64, 64, 1024)
    assert {len(str(value)) for value in said.metadata.values()} == {1024}


def request(path: str, **headers: str) -> Request:
    made = Request([(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()], 0, "")
    made.method, made.path = "POST", path
    return made


TEXT = "untrace-pipeline: slow down"
ANTHROPIC = {"type": "error", "error": {"type": "rate_limit_error", "message": TEXT}}


@pytest.mark.parametrize(
    ("asked", "document"),
    [
        (
            request("/v1/chat/completions"),
            {"error": {"message": TEXT, "type": "rate_limit_error", "param": None, "code": "rate"}},
        ),
        (request("/v1/messages"), ANTHROPIC),
        (request("/v1/models", anthropic_version="1"), ANTHROPIC),
        (
            request("/v1/proxy/x/v1beta/models/m:generateContent"),
            {"error": {"code": 429, "message": TEXT, "status": "RESOURCE_EXHAUSTED"}},
        ),
        (request("/v2/chat"), {"message": TEXT}),
    ],
)
def test_errors_have_the_form_of_the_api(asked: Request, document: dict[str, Any]) -> None:
    """Clients of each provider understand them."""
    response = render(asked, ProxyError(HTTPStatus.TOO_MANY_REQUESTS, "rate", "slow down", (("retry-after", "7"),)))
    assert json.loads(response.body) == document
    assert response.headers == (("retry-after", "7"), ("x-untrace-error", "rate"))


STREAM = {"stream": True, "messages": []}
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":1}}'
EVENTS = [
    b": keep-alive",
    b'data: {"choices":[{"delta":{"content":"\\"usage\\""}}],"usage":null}',
    b'data: {"choices":[],"prompt_filter_results":[{"usage":1}]}',
    b"data: [DONE]",
]


def test_usage_is_asked_for_once() -> None:
    """In streams only, and not where the caller says something of it."""
    asking = with_usage(json.dumps({**STREAM, "stream_options": {"include_obfuscation": False}}).encode())
    assert asking is not None
    assert json.loads(asking)["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    said = {"stream_options": {"include_usage": False}}
    for body in ({}, {"stream": False}, {**STREAM, **said}, ["stream"]):
        assert with_usage(json.dumps(body).encode()) is None
    assert with_usage(b'{"stream"') is None


@given(st.lists(st.integers(1, 40)), st.sampled_from([b"\n\n", b"\r\n\r\n"]))
def test_usage_is_taken_out(cuts: list[int], end: bytes) -> None:
    """That one event and nothing else, wherever the stream is cut."""
    wanted = b"".join(event + end for event in EVENTS)
    stream = b"".join(event + end for event in [*EVENTS[:-1], USAGE, EVENTS[-1]])
    stripper, seen = UsageStripper(), b""
    for size in [*cuts, len(stream)]:
        seen += stripper.feed(stream[:size])
        stream = stream[size:]
    assert seen + stripper.rest() == wanted


def test_event_without_an_end_is_not_held_for_ever() -> None:
    """What is no stream of events goes through."""
    stripper = UsageStripper()
    data = b"x" * 700_000
    assert stripper.feed(data) + stripper.feed(data) + stripper.feed(data) + stripper.rest() == data * 3


@pytest.mark.parametrize(
    ("end", "ended"),
    [
        (b'data: {"choices":[]}\n\ndata: [DONE]\n\n', True),
        (b"event: message_stop\ndata: {}\n\n", True),
        (b"event: response.completed\r\ndata: {}\r\n\r\n", True),
        (b'data: {"type":"message-end","delta":{}}\n\n', True),
        (b'data: {"candidates":[{"finishReason":"STOP"}]}\n\n', True),
        (b'data: {"choices":[{"delta":{"content":"data: [DONE]"}}]}\n\n', False),
        (b'data: {"text":"\\"finishReason\\": \\"STOP\\""}\n\n', False),
        (b"event: response.output_text.delta\ndata: {}\n\n", False),
        (b"", False),
    ],
)
def test_end_of_a_stream(end: bytes, ended: bool) -> None:
    """Each API says in its own way that no more comes; what a model writes is no such word."""
    assert has_ended(end) is ended


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=40), st.integers(1, 100))
def test_end_of_a_copy(pieces: list[bytes], most: int) -> None:
    """The last bytes are at hand."""
    tee = Tee(400)
    for piece in pieces:
        tee.add(piece, 0)
    data = b"".join(pieces)
    assert data.endswith(tee.end(most))
    assert len(tee.end(most)) >= min(most, len(data))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "3"}, 3),
        ({"retry-after-ms": "250", "Retry-After": "1"}, 0.25),
        ({"X-MS-Retry-After-MS": "40"}, 0.04),
        ({"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"}, 0),
        ({"Retry-After": "soon"}, None),
        ({}, None),
    ],
)
async def test_pause_before_another_attempt(headers: dict[str, str], seconds: float | None) -> None:
    """The upstream's wish, else a pause that doubles."""
    call = UpstreamCall(None, 0.0, 0.0)
    call.head = AnswerHead(429, b"", [(name.encode(), value.encode()) for name, value in headers.items()])
    if seconds is not None:
        assert delay_before(call, 3) == seconds
        return
    assert 0.18 < delay_before(call, 1) < 0.32
    assert 0.75 <= delay_before(call, 3) <= 1.25


def test_secrets_of_a_request_are_known() -> None:
    """Without the scheme before them; those of the query as they are meant."""
    headers = [(b"authorization", b"Bearer one"), (b"cookie", b"two"), (b"accept", b"*/*"), (b"cookie", b"and another")]
    assert secrets(headers, "alt=sse&key=thr%65e") == ["one", "two", "another", "three"]
