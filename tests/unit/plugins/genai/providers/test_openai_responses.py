"""The Responses API beyond the usual: items of every kind, ends of every kind, streams that break off."""

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

SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}}
OUTPUT: list[dict[str, Any]] = [
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "x"},
    SEARCH,
    {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "look", "arguments": '{"a":1}'},
    {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "yes", "annotations": [{"type": "url_citation"}]}],
    },
]
PARTS: list[dict[str, Any]] = [
    {"type": "reasoning", "content": "hm"},
    {
        "type": "server_tool_call",
        "name": "web_search",
        "server_tool_call": {"type": "web_search", "status": "completed", "action": SEARCH["action"]},
        "id": "ws_1",
    },
    {"type": "tool_call", "id": "call_1", "name": "look", "arguments": {"a": 1}},
    {"type": "text", "content": "yes", "citations": [{"type": "url_citation"}]},
]
USAGE = {"input_tokens": 9, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 3}
WHOLE = {"id": "resp_1", "model": "o4-mini-2025-04-16", "status": "completed", "output": OUTPUT, "usage": USAGE}


def span_of(response: Any, request: Any = None, **more: Any) -> NewSpan:
    asked = {"model": "o4-mini", "input": "hi"}
    return to_span(exchange(Api.OPENAI_RESPONSES, request or asked, response, **more), Capture.FULL)


def answered(span: NewSpan) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(str(span.attributes[names.OUTPUT_MESSAGES]))
    return found


def test_items_of_every_kind() -> None:
    """Items around a message are parts of it."""
    span = span_of(WHOLE)
    assert answered(span) == [{"role": "assistant", "parts": PARTS, "finish_reason": "tool_call"}]
    assert span.attributes[names.USAGE_CACHE_READ] == 4
    assert names.OPENAI_API_TYPE in span.attributes


def test_stream_that_breaks_off() -> None:
    """Without the last event, the answer is what the others have brought."""
    events = typed_events(
        {"type": "response.created", "response": {**WHOLE, "status": "in_progress", "output": [], "usage": None}},
        {"type": "response.output_item.done", "output_index": 0, "item": OUTPUT[0]},
        {"type": "response.output_item.added", "output_index": 1, "item": {**OUTPUT[2], "arguments": ""}},
        {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": '{"a":'},
        {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": "1}"},
        {"type": "response.output_item.added", "output_index": 2, "item": {**OUTPUT[3], "content": []}},
        {"type": "response.output_text.delta", "output_index": 2, "content_index": 0, "delta": "ye"},
    )
    span = span_of(events, error="upstream_reset")
    assert answered(span) == [
        {"role": "assistant", "parts": [PARTS[0], PARTS[2], {"type": "text", "content": "ye"}]},
    ]
    assert span.attributes[names.RESPONSE_ID] == "resp_1"
    assert span.attributes[names.RESPONSE_TIME_TO_FIRST_CHUNK] == pytest.approx(0.004)
    assert not span.attributes.keys() & {*names.USAGE}
    assert span.attributes[names.ERROR_TYPE] == "upstream_reset"


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, ["length"]),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, ["content_filter"]),
        ({"status": "queued", "output": []}, None),
    ],
)
def test_ends(more: dict[str, Any], reason: list[str] | None) -> None:
    """Why an answer ended; one that has not, has not."""
    whole = {**WHOLE, "output": OUTPUT[3:], **more}
    assert span_of(whole).attributes.get(names.RESPONSE_FINISH_REASONS) == reason
    if reason:
        event = typed_events({"type": "response.incomplete", "response": whole})
        assert span_of(event).attributes.get(names.RESPONSE_FINISH_REASONS) == reason


def test_failed() -> None:
    """A response that failed is an error, streamed or not."""
    failed = {**WHOLE, "status": "failed", "output": [], "error": {"code": "server_error", "message": "Sorry."}}
    for response in (failed, typed_events({"type": "response.failed", "response": failed})):
        span = span_of(response)
        assert (span.status_code, span.status_message) == (2, "Sorry.")
        assert span.attributes[names.ERROR_TYPE] == "server_error"
        assert span.attributes[names.RESPONSE_FINISH_REASONS] == ["error"]


def test_request() -> None:
    """Conversation, prompt, format, reasoning; and what logs in at a tool server is not in its definition."""
    request = {
        "model": "o4-mini",
        "instructions": "Be kind.",
        "previous_response_id": "resp_0",
        "conversation": {"id": "conv_1"},
        "prompt": {"id": "pmpt_1", "version": "2"},
        "max_output_tokens": 10,
        "reasoning": {"effort": "high"},
        "text": {"format": {"type": "json_schema"}},
        "safety_identifier": "u-1",
        "tools": [
            {
                "type": "mcp",
                "server_label": "crm",
                "server_url": "https://crm.example",
                "authorization": "canary-1",
                "headers": {"Authorization": "Bearer canary-2"},
            },
            {"type": "function", "name": "look", "parameters": {}},
        ],
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "look"}]},
            OUTPUT[2],
            {"type": "function_call_output", "call_id": "call_1", "output": "found"},
        ],
    }
    span = span_of(WHOLE, request)
    expected = {
        names.REQUEST_PREVIOUS_RESPONSE: "resp_0",
        names.CONVERSATION_ID: "conv_1",
        names.PROMPT_NAME: "pmpt_1",
        names.PROMPT_VERSION: "2",
        names.REQUEST_MAX_TOKENS: 10,
        names.REQUEST_REASONING_LEVEL: "high",
        names.OUTPUT_TYPE: "json",
        names.USER_ID: "u-1",
        names.SYSTEM_INSTRUCTIONS: '[{"type":"text","content":"Be kind."}]',
    }
    assert {key: span.attributes.get(key) for key in expected} == expected
    assert "canary" not in repr(span)
    assert '"server_label":"crm"' in str(span.attributes[names.TOOL_DEFINITIONS])
    assert json.loads(str(span.attributes[names.INPUT_MESSAGES])) == [
        {"role": "user", "parts": [{"type": "text", "content": "look"}]},
        {"role": "assistant", "parts": [PARTS[2]]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_1", "response": "found"}]},
    ]
