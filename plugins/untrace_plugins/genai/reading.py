"""One span while dialects read it: what it had, what they understood, and which of its attributes that came from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from untrace_pipeline.data.fields import Value
from untrace_plugins.genai import names
from untrace_plugins.genai.values import Convert, integer, text
from untrace_plugins.genai.words import operation, span_kind

__all__ = ["UNREADABLE", "Numbered", "Reading", "Table", "numbered"]

Table: TypeAlias = Mapping[str, tuple[str, Convert]]
"""Attribute of a dialect -> canonical attribute, and what makes its value canonical."""

Numbered: TypeAlias = Mapping[str, Sequence[str]]
"""Flattened attributes by what stands before their first number."""

UNREADABLE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What converters raise over values of a shape or depth that nobody foresaw."""

_NUMBER = re.compile(r"\.(?=\d)")
_PLAIN = frozenset({str, int, float, bool})


def numbered(keys: Iterable[str]) -> Numbered:
    """Return which of these keys are flattened."""
    found: dict[str, list[str]] = {}
    for key in keys:
        if (number := _NUMBER.search(key)) is not None:
            found.setdefault(key[: number.end()], []).append(key)
    return found


class Reading:
    """The attributes of one span, and the canonical ones that come of them. The first reader of an attribute wins."""

    __slots__ = ("_numbered", "attributes", "duplicate", "forced", "malformed", "own", "start", "used", "values")

    def __init__(self, attributes: Mapping[str, Value], numbered: Numbered, start: int = 0) -> None:
        self.attributes = attributes
        self._numbered = numbered
        self.start = start
        """Nanoseconds since the epoch; 0 if unknown."""
        self.values: dict[str, Value] = {}
        self.used: set[str] = set()
        """Attributes that are represented in ``values``."""
        self.malformed: list[str] = []
        """Attributes whose value made no sense; they stay as they are."""
        self.forced: set[str] = set()
        """Canonical attributes that are right although the span says something else."""
        self.own: set[str] = set()
        """Canonical attributes whose value comes from the attribute of that name."""
        self.duplicate = False
        """Whether another span counts for the call, as the dialect has it."""

    def put(self, canonical: str, value: Value, *sources: str) -> None:
        """Set a canonical attribute unless it is set, and note what it came from. ``None`` says nothing."""
        if value is not None:
            if canonical not in self.values:
                self.values[canonical] = value if value.__class__ in _PLAIN else _plain(value)
            if sources:
                self.used.update(sources)

    def force(self, canonical: str, value: Value) -> None:
        """Set a canonical attribute whatever others say; ``None`` removes it from the span."""
        self.values[canonical] = _plain(value)
        self.forced.add(canonical)

    def take(self, source: str, canonical: str, convert: Convert = text) -> None:
        """Set a canonical attribute from one of the span, if it has it. Empty strings stand for absent values."""
        value = self.attributes.get(source)
        if value is not None and value != "":
            found = self.attempt(convert, value, source)
            if source == canonical and found is not None and canonical not in self.values:
                self.own.add(canonical)
            self.put(canonical, found, source)

    def kind(self, source: str, value: Value = None) -> None:
        """Set the operation, or where the convention has none the kind of span, that a dialect's word means."""
        word = self.attributes.get(source) if value is None else value
        self.put(names.OPERATION, operation(word), source)
        if names.OPERATION not in self.values:
            self.put(names.SPAN_KIND, span_kind(word), source)

    def table(self, table: Table) -> None:
        """Take everything that a table names, in its order."""
        for source in filter(self.attributes.__contains__, table):
            self.take(source, *table[source])

    def attempt(self, convert: Callable[[Any], Any], value: object, source: str) -> Any:
        """Return the converted value; what cannot be converted is noted, and stays what it is.

        Values come from anybody's code, in any shape and depth: no error that they cause may end a batch.
        """
        try:
            found = convert(value)
        except UNREADABLE:
            found = None
        if found is None:
            self.malformed.append(source)
        return found

    def prefixed(self, prefix: str) -> Iterator[tuple[str, Value]]:
        """Yield what follows a prefix, and the value, of each attribute that has it."""
        for key, value in self.attributes.items():
            if key.startswith(prefix):
                yield key[len(prefix) :], value

    def has_prefix(self, prefix: str) -> bool:
        """Return whether any attribute begins so."""
        return any(key.startswith(prefix) for key in self.attributes)

    def indexed(self, prefix: str) -> list[dict[str, Any]]:
        """Return the list that flattened attributes ``prefix.0.a``, ``prefix.0.b.0.c``, ``prefix.1.a`` … make.

        Missing numbers leave no gap. The attributes count as used.
        """
        tree: dict[str, Any] = {}
        for key in self._numbered.get(prefix, ()):
            self.used.add(key)
            _plant(tree, key[len(prefix) :].split("."), self.attributes[key])
        found = _listed(tree)
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    def tokens(self, counts: Iterable[tuple[str, Any]], *sources: str) -> None:
        """Set token counts that are numbers; others say nothing."""
        for canonical, value in counts:
            self.put(canonical, integer(value), *sources)


def _plain(value: Value) -> Value:
    """Return texts as plain strings, without the enumeration that they may be from."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, str) else value


def _plant(tree: dict[str, Any], path: list[str], value: Value) -> None:
    for step in path[:-1]:
        inner = tree.get(step)
        if not isinstance(inner, dict):
            inner = tree[step] = {}
        tree = inner
    tree.setdefault(path[-1], value)


def _listed(tree: Any) -> Any:
    """Make lists of the maps whose keys are numbers, from the inside out."""
    if not isinstance(tree, dict):
        return tree
    found = {key: _listed(value) if isinstance(value, dict) else value for key, value in tree.items()}
    if found and all(key.isascii() and key.isdigit() for key in found):
        return [found[key] for key in sorted(found, key=int)]
    return found
