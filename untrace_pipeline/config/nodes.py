"""The tree of a configuration: nodes that know their place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from untrace_pipeline.config.diagnostics import Path

__all__ = ["List", "Map", "Node", "Place", "Scalar", "Source", "find", "to_python"]

_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


@dataclass(frozen=True, eq=False)
class Source:
    """A file, or a text that stands for one."""

    name: str
    """As the user wrote it; never holds values."""
    text: str = ""
    in_file: bool = True
    """Whether lines of it may be shown."""

    @cached_property
    def lines(self) -> Sequence[str]:
        """The lines as YAML counts them, without their ends."""
        return _BREAK.split(self.text)


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands: first character and the one after the last; lines and columns from 1."""

    source: Source
    line: int
    column: int
    end_line: int
    end_column: int

    @property
    def width(self) -> int:
        """Characters on the first line."""
        if self.end_line == self.line:
            return max(1, self.end_column - self.column)
        return max(1, len(self.source.lines[self.line - 1]) - self.column + 1)


@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """A single value; ``text`` is what a string option gets, ``written`` is the reference it was expanded from."""

    place: Place
    value: str | int | float | bool | None
    text: str
    written: str | None = None
    weight: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class List:
    """A list; ``text`` and ``written`` as in :class:`Scalar`, where it comes out of a reference."""

    place: Place
    items: Sequence[Node]
    text: str | None = None
    written: str | None = None
    weight: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Map:
    """A mapping; keys are always strings, each with its own place."""

    place: Place
    entries: dict[str, tuple[Place, Node]]
    text: str | None = None
    written: str | None = None
    weight: int = 1


Node: TypeAlias = Scalar | List | Map


def to_python(node: Node) -> Any:
    """Return the plain value of a tree."""
    if isinstance(node, Map):
        return {key: to_python(value) for key, (_, value) in node.entries.items()}
    if isinstance(node, List):
        return [to_python(item) for item in node.items]
    return node.value


def find(root: Node, path: Path) -> tuple[Place | None, Node, int]:
    """Follow a path as far as it goes; return the key's place, the node, and how many steps were taken."""
    key: Place | None = None
    node = root
    for taken, step in enumerate(path):
        if isinstance(node, Map) and str(step) in node.entries:
            key, node = node.entries[str(step)]
        elif isinstance(node, List) and isinstance(step, int) and 0 <= step < len(node.items):
            node = node.items[step]
            key = node.place
        else:
            return key, node, taken
    return key, node, len(path)
