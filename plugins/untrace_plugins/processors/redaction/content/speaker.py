"""Whose text a text is where it does not say so itself: by attributes beside it, and names of events."""

from __future__ import annotations

import re
from collections.abc import Iterator

from untrace_pipeline.data import Signal
from untrace_pipeline.data.codecs.wire import fields
from untrace_plugins.processors.redaction.content.frames import Frame
from untrace_plugins.processors.redaction.content.rules import Whose
from untrace_plugins.processors.redaction.content.walk import Text

__all__ = ["Speakers"]

_EVENT = re.compile(r"gen_ai\.(system|user|assistant|tool)\.message")
_CHOICE = "gen_ai.choice"
_FIXED = {
    "gen_ai.system_instructions": "system",
    "gen_ai.output.messages": "assistant",
    "gen_ai.tool.call.arguments": "assistant",
    "gen_ai.tool.call.result": "tool",
}
_OUTPUT = ("gen_ai.completion.", "llm.output_messages.")
_LENGTH = 2
_KEY, _VALUE = 1, 2
"""Fields of ``KeyValue``."""
_STRING = 1
"""Field of ``AnyValue``."""
_EVENT_FORM = (2, 3)
_ITEM_FORMS = {Signal.TRACES: (0, 9), Signal.LOGS: (12, 6)}
"""Fields that hold name and attributes; the name of a span says nothing here."""
_INDEXED = re.compile(r"(?:.*\.)?\d+(?=\.)")
"""The part of a flattened key that names a message, or a call within one."""


class Speakers:
    """Answers for the texts of one request; attributes are read once per span, event or record."""

    def __init__(self, signal: Signal, data: bytes) -> None:
        self._data = data
        self._item_form = _ITEM_FORMS.get(signal)
        self._facts: dict[int, dict[str, str]] = {}

    def whose(self, text: Text) -> Whose:
        """Return role and tool."""
        facts = self._of(text)
        return Whose(self._role(text, facts), _tool(text.name, facts))

    def _role(self, text: Text, facts: dict[str, str]) -> str | None:
        for prefix in _prefixes(text.name):
            role = facts.get(f"{prefix}.role") or facts.get(f"{prefix}.message.role")
            if role:
                return role
        event = facts.get("", "") or facts.get("event.name", "")
        if match := _EVENT.fullmatch(event):
            return match[1]
        if event == _CHOICE or text.name.startswith(_OUTPUT):
            return "assistant"
        return _FIXED.get(text.name)

    def _of(self, text: Text) -> dict[str, str]:
        """Return the attributes beside a text that are strings; under "" the name of the event or record."""
        form = _EVENT_FORM if text.owner is text.event else self._item_form if text.owner is text.item else None
        if form is None:
            return {}
        start = text.owner.start
        if start not in self._facts:
            self._facts[start] = dict(_read(self._data, text.owner, form))
        return self._facts[start]


def _prefixes(key: str) -> list[str]:
    """Return the keys of the messages and calls that a flattened key lies in, from the inside out."""
    parts = key.split(".")
    return [".".join(parts[:end]) for end in range(len(parts) - 1, 0, -1)]


def _tool(key: str, facts: dict[str, str]) -> str | None:
    for prefix in _prefixes(key):
        if _INDEXED.match(f"{prefix}.") and (name := facts.get(f"{prefix}.name")):
            return name
    return facts.get("gen_ai.tool.name") or facts.get("tool.name") or facts.get("ai.toolCall.name")


def _read(data: bytes, owner: Frame, form: tuple[int, int]) -> Iterator[tuple[str, str]]:
    """Yield the attributes that are strings, and under "" the name, of a message with these field numbers."""
    name, attributes = form
    for number, wire, _, start, stop in fields(data, owner.start, owner.stop):
        if wire != _LENGTH:
            continue
        if number == name:
            yield "", _text(data, start, stop)
        elif number == attributes:
            yield from _attribute(data, start, stop)


def _attribute(data: bytes, start: int, stop: int) -> Iterator[tuple[str, str]]:
    places = {number: (begin, end) for number, _, _, begin, end in fields(data, start, stop)}
    if {_KEY, _VALUE} <= places.keys():
        for number, wire, _, begin, end in fields(data, *places[_VALUE]):
            if (number, wire) == (_STRING, _LENGTH):
                yield _text(data, *places[_KEY]), _text(data, begin, end)


def _text(data: bytes, start: int, stop: int) -> str:
    return data[start:stop].decode("utf-8", "replace")
