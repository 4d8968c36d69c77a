"""What an emitter is given, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from untrace_pipeline.data import Value

__all__ = ["Changes", "Span", "rename", "strings"]

Changes: TypeAlias = dict[str, Value]
"""Attributes to set; ``None`` removes one."""


@dataclass(frozen=True, slots=True)
class Span:
    """A span in canonical form, as far as an emitter looks at it. Times are Unix nanoseconds, 0 = unknown."""

    attributes: Mapping[str, Value] = field(default_factory=dict)
    start_time_unix_nano: int = 0
    end_time_unix_nano: int = 0

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


def rename(span: Span, names: Mapping[str, str]) -> Changes:
    """Return the changes that give attributes other names; those that are absent are passed over."""
    changes: Changes = {}
    for old, new in names.items():
        value = span.attributes.get(old)
        if value is not None:
            changes[new] = value
            changes[old] = None
    return changes


def strings(value: Value) -> list[str]:
    """Return the strings of an attribute that should be a list of strings."""
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
