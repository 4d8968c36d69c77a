"""The stand-in for LLM providers does what tests rely on: its answers say its truth, its faults happen."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.llm_upstream import LlmUpstream, Truth

pytestmark = pytest.mark.once

MESSAGES = [{"role": "user", "content": "Where is my parcel?"}]
FUNCTION = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
OPENAI_TOOLS = [{"type": "function", "function": FUNCTION}]


@pytest.fixture(scope="module")
def upstream() -> Iterator[LlmUpstream]:
    """One for all tests."""
    with LlmUpstream() as running:
        yield running


def ask(
    upstream: LlmUpstream, path: str, body: dict[str, Any], *, fault: str = "", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Post a request and return the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", upstream.port, timeout=10)
    try:
        given = {"Content-Type": "application/json", **headers} | ({"x-upstream-fault": fault} if fault else {})
        connection.request("POST", path, json.dumps(body), given)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def events(data: bytes) -> list[Any]:
    """Return what the events of a stream say."""
    lines = data.decode().replace("\r\n", "\n").split("\n")
    return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]


def chat_said(data: bytes) -> tuple[str, list[tuple[str, str]]]:
    """Return text and calls of a stream of a chat completion."""
    text, calls = "", {}
    for chunk in events(data):
        for choice in chunk["choices"]:
            text += choice["delta"].get("content") or ""
            for call in choice["delta"].get("tool_calls", ()):
                name, arguments = calls.get(call["index"], ("", ""))
                function = call["function"]
                calls[call["index"]] = name or function.get("name", ""), arguments + function["arguments"]
    return text, list(calls.values())


def called(truth: Truth) -> list[tuple[str, str]]:
    """Return the calls of a truth in the same form."""
    return [(call.name, call.json) for call in truth.tool_calls]


@pytest.mark.parametrize("tools", [[], OPENAI_TOOLS], ids=["text", "tools"])
def test_a_stream_says_the_same_as_the_whole(upstream: LlmUpstream, tools: list[Any]) -> None:
    """Chat completions, with and without tools."""
    body = {"model": "gpt-4o-mini", "messages": MESSAGES, "tools": tools}
    whole = json.loads(ask(upstream, "/v1/chat/completions", body)[2])
    truth = upstream.truth()
    message = whole["choices"][0]["message"]
    assert (message["content"] or "") == truth.text
    assert [call["function"]["name"] for call in message.get("tool_calls", [])] == [n for n, _ in called(truth)]
    assert whole["usage"]["prompt_tokens"] == truth.input_tokens
    streamed = ask(upstream, "/v1/chat/completions", {**body, "stream": True})[2]
    assert streamed.endswith(b"data: [DONE]\n\n")
    assert chat_said(streamed) == (truth.text, called(truth))
    assert not upstream.truth().usage_sent


def test_messages_stream_in_typed_events(upstream: LlmUpstream) -> None:
    """Anthropic: thinking, then text, then the whole count of tokens."""
    body = {"model": "claude-sonnet-4-5", "messages": MESSAGES, "max_tokens": 900, "stream": True}
    found = events(ask(upstream, "/v1/messages", {**body, "thinking": {"type": "enabled"}})[2])
    truth = upstream.truth()
    deltas = [one["delta"] for one in found if one["type"] == "content_block_delta"]
    assert "".join(one.get("text", "") for one in deltas) == truth.text
    assert "".join(one.get("thinking", "") for one in deltas) == truth.reasoning != ""
    assert found[-2]["usage"]["output_tokens"] == truth.output_tokens
    assert found[-1]["type"] == "message_stop"


def test_gemini_streams_as_events_and_as_an_array(upstream: LlmUpstream) -> None:
    """Both forms say the same."""
    body = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
    path = "/v1beta/models/gemini-2.5-flash:streamGenerateContent"
    array = json.loads(ask(upstream, path, body)[2])
    sse = events(ask(upstream, f"{path}?alt=sse", body)[2])
    said = [
        "".join(p["text"] for one in form for p in one["candidates"][0]["content"]["parts"]) for form in (array, sse)
    ]
    assert said == [upstream.truth().text] * 2
    assert sse[-1]["usageMetadata"]["candidatesTokenCount"] == upstream.truth().output_tokens


def test_cohere_and_responses_end_with_usage(upstream: LlmUpstream) -> None:
    """The last event has it."""
    cohere = ask(upstream, "/v2/chat", {"model": "command-a-03-2025", "messages": MESSAGES, "stream": True})[2]
    end = events(cohere)[-1]
    assert end["type"] == "message-end"
    assert end["delta"]["usage"]["tokens"]["output_tokens"] == upstream.truth().output_tokens
    responses = ask(upstream, "/v1/responses", {"model": "gpt-4o-mini", "input": "hi", "stream": True})[2]
    end = events(responses)[-1]
    assert end["type"] == "response.completed"
    assert end["response"]["usage"]["output_tokens"] == upstream.truth().output_tokens
    assert end["response"]["output"][0]["content"][0]["text"] == upstream.truth().text


def test_equal_requests_get_equal_bytes(upstream: LlmUpstream) -> None:
    """So that two ways to it can be compared."""
    body = {"model": "gpt-4o-mini", "messages": MESSAGES, "stream": True}
    first, second = (ask(upstream, "/v1/chat/completions", body) for _ in range(2))
    assert first == second


def test_requests_are_kept_as_they_came(upstream: LlmUpstream) -> None:
    """Order and case of headers, bytes of the body."""
    with socket.create_connection(("127.0.0.1", upstream.port), timeout=10) as raw:
        raw.sendall(b"POST /v1/x?a=%20b HTTP/1.1\r\nhOsT: h\r\nX-b: 2\r\nx-A: 1\r\nContent-Length: 3\r\n\r\n\x00\xff ")
        assert raw.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
    assert upstream.last.target == "/v1/x?a=%20b"
    assert upstream.last.headers == (("hOsT", "h"), ("X-b", "2"), ("x-A", "1"), ("Content-Length", "3"))
    assert upstream.last.body == b"\x00\xff "


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/v1/chat/completions", "rate_limit_exceeded"),
        ("/v1/messages", "rate_limit_error"),
        ("/v1beta/models/m:generateContent", "RESOURCE_EXHAUSTED"),
        ("/v2/chat", "Rate limit reached"),
    ],
)
def test_errors_are_in_the_words_of_the_provider(upstream: LlmUpstream, path: str, word: str) -> None:
    """429 says when to come back."""
    status, headers, body = ask(upstream, path, {"model": "m"}, fault="status_429")
    assert (status, headers["retry-after"]) == (429, "1")
    assert word in body.decode()


@pytest.mark.parametrize("fault", ["reset", "close", "reset_mid", "close_mid", "long_length", "garbage"])
def test_faults_of_the_connection_are_seen(upstream: LlmUpstream, fault: str) -> None:
    """The client does not take them for an answer."""
    body = {"model": "gpt-4o-mini", "messages": MESSAGES, "stream": fault.endswith("_mid")}
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        ask(upstream, "/v1/chat/completions", body, fault=fault)


def test_bodies_are_compressed_cut_and_blown_up(upstream: LlmUpstream) -> None:
    """What they say stays the same."""
    body = {"model": "gpt-4o-mini", "messages": MESSAGES, "stream": True}
    path = "/v1/chat/completions"
    plain = ask(upstream, path, body)[2]
    assert ask(upstream, path, body, fault="pieces_7")[2] == plain
    assert gzip.decompress(ask(upstream, path, body, fault="gzip")[2]) == plain
    assert len(ask(upstream, path, {**body, "stream": False}, fault="huge_2")[2]) > 2_000_000


def test_a_script_says_what_goes_wrong_next(upstream: LlmUpstream) -> None:
    """In order, and then no more."""
    upstream.script(["status_500", "", "status_529"])
    found = [ask(upstream, "/v1/chat/completions", {"model": "gpt-4o"})[0] for _ in range(4)]
    assert found == [500, 200, 529, 200]
