"""Messages in the shape of OpenAI's chat API, which most destinations and all older conventions are built on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, TypeAlias

from untrace_plugins.genai import names
from untrace_plugins.genai.emit.content import Message, as_text, read_objects
from untrace_plugins.genai.emit.span import Changes, Span, strings

__all__ = [
    "ANSWERED",
    "SENT",
    "Chat",
    "chat",
    "data_url",
    "finish_reasons",
    "spent",
    "tools",
]

Chat: TypeAlias = dict[str, Any]
"""One message: ``role``, ``content`` (text, or a list of parts), ``tool_calls``, ``tool_call_id``, ``name``."""

SENT: Final = (names.INPUT_MESSAGES, names.SYSTEM_INSTRUCTIONS)
ANSWERED: Final = (names.OUTPUT_MESSAGES,)

_AUDIO_FORMATS: Final = {"audio/mpeg": "mp3", "audio/wav": "wav", "audio/x-wav": "wav"}


def finish_reasons(span: Span, answered: Sequence[Message]) -> list[str | None]:
    """Return why each choice ended: the message's own reason, or that of its place in the list of the span."""
    listed = strings(span.attributes.get(names.RESPONSE_FINISH_REASONS))
    places = enumerate(answered)
    return [one.finish_reason or (listed[place] if place < len(listed) else None) for place, one in places]


def spent(span: Span, messages: Iterable[Message], attributes: Iterable[str]) -> Changes:
    """Return the removal of what a form says in its own words; nothing where it has no words for all of it."""
    return {name: None for name in attributes if name in span.attributes} if all(m.plain for m in messages) else {}


def chat(messages: Iterable[Message]) -> list[Chat]:
    """Return messages in the chat API's shape; each result of a tool becomes a message of its own."""
    return [one for message in messages for one in _split(message)]


def _split(message: Message) -> Iterator[Chat]:
    responses = [part for part in message.parts if part["type"] == "tool_call_response"]
    for part in responses:
        yield {"role": "tool", "tool_call_id": part.get("id"), "content": as_text(part.get("response"))}
    if len(responses) < len(message.parts) or not responses:
        yield _chat(message)


def _chat(message: Message) -> Chat:
    result: Chat = {"role": message.role, "content": _content(message.parts)}
    calls = [_tool_call(part) for part in message.parts if part["type"] == "tool_call"]
    if calls:
        result["tool_calls"] = calls
    if message.name:
        result["name"] = message.name
    return result


def _content(parts: Iterable[dict[str, Any]]) -> str | list[dict[str, Any]] | None:
    shown = [part for part in parts if part["type"] not in {"tool_call", "tool_call_response"}]
    if not shown:
        return None
    if len(shown) == 1 and shown[0]["type"] == "text":
        return as_text(shown[0].get("content"))
    return [_content_part(part) for part in shown]


def _content_part(part: dict[str, Any]) -> dict[str, Any]:
    kind, modality = part["type"], part.get("modality")
    if kind == "text":
        return {"type": "text", "text": as_text(part.get("content"))}
    if kind == "reasoning":
        return {"type": "thinking", "thinking": as_text(part.get("content"))}
    if kind == "file" and modality == "document":
        return {"type": "file", "file": {"file_id": part.get("file_id")}}
    if kind == "uri" and modality == "image":
        return {"type": "image_url", "image_url": {"url": part.get("uri")}}
    if kind == "blob" and modality == "image":
        return {"type": "image_url", "image_url": {"url": data_url(part)}}
    audio = _AUDIO_FORMATS.get(as_text(part.get("mime_type")))
    if kind == "blob" and audio is not None:
        return {"type": "input_audio", "input_audio": {"data": part.get("content"), "format": audio}}
    return part


def data_url(part: dict[str, Any]) -> str:
    """Return the content of a blob as a URL; without a type it is a library's own reference, and goes as it is."""
    content, mime_type = as_text(part.get("content")), part.get("mime_type")
    return content if mime_type is None else f"data:{as_text(mime_type)};base64,{content}"


def _tool_call(part: dict[str, Any]) -> dict[str, Any]:
    arguments = part.get("arguments")
    function = {"name": part.get("name"), "arguments": "" if arguments is None else as_text(arguments)}
    return {"id": part.get("id"), "type": "function", "function": function}


def tools(span: Span) -> list[dict[str, Any]] | None:
    """Return the tool definitions in the chat API's shape, ``None`` if they are absent or malformed."""
    found = read_objects(span.attributes.get(names.TOOL_DEFINITIONS))
    return None if found is None else [_tool(one) for one in found]


def _tool(definition: dict[str, Any]) -> dict[str, Any]:
    if definition.get("type") != "function" or "function" in definition:
        return definition
    return {"type": "function", "function": {key: value for key, value in definition.items() if key != "type"}}
