"""Content that comes as events rather than as attributes: log records, span events, and events within an attribute.

Until v1.36 each message was an event of its own, named for its role, and each answer a ``gen_ai.choice``. From v1.37
one event has everything: ``gen_ai.client.inference.operation.details``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from untrace_pipeline.data.fields import Value
from untrace_plugins.genai import names
from untrace_plugins.genai.messages import input_messages, instructions, output_messages
from untrace_plugins.genai.values import dump, load, structure

__all__ = ["CONTENT_EVENTS", "DETAILS", "conversation", "event_content", "merged"]

DETAILS = "gen_ai.client.inference.operation.details"

_ROLES: Mapping[str, str] = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
    "gen_ai.tools.message": "tool",
}
_CHOICE = "gen_ai.choice"
_PLAIN: Mapping[str, tuple[str, bool]] = {
    "gen_ai.content.prompt": ("gen_ai.prompt", False),
    "gen_ai.content.completion": ("gen_ai.completion", True),
}
"""Older span events: the attribute with the content, and whether it is an answer."""

_AZURE = "gen_ai.event.content"
"""Attribute of Azure's SDK with what is the body of an event elsewhere, as JSON."""
_NESTED = frozenset({"message", "tool_calls"})
"""Attributes of span events that are JSON, since attributes have no maps; content is text, whatever it looks like."""

CONTENT_EVENTS = frozenset({DETAILS, _CHOICE, *_ROLES, *_PLAIN})
"""Names of events that have content of a span."""


def conversation(events: Iterable[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return messages and answers of events in order; each has its name as ``event.name`` and its body flat."""
    asked: list[dict[str, Any]] = []
    answered: list[dict[str, Any]] = []
    for event in events:
        name = event.get("event.name")
        body = {key: value for key, value in event.items() if "." not in key}
        if name == _CHOICE:
            answered.append({"role": "assistant", **body})
        elif isinstance(name, str) and name in _ROLES:
            asked.append({"role": _ROLES[name], **body})
        elif name in _PLAIN:
            key, answer = _PLAIN[str(name)]
            given = structure(event.get(key))
            (answered if answer else asked).extend(_all(given, "assistant" if answer else "user"))
    return asked, answered


def _all(given: object, role: str) -> list[dict[str, Any]]:
    if isinstance(given, list):
        return [one for one in given if isinstance(one, dict)]
    return [given if isinstance(given, dict) else {"role": role, "content": given}] if given else []


def event_content(name: str, body: Value, attributes: Mapping[str, Value]) -> dict[str, Value]:
    """Return the canonical attributes that one event has for its span.

    ``body`` is that of a log record, or ``None``. Messages are lists of JSON, to be joined with :func:`merged`.
    """
    if name == DETAILS:
        found = {**attributes, **(body if isinstance(body, dict) else {})}
        return {key: _text(found[key]) for key in _DETAILS if found.get(key) is not None}
    if body is None:
        body = load(attributes.get(_AZURE))
    flat = {key: structure(value) if key in _NESTED else value for key, value in attributes.items()}
    if isinstance(body, dict):
        flat |= body
    if isinstance(body, str):
        flat["content"] = body
    asked, answered = conversation([{**flat, "event.name": name}])
    content: dict[str, Value] = {}
    if asked:
        content[names.INPUT_MESSAGES] = input_messages(asked)
    if answered:
        content[names.OUTPUT_MESSAGES] = output_messages(answered)
    return {key: value for key, value in content.items() if value is not None}


_DETAILS = (
    names.INPUT_MESSAGES,
    names.OUTPUT_MESSAGES,
    names.SYSTEM_INSTRUCTIONS,
    names.TOOL_DEFINITIONS,
    names.RESPONSE_FINISH_REASONS,
    *names.USAGE,
)


def _text(value: Value) -> Value:
    """Return structured content as the JSON text that it is on spans."""
    return dump(value) if isinstance(value, dict) or (isinstance(value, list) and _structured(value)) else value


def _structured(value: list[Value]) -> bool:
    return any(isinstance(one, dict) for one in value)


def merged(contents: Iterable[Mapping[str, Value]]) -> dict[str, Value]:
    """Join what several events have for one span: messages in order, of other attributes the first."""
    found: dict[str, Value] = {}
    lists: dict[str, list[Any]] = {}
    for content in contents:
        for key, value in content.items():
            if key in (names.INPUT_MESSAGES, names.OUTPUT_MESSAGES):
                messages = load(value)
                lists.setdefault(key, []).extend(messages if isinstance(messages, list) else [])
            else:
                found.setdefault(key, value)
    for key, messages in lists.items():
        found[key] = dump(messages)
    if names.SYSTEM_INSTRUCTIONS in found:
        found[names.SYSTEM_INSTRUCTIONS] = instructions(found[names.SYSTEM_INSTRUCTIONS])
    return found
