"""A document before it is JSON, and what all forms write in the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from untrace_plugins.bulk.index import Index

__all__ = ["Fields", "Sketch", "without_empty"]

Fields = dict[str, Any]


class Sketch(NamedTuple):
    """A document before it is JSON."""

    target: Index
    fields: Fields
    items: Sequence[int]
    id: str = ""
    """What identifies it; empty = its content."""
    takes_id: bool = True
    """Whether the server lets us choose the id."""
    templates: Mapping[str, str] | None = None


def without_empty(fields: Fields) -> Fields:
    """Return the fields that have a value; zeros and empty texts are none."""
    return {name: value for name, value in fields.items() if value}
