"""What a span of the proxy says beside its bodies, how much it tells, and that the pipeline takes it as it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support import llm_requests
from tests.support.exchanges import MILLISECOND, START, asked, exchange, seen
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.data.compose import NewEvent, NewSpan, Scope, compose_spans
from untrace_plugins.genai import names
from untrace_plugins.genai.normalise import normalise
from untrace_plugins.genai.pricing import Prices
from untrace_plugins.genai.providers.exchange import Api, Attempt, Attribution, Capture, TraceContext
from untrace_plugins.genai.providers.span import ATTEMPT_EVENT, to_span, usage_of

REQUEST = {
    "model": "gpt-4o-mini",
    "messages": [{"role": "system", "content": "secret-system"}, {"role": "user", "content": "secret-question"}],
    "tools": [{"type": "function", "function": {"name": "secret_tool"}}],
    "temperature": 0.5,
}
MESSAGE = {
    "role": "assistant",
    "content": "secret-answer",
    "tool_calls": [{"id": "c", "function": {"name": "secret_tool", "arguments": '{"secret": 1}'}}],
}
RESPONSE = {
    "id": "chatcmpl-1",
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "tool_calls"}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 5},
}


def span_of(capture: Capture = Capture.FULL, response: Any = RESPONSE, **more: Any) -> NewSpan:
    return to_span(exchange(Api.OPENAI_CHAT, REQUEST, response, **more), capture)


def test_facts() -> None:
    """Ids, times, whom it went to and how; only headers that say nothing of whose it is."""
    span = span_of(response_headers={"x-request-id": "req_1", "content-type": "application/json"})
    assert (span.trace_id, span.span_id, span.parent_span_id) == (b"t" * 16, b"s" * 8, b"p" * 8)
    assert (span.trace_state, span.flags, span.kind, span.status_code) == ("vendor=1", 1, 3, 0)
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (START, START + 1000 * MILLISECOND)
    expected: dict[str, Any] = {
        names.SERVER_ADDRESS: "api.example.com",
        names.SERVER_PORT: 443,
        names.HTTP_METHOD: "POST",
        names.HTTP_STATUS: 200,
        names.URL_PATH: "/v1/chat/completions",
        names.PROXY_UPSTREAM: "openai",
        names.PROXY_ATTEMPTS: 1,
        names.HTTP_RESPONSE_HEADER + "x-request-id": ["req_1"],
    }
    assert {key: span.attributes.get(key) for key in expected} == expected
    assert names.HTTP_RESPONSE_HEADER + "content-type" not in span.attributes
    assert span.events == []


def test_metadata() -> None:
    """Model, parameters, tokens and ends; of what was said, nothing."""
    full, bare = span_of(), span_of(Capture.METADATA)
    gone = {names.INPUT_MESSAGES, names.OUTPUT_MESSAGES, names.TOOL_DEFINITIONS}
    assert full.attributes.keys() - bare.attributes.keys() == gone
    assert "secret" not in repr(bare)
    assert bare.attributes[names.USAGE_INPUT] == 7
    assert bare.attributes[names.RESPONSE_FINISH_REASONS] == ["tool_call"]


def test_stop_sequences_are_contents() -> None:
    """They are words that the application expects to be said."""
    request = {"model": "m", "messages": [], "stop": ["secret"]}
    full, bare = (to_span(exchange(Api.OPENAI_CHAT, request, RESPONSE), capture) for capture in list(Capture)[:2])
    assert full.attributes[names.REQUEST_STOP_SEQUENCES] == ["secret"]
    assert "secret" not in repr(bare)


def test_keys_that_errors_quote_are_masked() -> None:
    """Also those that look like no key."""
    error = {"error": {"message": "hunter2-of-ours is not welcome", "type": "denied"}}
    call = exchange(Api.OPENAI_CHAT, {"model": "m"}, error, status=403)
    call.secrets = ["hunter2-of-ours"]
    assert to_span(call, Capture.FULL).status_message == "*** is not welcome"


def test_metadata_of_an_error() -> None:
    """Providers quote in errors what they were sent, so only the type is told."""
    error = {"error": {"message": "secret-question is too long", "type": "invalid_request_error", "code": None}}
    full, bare = (span_of(capture, error, status=400) for capture in (Capture.FULL, Capture.METADATA))
    assert full.status_message == "secret-question is too long"
    assert bare.status_message == bare.attributes[names.ERROR_TYPE] == "invalid_request_error"
    assert "secret" not in repr(bare)


def test_nothing_captured() -> None:
    """There is a span, since the provider was told its id, and neither body has left anything in it."""
    span = span_of(Capture.NONE)
    assert span.name == "chat"
    assert "secret" not in repr(span)
    assert not span.attributes.keys() & {names.REQUEST_MODEL, names.RESPONSE_ID, *names.USAGE}
    assert span.attributes[names.HTTP_STATUS] == 200


def test_whose_call() -> None:
    """Headers of the caller win over the body; its metadata joins that of the body."""
    request = {**REQUEST, "user": "body", "metadata": {"team": "blue", "app": "a"}}
    given = Attribution("s-1", "u-1", ("x", "y"), {"team": "red", "tries": 2})
    span = to_span(exchange(Api.OPENAI_CHAT, request, RESPONSE, attribution=given), Capture.METADATA)
    assert span.attributes[names.SESSION_ID] == "s-1"
    assert span.attributes[names.USER_ID] == "u-1"
    assert span.attributes[names.TAGS] == ["x", "y"]
    assert json.loads(str(span.attributes[names.METADATA])) == {"team": "red", "app": "a", "tries": 2}


def test_failover() -> None:
    """Each request before the last is an event, with where it went and why it failed."""
    begun = 5_000 * MILLISECOND
    attempts = [
        Attempt("openai", begun, begun + 20 * MILLISECOND, status=429),
        Attempt("openai", begun + 30 * MILLISECOND, begun + 40 * MILLISECOND, error="connect_error"),
        Attempt("azure", begun + 50 * MILLISECOND, begun + 90 * MILLISECOND, status=200),
    ]
    span = span_of(attempts=attempts, upstream="azure", provider="azure.ai.openai")
    assert span.attributes[names.PROXY_ATTEMPTS] == 3
    assert (span.attributes[names.PROXY_UPSTREAM], span.attributes[names.PROVIDER]) == ("azure", "azure.ai.openai")
    assert span.events == [
        NewEvent(
            ATTEMPT_EVENT,
            START + 20 * MILLISECOND,
            {names.PROXY_UPSTREAM: "openai", "duration": 0.02, names.HTTP_STATUS: 429, names.ERROR_TYPE: "429"},
        ),
        NewEvent(
            ATTEMPT_EVENT,
            START + 40 * MILLISECOND,
            {names.PROXY_UPSTREAM: "openai", "duration": 0.01, names.ERROR_TYPE: "connect_error"},
        ),
    ]


@pytest.mark.parametrize("error", ["timeout", "connect_error", "upstream_reset", "client_disconnect"])
def test_no_answer(error: str) -> None:
    """How it ended is the error, whatever there is of an answer."""
    span = span_of(response=None, status=None, error=error)
    assert (span.status_code, span.status_message, span.attributes[names.ERROR_TYPE]) == (2, error, error)
    assert span.attributes[names.REQUEST_MODEL] == "gpt-4o-mini"
    assert not span.attributes.keys() & {names.HTTP_STATUS, names.CAPTURE_UNREADABLE, names.RESPONSE_ID}


def test_other_paths() -> None:
    """What is no call of a model has the facts of HTTP, and a name without ids."""
    call = exchange(Api.OTHER, b"--boundary", b"%PDF", path="/v1/files/file-abc123/content", method="GET")
    span = to_span(call, Capture.FULL)
    assert span.name == "GET /v1/files"
    assert span.attributes[names.URL_PATH] == "/v1/files/file-abc123/content"
    assert not span.attributes.keys() & {names.OPERATION, names.DIALECT, names.INPUT_MESSAGES, names.OUTPUT_MESSAGES}
    error = exchange(Api.OTHER, None, {"error": {"message": "No such file", "code": "not_found"}}, status=404)
    refused = to_span(error, Capture.FULL)
    assert (refused.attributes[names.ERROR_TYPE], refused.status_message) == ("not_found", "No such file")


def test_unreadable() -> None:
    """Bodies that make no sense leave a span that says so."""
    span = to_span(exchange(Api.OPENAI_CHAT, b"\x00\x01", b"<html>"), Capture.FULL)
    assert span.attributes[names.CAPTURE_UNREADABLE] == ["request", "response"]
    assert to_span(exchange(Api.OPENAI_CHAT, REQUEST, b"x", encoding="exotic"), Capture.FULL).attributes[
        names.CAPTURE_UNREADABLE
    ] == ["response"]


def test_large_bodies() -> None:
    """Of a body whose middle was not kept, the beginning is told and what stands at the end: usage, model."""
    request = json.dumps({"messages": [{"role": "user", "content": "q" * 5000}], "model": "gpt-4o-mini"}).encode()
    answer = {**RESPONSE, "choices": [{"index": 0, "message": {"role": "assistant", "content": "a" * 5000}}]}
    response = json.dumps({key: answer[key] for key in ("id", "choices", "usage", "model")}).encode()
    call = exchange(Api.OPENAI_CHAT, [request[:1000], request[-100:]], [response[:1000], response[-150:]])
    call.request.gap = call.response.gap = 1
    attributes = to_span(call, Capture.FULL).attributes
    assert attributes[names.CAPTURE_TRUNCATED] is True
    assert attributes[names.REQUEST_MODEL] == "gpt-4o-mini"
    assert attributes[names.RESPONSE_ID] == "chatcmpl-1"
    assert (attributes[names.USAGE_INPUT], attributes[names.USAGE_OUTPUT]) == (7, 5)
    assert "qqq" in str(attributes[names.INPUT_MESSAGES])
    assert "aaa" in str(attributes[names.OUTPUT_MESSAGES])
    assert names.CAPTURE_UNREADABLE not in attributes


@pytest.mark.parametrize("make", llm_requests.APIS)
@pytest.mark.parametrize("more", [{"tools": True}, {"thinks": True, "stream": True}], ids=["tools", "thinking"])
def test_in_the_form(make: Any, more: dict[str, Any]) -> None:
    """A span is in the canonical form: the normaliser changes nothing, even where it does not know that."""
    span = to_span(seen(*asked(*make(llm_requests.QUESTION, **more))), Capture.FULL)
    assert normalise(span.attributes).values == {}
    unmarked = {key: value for key, value in span.attributes.items() if key != names.DIALECT}
    assert normalise(unmarked).values == {names.DIALECT: span.attributes[names.DIALECT]}


@pytest.mark.parametrize("make", [llm_requests.openai_chat, llm_requests.anthropic, llm_requests.gemini])
def test_prices(make: Any) -> None:
    """What a call used has a price."""
    spent = usage_of(seen(*asked(*make(llm_requests.LONG))))
    found = Prices([]).find(spent.request)
    assert found is not None
    assert spent.usage is not None


def test_otlp() -> None:
    """All attributes have a form in OTLP."""
    spans = [
        to_span(seen(*asked(*make(llm_requests.QUESTION, thinks=True, tools=True))), capture)
        for make in llm_requests.APIS
        for capture in Capture
    ]
    assert Batch(Signal.TRACES, compose_spans({}, Scope("proxy"), spans)).item_count == len(spans)


def test_root() -> None:
    """Without a caller that traces, the span has no parent."""
    assert span_of(trace=TraceContext(b"t" * 16, b"s" * 8)).parent_span_id == b""
