"""A call to a model as Anthropic's Messages API would have it: request and answer as JSON objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from untrace_plugins.genai import names
from untrace_plugins.genai.emit.chat import finish_reasons
from untrace_plugins.genai.emit.content import as_text, read_objects
from untrace_plugins.genai.emit.parameters import parameters
from untrace_plugins.genai.emit.span import Span
from untrace_plugins.genai.names import FinishReason

__all__ = ["answered", "asked", "usage_of"]

_WORDS: Final = {"stop": "stop_sequences"}
_STOPS: Final[Mapping[str | None, str]] = {
    FinishReason.STOP: "end_turn",
    FinishReason.LENGTH: "max_tokens",
    FinishReason.TOOL_CALL: "tool_use",
    FinishReason.CONTENT_FILTER: "refusal",
}


def asked(span: Span) -> dict[str, Any]:
    """Return the body of the request: the system's text is beside the messages, results of tools are the user's."""
    sent = span.sent or []
    said = {_WORDS.get(name, name): value for name, value in parameters(span).items()}
    found = {
        "model": span.text(names.REQUEST_MODEL) or span.text(names.RESPONSE_MODEL) or "unknown",
        "system": "\n".join(text for message in sent if message.role == "system" for text in message.texts()),
        "messages": [
            {"role": "assistant" if message.role == "assistant" else "user", "content": _blocks(message.parts)}
            for message in sent
            if message.role != "system"
        ],
        "tools": [_tool(one) for one in read_objects(span.attributes.get(names.TOOL_DEFINITIONS)) or ()],
    }
    return {**{name: value for name, value in found.items() if value or name == "messages"}, **said}


def answered(span: Span) -> dict[str, Any]:
    """Return the body of the answer."""
    messages = span.answered or []
    reason = next(iter(finish_reasons(span, messages)), None)
    found = {
        "id": span.text(names.RESPONSE_ID),
        "type": "message",
        "role": "assistant",
        "model": span.text(names.RESPONSE_MODEL) or span.text(names.REQUEST_MODEL),
        "content": _blocks(part for message in messages for part in message.parts),
        "stop_reason": _STOPS.get(reason, reason),
        "usage": usage_of(span),
    }
    return {name: value for name, value in found.items() if value is not None}


def usage_of(span: Span) -> dict[str, int] | None:
    """Return the counts of tokens, of which those of the cache are not in the input; ``None`` where none are known."""
    read, written = span.count(names.USAGE_CACHE_READ), span.count(names.USAGE_CACHE_CREATION)
    whole = span.count(names.USAGE_INPUT)
    found = {
        "input_tokens": None if whole is None else max(0, whole - (read or 0) - (written or 0)),
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
        "output_tokens": span.count(names.USAGE_OUTPUT),
    }
    return {name: count for name, count in found.items() if count is not None} or None


def _blocks(parts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [_block(part) for part in parts]


def _block(part: dict[str, Any]) -> dict[str, Any]:
    match part["type"], part.get("modality"):
        case "text", _:
            return {"type": "text", "text": as_text(part.get("content"))}
        case "reasoning", _:
            return {"type": "thinking", "thinking": as_text(part.get("content"))}
        case "tool_call", _:
            given = part.get("arguments")
            return {"type": "tool_use", "id": part.get("id"), "name": part.get("name"), "input": given or {}}
        case "tool_call_response", _:
            result = as_text(part.get("response"))
            return {"type": "tool_result", "tool_use_id": part.get("id"), "content": result}
        case "blob", "image":
            source = {"type": "base64", "media_type": part.get("mime_type"), "data": part.get("content")}
            return {"type": "image", "source": source}
        case "uri", "image":
            return {"type": "image", "source": {"type": "url", "url": part.get("uri")}}
    return part


def _tool(definition: dict[str, Any]) -> dict[str, Any]:
    inner = definition.get("function")
    given = inner if isinstance(inner, dict) else definition
    found = {name: given[name] for name in ("name", "description") if given.get(name) is not None}
    return {**found, "input_schema": given.get("parameters") or {}}
