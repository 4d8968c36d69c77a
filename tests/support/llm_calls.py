"""Calls of captures beside what a span says of them: for tests that compare both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from untrace_pipeline.data import Batch, Field, Level, Value
from untrace_plugins.genai import names
from untrace_plugins.genai.words import finish_reason

__all__ = ["SpanView", "differences", "spans_by_id"]

_COUNTS = {
    names.USAGE_INPUT: "input_tokens",
    names.USAGE_OUTPUT: "output_tokens",
    names.USAGE_CACHE_READ: "cache_read_tokens",
    names.USAGE_CACHE_CREATION: "cache_creation_tokens",
    names.USAGE_REASONING: "reasoning_tokens",
}


class SpanView(NamedTuple):
    """What a span says."""

    name: str
    attributes: Mapping[str, Value]
    failed: bool


def spans_by_id(batches: Iterable[Batch]) -> dict[str, SpanView]:
    """Return all spans by their id in hex."""
    fields = [Field(Level.ITEM, name) for name in ("span_id", "name", "attributes", "status.code")]
    found: dict[str, SpanView] = {}
    for batch in batches:
        columns: Any = batch.columns(fields)
        for span_id, name, attributes, status in zip(*columns, strict=True):
            found[span_id.hex()] = SpanView(name, attributes, status == 2)
    return found


def differences(call: Mapping[str, Any], span: SpanView) -> Iterator[str]:
    """Yield the names of what a span says otherwise than it happened."""
    said, attributes = _said(span), span.attributes
    happened = _happened(call)
    said["metadata"] = {key: said["metadata"].get(key) for key in happened["metadata"]}  # libraries add their own
    yield from (name for name, value in happened.items() if said[name] != value)
    if call["error"] and not (names.ERROR_TYPE in attributes or span.failed):
        yield "error"
    if names.DUPLICATE in attributes:
        yield "duplicate"


def _said(span: SpanView) -> dict[str, Any]:
    attributes = span.attributes
    answers = _json(attributes, names.OUTPUT_MESSAGES) or []
    metadata = _json(attributes, names.METADATA) or {}
    return {
        "operation": attributes.get(names.OPERATION),
        "provider": attributes.get(names.PROVIDER),
        "request_model": attributes.get(names.REQUEST_MODEL),
        "response_model": attributes.get(names.RESPONSE_MODEL),
        "response_id": attributes.get(names.RESPONSE_ID),
        **{name: attributes.get(key) or 0 for key, name in _COUNTS.items()},
        "finish_reasons": attributes.get(names.RESPONSE_FINISH_REASONS),
        "output_texts": [text for message in answers if (text := _text(message))],
        "tool_calls": [
            {key: part.get(key) for key in ("id", "name", "arguments")} for part in _parts(answers, "tool_call")
        ],
        "input": [digest for digest in _asked(attributes) if digest],
        "session_id": attributes.get(names.SESSION_ID),
        "user_id": attributes.get(names.USER_ID),
        "tags": attributes.get(names.TAGS),
        "metadata": metadata,
    }


def _happened(call: Mapping[str, Any]) -> dict[str, Any]:
    usage = call["usage"] or {}
    reasons = [finish_reason(one) for one in call["finish_reasons"] or []]
    if call["tool_calls"] and reasons == ["stop"]:  # the Responses API says completed
        reasons = ["tool_call"]
    embeds = call["operation"] == "embeddings"
    return {
        **{name: call[name] for name in ("operation", "provider", "request_model", "response_model", "response_id")},
        **{name: usage.get(name) or 0 for name in _COUNTS.values()},
        "finish_reasons": reasons or None,
        "output_texts": [] if embeds else [text for text in call["output_texts"] or [] if text],
        "tool_calls": call["tool_calls"],
        "input": list(_request_texts(call["request"])),
        **{name: call[name] for name in ("session_id", "user_id", "tags")},
        "metadata": call["metadata"] or {},
    }


def _json(attributes: Mapping[str, Value], key: str) -> Any:
    value = attributes.get(key)
    return json.loads(value) if isinstance(value, str) else None


def _parts(messages: Iterable[Mapping[str, Any]], kind: str) -> Iterator[dict[str, Any]]:
    for message in messages:
        yield from (part for part in message["parts"] if part["type"] == kind)


def _text(message: Mapping[str, Any]) -> str:
    return "".join(part["content"] for part in _parts([message], "text"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16] if text else ""


def _asked(attributes: Mapping[str, Value]) -> Iterator[str]:
    """Yield digests of every text, call and result of the prompt, in order."""
    for part in _json(attributes, names.SYSTEM_INSTRUCTIONS) or ():
        yield _digest(part["content"])
    for message in _json(attributes, names.INPUT_MESSAGES) or ():
        for part in message["parts"]:
            match part["type"]:
                case "text":
                    yield _digest(part["content"])
                case "tool_call":
                    yield f"call {part['name']}"
                case "tool_call_response":
                    yield f"answer {part['id']}"
                case "blob" | "uri":
                    yield part["modality"]


def _request_texts(request: Mapping[str, Any]) -> Iterator[str]:
    """Yield the same of the body that the provider received."""
    for key in ("system", "instructions"):
        yield from _content_texts(request.get(key))
    given = request.get("messages", request.get("input"))
    for message in given if isinstance(given, list) else [given]:
        if not isinstance(message, dict) or "$long" in message:
            yield from _content_texts(message)
        elif message.get("role") == "tool" or message.get("type") == "function_call_output":
            yield f"answer {message.get('tool_call_id', message.get('call_id'))}"
        elif message.get("type") == "function_call":
            yield f"call {message['name']}"
        else:
            yield from _content_texts(message.get("content"))
            yield from (f"call {one['function']['name']}" for one in message.get("tool_calls") or ())


def _content_texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield _digest(content)
    elif isinstance(content, dict) and content.get("$long"):
        yield content["sha256"][:16]
    elif isinstance(content, list):
        for block in content:
            match block["type"]:
                case "text" | "input_text" | "output_text":
                    yield from _content_texts(block["text"])
                case "tool_use":
                    yield f"call {block['name']}"
                case "tool_result":
                    yield f"answer {block['tool_use_id']}"
                case "image" | "image_url" | "input_image":
                    yield "image"
