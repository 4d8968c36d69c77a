"""Every API, plain and streamed, in every case of the stand-in: what the span says is what happened."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.support import llm_requests
from tests.support.exchanges import MILLISECOND, asked, seen
from tests.support.llm_upstream import Truth, truth_of
from untrace_pipeline.data.compose import NewSpan
from untrace_plugins.genai import names
from untrace_plugins.genai.providers.exchange import Capture
from untrace_plugins.genai.providers.span import to_span, usage_of

pytestmark = pytest.mark.once


def calls() -> Iterator[Any]:
    """Yield every API in every case."""
    for make in llm_requests.APIS:
        for case, more in llm_requests.CASES.items():
            for question in (llm_requests.QUESTION, llm_requests.LONG):
                size = "long" if question is llm_requests.LONG else "short"
                yield pytest.param(make, question, more, id=f"{make.__name__}-{case}-{size}")


def attributes(span: NewSpan) -> dict[str, Any]:
    """Return attributes with their JSON read."""
    return {
        key: json.loads(value) if key in names.JSON_ATTRIBUTES and isinstance(value, str) else value
        for key, value in span.attributes.items()
    }


def said(found: dict[str, Any], kind: str) -> str:
    """Return the texts, or the reasoning, of the answer."""
    return "".join(part["content"] for part in _parts(found) if part["type"] == kind)


def _parts(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [part for message in found[names.OUTPUT_MESSAGES] for part in message["parts"]]


def check(found: dict[str, Any], truth: Truth) -> None:
    """Compare a span with what happened."""
    usage = (truth.input_tokens, truth.output_tokens) if truth.usage_sent else (None, None)
    assert found[names.OPERATION] == truth.operation
    assert found[names.PROVIDER] == truth.provider
    assert found[names.REQUEST_MODEL] == truth.request_model
    assert found.get(names.RESPONSE_MODEL) == truth.response_model
    assert found.get(names.RESPONSE_ID) == truth.response_id
    assert (found.get(names.USAGE_INPUT), found.get(names.USAGE_OUTPUT)) == usage
    assert found.get(names.USAGE_CACHE_READ, 0) == truth.cached_tokens
    assert found.get(names.USAGE_REASONING, 0) == truth.reasoning_tokens
    assert found[names.RESPONSE_FINISH_REASONS] == [truth.finish]
    assert found[names.OUTPUT_MESSAGES][-1]["finish_reason"] == truth.finish
    assert said(found, "text") == truth.text
    assert not truth.reasoning or said(found, "reasoning") in (truth.reasoning, "I will look up both cities.")
    called = [part for part in _parts(found) if part["type"] == "tool_call"]
    assert [(call.get("id", ""), call["name"], call["arguments"]) for call in called] == [
        (call.id, call.name, call.arguments) for call in truth.tool_calls
    ]
    assert names.CAPTURE_UNREADABLE not in found


@pytest.mark.parametrize(("make", "question", "more"), list(calls()))
def test_plain_and_streamed(make: Any, question: str, more: dict[str, Any]) -> None:
    """Both say what happened, and both say the same."""
    (recorded, ask), streamed = asked(*make(question, **more)), asked(*make(question, **more, stream=True))
    plain = attributes(to_span(seen(recorded, ask), Capture.FULL))
    check(plain, truth_of(ask))
    stream = attributes(to_span(seen(*streamed), Capture.FULL))
    check(stream, truth_of(streamed[1]))
    assert stream[names.REQUEST_STREAM] is True
    assert stream[names.INPUT_MESSAGES] == plain[names.INPUT_MESSAGES]
    assert stream[names.INPUT_MESSAGES][-1]["parts"] == [{"type": "text", "content": question}]
    assert _without_ids(stream[names.OUTPUT_MESSAGES]) == _without_ids(plain[names.OUTPUT_MESSAGES])
    assert stream[names.RESPONSE_TIME_TO_FIRST_CHUNK] * 1000 * MILLISECOND >= 2 * MILLISECOND or _at_once(make)
    assert names.RESPONSE_TIME_TO_FIRST_CHUNK not in plain


def _at_once(make: Any) -> bool:
    """Return whether the first piece of a stream has content."""
    return make in (llm_requests.gemini, llm_requests.gemini_array, llm_requests.completions)


def _without_ids(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return messages without ids of calls: those of the stand-in depend on the request."""
    for message in messages:
        for part in message["parts"]:
            part.pop("id", None)
    return messages


@pytest.mark.parametrize("make", llm_requests.APIS)
@pytest.mark.parametrize("fault", ["pieces_7", "crlf", "gzip", "zstd", "deflate", "no_done"])
def test_ways_of_the_wire(make: Any, fault: str) -> None:
    """Cut anywhere, other line ends, compressed, without a last event: the span is the same."""
    for more in ({"tools": True}, {"thinks": True}):
        recorded, ask = asked(*make(llm_requests.QUESTION, **more, stream=True))
        whole, other = (attributes(to_span(seen(recorded, ask, fault), Capture.FULL)) for fault in ("", fault))
        if fault == "no_done" and ask.api in ("openai.responses", "openai.completions", "gemini.generate_content"):
            continue  # the last event is no formality there
        whole.pop(names.RESPONSE_TIME_TO_FIRST_CHUNK)
        assert other.pop(names.RESPONSE_TIME_TO_FIRST_CHUNK) > 0
        assert other == whole


@pytest.mark.parametrize("make", llm_requests.APIS)
def test_budget(make: Any) -> None:
    """What a call used is known without its content."""
    for stream in ({}, {"stream": True}):
        recorded, ask = asked(*make(llm_requests.LONG, thinks=True, **stream))
        truth = truth_of(ask)
        call = seen(recorded, ask)
        spent = usage_of(call)
        assert spent == usage_of(call, to_span(call, Capture.METADATA).attributes)
        assert spent.usage is not None
        assert spent.request.request_model == truth.request_model
        assert spent.request.response_model == truth.response_model
        assert spent.usage == (
            truth.input_tokens,
            truth.output_tokens,
            truth.cached_tokens,
            0,
            truth.reasoning_tokens,
        )


def test_stream_without_usage() -> None:
    """Tokens that nobody reported are absent, not 0; a guess is made on request, and says that it is one."""
    target, body = llm_requests.openai_chat(llm_requests.QUESTION, stream=True)
    del body["stream_options"]
    call = seen(*asked(target, body))
    found = to_span(call, Capture.FULL).attributes
    assert not found.keys() & {*names.USAGE, names.USAGE_ESTIMATED}
    assert usage_of(call).usage is None
    for capture in (Capture.FULL, Capture.METADATA):
        guess = to_span(call, capture, estimate=True).attributes
        assert guess[names.USAGE_ESTIMATED] is True
        assert guess[names.USAGE_INPUT] == 4 + -(-len(llm_requests.QUESTION.encode()) // 4)
        assert isinstance(guess[names.USAGE_OUTPUT], int)
        assert guess[names.USAGE_OUTPUT] > 0


def test_embeddings() -> None:
    """Texts are captured, vectors are not: only how many there are, and their size."""
    for target, body, count in (
        ("/v1/embeddings", {"model": "text-embedding-3-small", "input": ["one", "two"]}, 2),
        ("/v1/embeddings", {"model": "text-embedding-3-small", "input": "one", "encoding_format": "base64"}, 1),
        ("/v1beta/models/gemini-embedding-001:embedContent", {"content": {"parts": [{"text": "one"}]}}, 1),
        (
            "/v1beta/models/gemini-embedding-001:batchEmbedContents",
            {"requests": [{"content": {"parts": [{"text": text}]}} for text in ("one", "two")]},
            2,
        ),
    ):
        recorded, ask = asked(target, body)
        truth = truth_of(ask)
        found = attributes(to_span(seen(recorded, ask), Capture.FULL))
        assert found[names.OPERATION] == "embeddings"
        assert (found[names.REQUEST_MODEL], found.get(names.RESPONSE_MODEL)) == (ask.model, truth.response_model)
        assert (found[names.EMBEDDINGS_COUNT], found[names.EMBEDDINGS_DIMENSIONS]) == (count, 8)
        assert [message["parts"][0]["content"] for message in found[names.INPUT_MESSAGES]] == ["one", "two"][:count]
        assert names.OUTPUT_MESSAGES not in found
        if ask.api == "openai.embeddings":
            assert found[names.USAGE_INPUT] == truth.input_tokens


ERRORS: dict[str, tuple[Any, str, str]] = {
    "invalid_api_key": (llm_requests.openai_chat, "status_401", "Incorrect API key provided: ***"),
    "rate_limit_exceeded": (
        llm_requests.responses,
        "status_429",
        "Rate limit reached for requests per minute. Try again in 1s.",
    ),
    "overloaded_error": (llm_requests.anthropic, "status_529", "Overloaded"),
    "RESOURCE_EXHAUSTED": (
        llm_requests.gemini,
        "status_429",
        "Rate limit reached for requests per minute. Try again in 1s.",
    ),
    "404": (llm_requests.cohere, "status_404", "The model does not exist."),
    "502": (llm_requests.openai_chat, "html", "502"),
}


@pytest.mark.parametrize(("error", "case"), list(ERRORS.items()), ids=list(ERRORS))
def test_refusals(error: str, case: tuple[Any, str, str]) -> None:
    """The provider's own word for an error, or else the status, and its text without the key that it quotes."""
    make, fault, message = case
    recorded, ask = asked(*make(llm_requests.QUESTION), key="sk-proj-canary0123456789abcdef")
    span = to_span(seen(recorded, ask, fault), Capture.FULL)
    assert (span.status_code, span.attributes[names.ERROR_TYPE], span.status_message) == (2, error, message)
    assert span.attributes[names.REQUEST_MODEL] == ask.model
    assert "canary" not in repr(span)
    assert not span.attributes.keys() & {*names.USAGE}


@pytest.mark.parametrize(
    "make", [make for make in llm_requests.APIS if make not in (llm_requests.gemini_array, llm_requests.cohere)]
)
def test_error_within_a_stream(make: Any) -> None:
    """A stream that ends with an error is one, although its status was 200; what had come is there."""
    recorded, ask = asked(*make(llm_requests.QUESTION, stream=True))
    span = to_span(seen(recorded, ask, "stream_error"), Capture.FULL)
    assert span.status_code == 2
    assert span.attributes[names.ERROR_TYPE] in ("api_error", "overloaded_error", "INTERNAL", "server_error")
    assert span.status_message in ("The server had an error while processing your request.", "Overloaded")
    assert truth_of(ask).text.startswith(said(attributes(span), "text"))
    assert said(attributes(span), "text")


CUTS = 97
"""Places at which an answer is cut: too few for the suite to take long, and not at the end of every event."""


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("make", llm_requests.APIS)
def test_client_gone_at_any_byte(make: Any, stream: bool) -> None:
    """However early it ended: a span that says so, and of the answer no more than had come."""
    recorded, ask = asked(*make(llm_requests.QUESTION, **({"stream": True, "thinks": True} if stream else {})))
    call = seen(recorded, ask, error="client_disconnect")
    whole, times = b"".join(call.response.chunks), call.response.times[:1]
    longest = 0
    for cut in range(CUTS):
        call.response = replace(call.response, chunks=[whole[: len(whole) * cut // CUTS]], times=times)
        span = to_span(call, Capture.FULL)
        assert (span.status_code, span.attributes[names.ERROR_TYPE]) == (2, "client_disconnect")
        found = attributes(span)
        if names.OUTPUT_MESSAGES in found:
            text = said(found, "text")
            assert truth_of(ask).text.startswith(text)
            longest = max(longest, len(text))
        assert names.CAPTURE_UNREADABLE not in found
    assert longest > len(truth_of(ask).text) // 2
