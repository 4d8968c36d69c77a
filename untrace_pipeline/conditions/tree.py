"""The tree of a condition or statement, as ``syntax`` reads it. Positions are characters of the text, from 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from untrace_pipeline.data import Value

__all__ = [
    "Binary",
    "Call",
    "Enumerator",
    "ListOf",
    "Literal",
    "MapOf",
    "Node",
    "Path",
    "Segment",
    "Statement",
    "Unary",
]


@dataclass(frozen=True, slots=True)
class Literal:
    """A string, bytes, number, boolean or nil."""

    value: Value
    position: int


@dataclass(frozen=True, slots=True)
class ListOf:
    """``[1, "a"]``."""

    elements: tuple[Node, ...]
    position: int


@dataclass(frozen=True, slots=True)
class MapOf:
    """``{"a": 1}``."""

    entries: tuple[tuple[str, Node], ...]
    position: int


@dataclass(frozen=True, slots=True)
class Segment:
    """One name of a path with its indexes: ``attributes["a"][0]``."""

    name: str
    keys: tuple[Node, ...]
    position: int


@dataclass(frozen=True, slots=True)
class Path:
    """``resource.attributes["service.name"]``."""

    segments: tuple[Segment, ...]
    position: int


@dataclass(frozen=True, slots=True)
class Enumerator:
    """``SPAN_KIND_SERVER``."""

    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Call:
    """``IsMatch(name, "^a")``; names of arguments are empty where they are given by place."""

    name: str
    arguments: tuple[tuple[str, Node], ...]
    keys: tuple[Node, ...]
    position: int


@dataclass(frozen=True, slots=True)
class Unary:
    """``not``, ``-`` or ``+``."""

    operator: str
    operand: Node
    position: int


@dataclass(frozen=True, slots=True)
class Binary:
    """Comparisons, arithmetic, ``and``, ``or``; the position is the operator's."""

    operator: str
    left: Node
    right: Node
    position: int


Node: TypeAlias = Literal | ListOf | MapOf | Path | Enumerator | Call | Unary | Binary


@dataclass(frozen=True, slots=True)
class Statement:
    """``set(name, "x") where kind == 1``."""

    editor: Call
    where: Node | None
