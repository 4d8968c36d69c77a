"""Anthropic's messages beyond the usual: blocks of every kind, counts of the cache, errors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.exchanges import exchange
from tests.support.streams import typed_events
from untrace_pipeline.data.compose import NewSpan
from untrace_plugins.genai import names
from untrace_plugins.genai.providers.exchange import Api, Capture
from untrace_plugins.genai.providers.span import to_span

pytestmark = pytest.mark.once

HEAD = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929", "content": []}
START_USAGE = {
    "input_tokens": 8,
    "cache_read_input_tokens": 12,
    "cache_creation_input_tokens": 3,
    "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 2},
    "output_tokens": 1,
    "service_tier": "standard",
}
CITATION = {"type": "web_search_result_location", "url": "https://x.example", "cited_text": "c"}
RESULT = {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": [{"type": "web_search_result"}]}
BLOCKS: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": "I should search.", "signature": "EqQB"},
    {"type": "redacted_thinking", "data": "sealed"},
    {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "parcel"}},
    RESULT,
    {"type": "text", "text": "It is at customs.", "citations": [CITATION]},
    {"type": "tool_use", "id": "toolu_1", "name": "track", "input": {"id": 7}},
    {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
]
PARTS: list[dict[str, Any]] = [
    {"type": "reasoning", "content": "I should search."},
    {"type": "reasoning", "content": "sealed"},
    {
        "type": "server_tool_call",
        "name": "web_search",
        "server_tool_call": {"type": "web_search", "input": {"query": "parcel"}},
        "id": "srv_1",
    },
    {
        "type": "server_tool_call_response",
        "server_tool_call_response": {"type": RESULT["type"], "content": RESULT["content"]},
        "id": "srv_1",
    },
    {"type": "text", "content": "It is at customs.", "citations": [CITATION]},
    {"type": "tool_call", "id": "toolu_1", "name": "track", "arguments": {"id": 7}},
    {"type": "tool_call", "id": "toolu_2", "name": "now", "arguments": {}},
]


def stream() -> list[bytes]:
    """Return the blocks as a stream, with texts in two pieces."""
    events: list[dict[str, Any]] = [{"type": "message_start", "message": {**HEAD, "usage": START_USAGE}}]
    for index, block in enumerate(BLOCKS):
        begun = {**block, **{key: "" for key in ("thinking", "signature", "text") if key in block}}
        begun.pop("citations", None)
        if "input" in block:
            begun["input"] = {}
        events.append({"type": "content_block_start", "index": index, "content_block": begun})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in _deltas(block)]
        events.append({"type": "content_block_stop", "index": index})
    events.append(
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": {"output_tokens": 40, "input_tokens": None},
        }
    )
    return typed_events(*events, {"type": "message_stop"})


def _deltas(block: dict[str, Any]) -> list[dict[str, Any]]:
    for key in ("thinking", "text"):
        if key in block:
            first = [{"type": f"{key}_delta", key: block[key][:3]}, {"type": f"{key}_delta", key: block[key][3:]}]
            cited = [{"type": "citations_delta", "citation": one} for one in block.get("citations", ())]
            return first + cited
    if block.get("input"):
        text = json.dumps(block["input"])
        return [{"type": "input_json_delta", "partial_json": part} for part in ("", text[:4], text[4:])]
    return []


def span_of(response: Any, request: Any = None, **more: Any) -> NewSpan:
    asked = {"model": "claude-sonnet-4-5", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
    return to_span(exchange(Api.ANTHROPIC_MESSAGES, request or asked, response, **more), Capture.FULL)


def test_blocks_of_every_kind() -> None:
    """Plain and streamed alike: thinking, tools of the provider and of the user, citations; signatures are left out."""
    plain = {**HEAD, "content": BLOCKS, "stop_reason": "tool_use", "usage": {**START_USAGE, "output_tokens": 40}}
    for response in (plain, stream()):
        attributes = span_of(response).attributes
        assert json.loads(str(attributes[names.OUTPUT_MESSAGES])) == [
            {"role": "assistant", "parts": PARTS, "finish_reason": "tool_call"}
        ]
        assert "EqQB" not in repr(attributes)
        expected = {
            names.USAGE_INPUT: 23,
            names.USAGE_OUTPUT: 40,
            names.USAGE_CACHE_READ: 12,
            names.USAGE_CACHE_CREATION: 3,
            names.USAGE_CACHE_CREATION_5M: 1,
            names.USAGE_CACHE_CREATION_1H: 2,
            names.RESPONSE_FINISH_REASONS: ["tool_call"],
            names.RESPONSE_ID: "msg_1",
        }
        assert {key: attributes.get(key) for key in expected} == expected


def test_request() -> None:
    """Instructions stand beside the messages; results of tools, pictures and documents are parts."""
    request = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 100,
        "temperature": 0.5,
        "top_k": 5,
        "top_p": 0.9,
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u-1"},
        "output_config": {"effort": "medium"},
        "system": [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
        "tools": [{"name": "track", "description": "d", "input_schema": {"type": "object"}}],
        "messages": [
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "found"}]},
            {
                "role": "user",
                "content": [
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}},
                    {"type": "text", "text": "and this?"},
                ],
            },
        ],
    }
    attributes = span_of({**HEAD, "usage": START_USAGE}, request).attributes
    expected: dict[str, Any] = {
        names.REQUEST_MAX_TOKENS: 100,
        names.REQUEST_TEMPERATURE: 0.5,
        names.REQUEST_TOP_K: 5.0,
        names.REQUEST_TOP_P: 0.9,
        names.REQUEST_STOP_SEQUENCES: ["END"],
        names.REQUEST_REASONING_LEVEL: "medium",
        names.USER_ID: "u-1",
        names.SYSTEM_INSTRUCTIONS: '[{"type":"text","content":"Be kind."}]',
    }
    assert {key: attributes.get(key) for key in expected} == expected
    assert json.loads(str(attributes[names.TOOL_DEFINITIONS])) == [
        {"type": "function", "name": "track", "description": "d", "parameters": {"type": "object"}}
    ]
    assert json.loads(str(attributes[names.INPUT_MESSAGES])) == [
        {"role": "user", "parts": [{"type": "tool_call_response", "id": "toolu_1", "response": "found"}]},
        {
            "role": "user",
            "parts": [
                {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "iVBO"},
                {"type": "text", "content": "and this?"},
            ],
        },
    ]


def test_error_within_a_stream() -> None:
    """It comes with status 200; what was said before it counts."""
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_1"}
    span = span_of([*stream()[:4], *typed_events(error)])
    assert (span.status_code, span.status_message) == (2, "Overloaded")
    assert span.attributes[names.ERROR_TYPE] == "overloaded_error"
    assert span.attributes[names.USAGE_OUTPUT] == 1
    assert "I should search." in str(span.attributes[names.OUTPUT_MESSAGES])


def test_beginning_not_kept() -> None:
    """Of a stream of which only the end was kept, there are the last words and the usage."""
    events = stream()
    call = exchange(Api.ANTHROPIC_MESSAGES, None, [b"event: message_start\nda", *events[-8:]])
    call.response.gap = 1
    attributes = to_span(call, Capture.FULL).attributes
    assert attributes[names.USAGE_OUTPUT] == 40
    assert attributes[names.CAPTURE_TRUNCATED] is True
    assert attributes[names.RESPONSE_FINISH_REASONS] == ["tool_call"]
