"""What an emitter is given, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TypeAlias

from untrace_pipeline.data import Value
from untrace_plugins.genai import names
from untrace_plugins.genai.emit.content import Message, is_plain, read_messages, read_parts

__all__ = ["Changes", "Span", "beside", "rename", "strings"]

Changes: TypeAlias = dict[str, Value]
"""Attributes to set; ``None`` removes one."""


class Span:
    """A span in canonical form, as far as an emitter looks at it. Times are Unix nanoseconds, 0 = unknown."""

    def __init__(
        self, attributes: Mapping[str, Value], start_time_unix_nano: int = 0, end_time_unix_nano: int = 0
    ) -> None:
        self.attributes = attributes
        self.start_time_unix_nano = start_time_unix_nano
        self.end_time_unix_nano = end_time_unix_nano

    @cached_property
    def sent(self) -> list[Message] | None:
        """What was sent, the system instructions first, ``None`` if it is absent or malformed."""
        found = self.attributes.get(names.INPUT_MESSAGES)
        messages = read_messages(found)
        if found is not None and messages is None:
            return None
        found = self.attributes.get(names.SYSTEM_INSTRUCTIONS)
        if found is None:
            return messages
        instructions = read_parts(found)
        if instructions is None:
            return None
        first = Message("system", instructions, plain=all(map(is_plain, instructions)))
        return [first, *(messages or ())]

    @cached_property
    def answered(self) -> list[Message] | None:
        """What was answered, one message per choice, ``None`` if it is absent or malformed."""
        return read_messages(self.attributes.get(names.OUTPUT_MESSAGES))

    def text(self, name: str) -> str | None:
        """Return an attribute that should be a string, or ``None`` where it is absent or something else."""
        value = self.attributes.get(name)
        return value if isinstance(value, str) else None

    def count(self, name: str) -> int | None:
        """Return an attribute that should be a count of tokens, or ``None``."""
        value = self.attributes.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None

    def number(self, name: str) -> float | None:
        """Return an attribute that should be a number, or ``None``."""
        value = self.attributes.get(name)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def beside(span: Span, words: Mapping[str, str]) -> Changes:
    """Return the changes that give attributes other names beside their own; those that are absent are passed over."""
    return {new: value for old, new in words.items() if (value := span.attributes.get(old)) is not None}


def rename(span: Span, words: Mapping[str, str]) -> Changes:
    """Return the changes that give attributes other names; those that are absent are passed over."""
    changes: Changes = {}
    for old, new in words.items():
        value = span.attributes.get(old)
        if value is not None:
            changes[new] = value
            changes[old] = None
    return changes


def strings(value: Value) -> list[str]:
    """Return the strings of an attribute that should be a list of strings."""
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
