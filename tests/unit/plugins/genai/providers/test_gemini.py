"""Gemini beyond the usual: prompts that are blocked, tools that count, both cases of names, Vertex AI's paths."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.exchanges import exchange
from untrace_pipeline.data.compose import NewSpan
from untrace_plugins.genai import names
from untrace_plugins.genai.providers.exchange import Api, Capture
from untrace_plugins.genai.providers.span import to_span

pytestmark = pytest.mark.once

ANSWER: dict[str, Any] = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [
                    {"text": "hm", "thought": True},
                    {"text": "see "},
                    {"text": "this"},
                    {"inlineData": {"mimeType": "image/png", "data": "iVBO"}},
                ],
            },
            "finishReason": "MAX_TOKENS",
            "index": 0,
        }
    ],
    "usageMetadata": {
        "promptTokenCount": 10,
        "toolUsePromptTokenCount": 5,
        "cachedContentTokenCount": 4,
        "candidatesTokenCount": 7,
        "thoughtsTokenCount": 3,
    },
    "modelVersion": "gemini-2.5-flash",
    "responseId": "r-1",
}


def span_of(response: Any, request: Any = None, **more: Any) -> NewSpan:
    asked = {"contents": [{"parts": [{"text": "hi"}]}]}
    return to_span(exchange(Api.GEMINI_GENERATE_CONTENT, request or asked, response, **more), Capture.FULL)


def chunked(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return an answer as a stream has it: a part in each, the end in the last."""
    candidate = answer["candidates"][0]
    parts = candidate["content"]["parts"]
    chunks: list[dict[str, Any]] = [{"candidates": [{"content": {"parts": [part]}, "index": 0}]} for part in parts]
    chunks[-1]["candidates"][0]["finishReason"] = candidate["finishReason"]
    chunks[-1] |= {key: value for key, value in answer.items() if key != "candidates"}
    return chunks


def test_parts_and_counts() -> None:
    """Thoughts are output, what tools fed in is input; a stream joins its texts."""
    events = [b"data: " + json.dumps(chunk).encode() + b"\r\n\r\n" for chunk in chunked(ANSWER)]
    array = [(b"," if number else b"[") + json.dumps(chunk).encode() for number, chunk in enumerate(chunked(ANSWER))]
    texts: dict[str, list[str]] = {"plain": ["see ", "this"], "events": ["see this"], "array": ["see this"]}
    for form, response in (("plain", ANSWER), ("events", events), ("array", [*array, b"]"])):
        attributes = span_of(response).attributes
        assert json.loads(str(attributes[names.OUTPUT_MESSAGES])) == [
            {
                "role": "assistant",
                "parts": [
                    {"type": "reasoning", "content": "hm"},
                    *({"type": "text", "content": text} for text in texts[form]),
                    {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "iVBO"},
                ],
                "finish_reason": "length",
            }
        ]
        expected = {
            names.USAGE_INPUT: 15,
            names.USAGE_OUTPUT: 10,
            names.USAGE_CACHE_READ: 4,
            names.USAGE_REASONING: 3,
            names.RESPONSE_ID: "r-1",
            names.RESPONSE_MODEL: "gemini-2.5-flash",
            names.REQUEST_MODEL: "gemini-2.5-flash",
        }
        assert {key: attributes.get(key) for key in expected} == expected


@pytest.mark.parametrize("snake", [False, True])
def test_request(snake: bool) -> None:
    """Names may be in either case; tools that are no functions keep their name."""
    config = {
        "max_output_tokens": 10,
        "top_p": 0.5,
        "top_k": 3,
        "stop_sequences": ["END"],
        "candidate_count": 2,
        "response_mime_type": "application/json",
        "thinking_config": {"thinking_level": "HIGH"},
    }
    request: dict[str, Any] = {
        "system_instruction": {"parts": [{"text": "Be kind."}]},
        "generation_config": {**config, "temperature": 0.1, "seed": 7},
        "tools": [{"function_declarations": [{"name": "look", "parameters": {}}]}, {"google_search": {}}],
        "contents": [
            {"role": "model", "parts": [{"functionCall": {"name": "look", "args": {"a": 1}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "look", "response": {"b": 2}}}]},
        ],
    }
    attributes = span_of(ANSWER, request if snake else _camel(request)).attributes
    expected = {
        names.REQUEST_MAX_TOKENS: 10,
        names.REQUEST_TOP_P: 0.5,
        names.REQUEST_TOP_K: 3.0,
        names.REQUEST_TEMPERATURE: 0.1,
        names.REQUEST_SEED: 7,
        names.REQUEST_STOP_SEQUENCES: ["END"],
        names.REQUEST_CHOICE_COUNT: 2,
        names.REQUEST_REASONING_LEVEL: "high",
        names.OUTPUT_TYPE: "json",
        names.SYSTEM_INSTRUCTIONS: '[{"type":"text","content":"Be kind."}]',
    }
    assert {key: attributes.get(key) for key in expected} == expected
    tools = json.loads(str(attributes[names.TOOL_DEFINITIONS]))
    assert [tool["name"].lower().replace("_", "") for tool in tools] == ["look", "googlesearch"]
    assert json.loads(str(attributes[names.INPUT_MESSAGES])) == [
        {"role": "assistant", "parts": [{"type": "tool_call", "name": "look", "arguments": {"a": 1}}]},
        {"role": "user", "parts": [{"type": "tool_call_response", "id": "look", "response": {"b": 2}}]},
    ]


def _camel(value: Any) -> Any:
    if isinstance(value, list):
        return [_camel(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {_camel_name(key): _camel(one) for key, one in value.items()}


def _camel_name(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.title() for word in rest)


def test_blocked_prompt() -> None:
    """There is no candidate, and the reason is the filter."""
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}}
    for response in (blocked, b"data: " + json.dumps(blocked).encode() + b"\n\n"):
        attributes = span_of(response).attributes
        assert attributes[names.RESPONSE_FINISH_REASONS] == ["content_filter"]
        assert names.OUTPUT_MESSAGES not in attributes


def test_error_in_an_array() -> None:
    """A stream that is refused is an array of one error."""
    error = {"error": {"code": 400, "message": "Bad.", "status": "INVALID_ARGUMENT"}}
    span = span_of(json.dumps([error]).encode(), status=400)
    assert (span.attributes[names.ERROR_TYPE], span.status_message) == ("INVALID_ARGUMENT", "Bad.")


def test_vertex() -> None:
    """The model is in the path there, too."""
    path = "/v1/projects/p/locations/europe-west1/publishers/google/models/gemini-2.5-pro:streamGenerateContent"
    span = span_of(ANSWER, path=path, provider="gcp.vertex_ai")
    assert span.name == "generate_content gemini-2.5-pro"
    assert span.attributes[names.REQUEST_STREAM] is True
    assert span.attributes[names.PROVIDER] == "gcp.vertex_ai"
