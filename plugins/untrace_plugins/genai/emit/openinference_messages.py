"""Messages in OpenInference: flattened, with indexes, contents in order."""

from __future__ import annotations

from typing import Any

from untrace_plugins.genai import names
from untrace_plugins.genai.emit.chat import ANSWERED, SENT, data_url, spent
from untrace_plugins.genai.emit.content import Message, as_text
from untrace_plugins.genai.emit.span import Changes, Span
from untrace_plugins.genai.emit.words import plain
from untrace_plugins.genai.names import Operation

__all__ = ["flattened_messages"]


def flattened_messages(span: Span) -> Changes:
    """Return the messages; canonical ones stay beside them where they say more."""
    changes: Changes = {}
    sent = span.sent
    if sent:
        changes |= _embedded(span, sent) or _numbered("llm.input_messages", sent)
        changes |= spent(span, sent, SENT)
    answered = span.answered
    if answered:
        changes |= _numbered("llm.output_messages", answered)
        changes |= spent(span, answered, ANSWERED)
    return changes


def _embedded(span: Span, sent: list[Message]) -> Changes:
    """Return the texts that were embedded, nothing where anything else was sent."""
    if span.text(names.OPERATION) != Operation.EMBEDDINGS:
        return {}
    if any(message.role != "user" or len(message.parts) != 1 or not message.texts() for message in sent):
        return {}
    texts = enumerate(message.texts()[0] for message in sent)
    return {f"embedding.embeddings.{place}.embedding.text": text for place, text in texts}


def _numbered(prefix: str, messages: list[Message]) -> Changes:
    changes: Changes = {}
    rows = [row for message in messages for row in _rows(message)]
    for number, row in enumerate(rows):
        changes |= {f"{prefix}.{number}.message.{key}": value for key, value in row.items()}
    return changes


def _rows(message: Message) -> list[Changes]:
    """Return the attributes of a message; each result of a tool becomes a message of its own."""
    rows = [_response(part) for part in message.parts if part["type"] == "tool_call_response"]
    if len(rows) == len(message.parts) and rows:
        return rows
    row: Changes = {"role": message.role}
    if message.name:
        row["name"] = message.name
    calls = [part for part in message.parts if part["type"] == "tool_call"]
    for place, part in enumerate(calls):
        row |= _call(f"tool_calls.{place}.tool_call", part)
    contents = [part for part in message.parts if part["type"] not in {"tool_call", "tool_call_response"}]
    if len(contents) == 1 and contents[0]["type"] == "text":
        row["content"] = as_text(contents[0].get("content"))
    else:
        for place, part in enumerate(contents):
            row |= _content(f"contents.{place}.message_content", part)
    return [*rows, row]


def _response(part: dict[str, Any]) -> Changes:
    row: Changes = {"role": "tool", "content": as_text(part.get("response"))}
    if part.get("id") is not None:
        row["tool_call_id"] = as_text(part["id"])
    return row


def _call(at: str, part: dict[str, Any]) -> Changes:
    row: Changes = {f"{at}.function.name": as_text(part.get("name"))}
    if part.get("arguments") is not None:
        row[f"{at}.function.arguments"] = as_text(part["arguments"])
    if part.get("id") is not None:
        row[f"{at}.id"] = as_text(part["id"])
    return row


def _content(at: str, part: dict[str, Any]) -> Changes:
    kind, modality = part["type"], part.get("modality")
    if kind in {"text", "reasoning"}:
        return {f"{at}.type": kind, f"{at}.text": as_text(part.get("content"))}
    if kind in {"uri", "blob"} and modality in {"image", "audio"}:
        url = as_text(part.get("uri")) if kind == "uri" else data_url(part)
        return {f"{at}.type": modality, f"{at}.{modality}.{modality}.url": url}
    return {f"{at}.{key}": plain(value) for key, value in part.items() if value is not None}
