"""Cohere beyond the usual: plans, embeddings of several types, errors at the end of a stream."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.exchanges import exchange
from tests.support.streams import typed_events
from untrace_plugins.genai import names
from untrace_plugins.genai.providers.exchange import Api, Capture
from untrace_plugins.genai.providers.span import to_span

pytestmark = pytest.mark.once


def found(api: Api, request: Any, response: Any, **more: Any) -> dict[str, Any]:
    return dict(to_span(exchange(api, request, response, **more), Capture.FULL).attributes)


def test_request() -> None:
    """Cohere has names of its own for what all have; the plan of an earlier answer is its reasoning."""
    request = {
        "model": "command-a-03-2025",
        "p": 0.5,
        "k": 3,
        "max_tokens": 10,
        "stop_sequences": ["END"],
        "messages": [
            {"role": "system", "content": "Be kind."},
            {
                "role": "assistant",
                "tool_plan": "I look.",
                "tool_calls": [{"id": "c1", "function": {"name": "look", "arguments": '{"a":1}'}}],
            },
            {
                "role": "tool",
                "tool_call_id": "c1",
                "content": [{"type": "document", "document": {"data": '{"b":2}'}}],
            },
        ],
    }
    attributes = found(Api.COHERE_CHAT, request, {"id": "x"})
    expected = {
        names.REQUEST_TOP_P: 0.5,
        names.REQUEST_TOP_K: 3.0,
        names.REQUEST_MAX_TOKENS: 10,
        names.REQUEST_STOP_SEQUENCES: ["END"],
    }
    assert {key: attributes.get(key) for key in expected} == expected
    system, assistant, tool = json.loads(attributes[names.INPUT_MESSAGES])
    assert system == {"role": "system", "parts": [{"type": "text", "content": "Be kind."}]}
    assert assistant["parts"] == [
        {"type": "reasoning", "content": "I look."},
        {"type": "tool_call", "id": "c1", "name": "look", "arguments": {"a": 1}},
    ]
    assert tool["parts"][0]["type"] == "tool_call_response"
    assert "b" in json.dumps(tool)


def test_stream_that_ends_with_an_error() -> None:
    """What had come is there, and that it failed."""
    events = typed_events(
        {"type": "message-start", "id": "x", "delta": {"message": {"role": "assistant"}}},
        {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
        {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Hel"}}}},
        {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "internal server error"}},
    )
    span = to_span(exchange(Api.COHERE_CHAT, {"model": "command-a-03-2025"}, events), Capture.FULL)
    assert (span.status_code, span.status_message) == (2, "internal server error")
    assert span.attributes[names.RESPONSE_FINISH_REASONS] == ["error"]
    assert json.loads(str(span.attributes[names.OUTPUT_MESSAGES])) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "Hel"}], "finish_reason": "error"}
    ]


def test_embeddings() -> None:
    """Vectors come by type of number."""
    request = {"model": "embed-v4.0", "texts": ["a", "b"], "embedding_types": ["float"], "output_dimension": 3}
    response = {
        "id": "e-1",
        "embeddings": {"float": [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]},
        "meta": {"billed_units": {"input_tokens": 4}},
    }
    attributes = found(Api.COHERE_EMBED, request, response)
    expected = {
        names.OPERATION: "embeddings",
        names.EMBEDDINGS_COUNT: 2,
        names.EMBEDDINGS_DIMENSIONS: 3,
        names.USAGE_INPUT: 4,
        names.RESPONSE_ID: "e-1",
        names.REQUEST_ENCODING_FORMATS: ["float"],
    }
    assert {key: attributes.get(key) for key in expected} == expected
    assert "0.1" not in repr(attributes)
