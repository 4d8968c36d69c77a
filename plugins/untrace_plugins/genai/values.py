"""Values of attributes as they come, in the types that the canonical form wants.

Instrumentations send numbers as strings, booleans as ``"True"``, lists as JSON or as ``repr`` of Python. Every function
returns ``None`` for what it cannot make sense of, and never raises.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable
from typing import Any, TypeAlias

import orjson

from untrace_pipeline.data.fields import Value

__all__ = [
    "Convert",
    "boolean",
    "dump",
    "exact_structure",
    "integer",
    "json_text",
    "load",
    "number",
    "python_literal",
    "structure",
    "text",
    "texts",
]

Convert: TypeAlias = Callable[[Value], Value]

LITERAL_LIMIT = 1 << 20
"""Longest ``repr`` that is parsed, in characters: the parser of Python takes some hundred bytes for each."""
TOKENS_LIMIT = 1 << 53
"""Counts above this are no counts; JavaScript could not write them either."""

_LONG_NUMBER = re.compile(r"\d{17}|\d[eE][+-]?\d")
"""Numbers that a double may not hold exactly."""


def text(value: Value) -> str | None:
    """Return a string that is not empty."""
    return value if isinstance(value, str) and value else None


def integer(value: Value) -> int | None:
    """Return a whole number: 5, 5.0, ``"5"``. Signs and sizes are whatever came, within 64 bits."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if -(1 << 63) <= value < 1 << 63 else None
    found = number(value)
    return int(found) if found is not None and found.is_integer() and abs(found) < TOKENS_LIMIT else None


def number(value: Value) -> float | None:
    """Return a finite number, also from a string."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def boolean(value: Value) -> bool | None:
    """Return a boolean, also from ``"True"`` and ``"false"``."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.strip().lower()) if isinstance(value, str) else None


def texts(value: Value) -> Value:
    """Return a list of strings: of a list, of a JSON list, of one string."""
    if isinstance(value, str):
        parsed = load(value) if value.lstrip()[:1] == "[" else None
        value = parsed if isinstance(parsed, list) else [value]
    if not isinstance(value, list):
        return None
    found: list[Value] = [one for one in value if isinstance(one, str) and one]
    return found or None


def load(value: object) -> Any:
    """Return what a JSON text says; what is no text, as it is; ``None`` for text that is no JSON."""
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except (orjson.JSONDecodeError, RecursionError):
        return None


def structure(value: object) -> Any:
    """Return the list or object that a JSON text is, also one that was encoded twice; other values as they are."""
    for _ in range(2):
        if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "[", '"'):
            return value
        found = load(value)
        if not isinstance(found, (list, dict, str)):
            return value
        value = found
    return value


def exact_structure(value: object) -> Any:
    """Return :func:`structure` unless its numbers would lose digits: such text stays text."""
    return value if isinstance(value, str) and _LONG_NUMBER.search(value) else structure(value)


def python_literal(value: object) -> Any:
    """Return what a ``repr`` of Python literals says: ``{'a': None}``; JSON too; ``None`` for anything else."""
    if not isinstance(value, str):
        return value
    found = load(value)
    if found is not None or len(value) > LITERAL_LIMIT:
        return found
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None


def dump(value: object) -> str | None:
    """Return compact JSON, or ``None`` for what has no JSON: deeper than the limit, numbers beyond 64 bits."""
    try:
        return orjson.dumps(value, default=str).decode()
    except (TypeError, ValueError, RecursionError):
        return None


def json_text(value: Value) -> str | None:
    """Return JSON text of a structured value; text as it is."""
    if isinstance(value, str):
        return value or None
    return dump(value)
