"""Which values telemetry can hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from untrace_pipeline.data import Value
from untrace_pipeline.errors import EvaluationError

__all__ = ["all_storable", "storable"]

_DEEPEST = 30
"""Maps and lists within each other: protobuf readers accept a hundred messages, and a map in a map is three."""
_LONGEST = 1 << 24
"""Characters of a text that is written: doubled with every row, a text soon fills the memory."""
_INT64_MIN = -(1 << 63)
_SCALARS = frozenset({str, int, float, bool, bytes, type(None)})


def storable(value: Any, depth: int = 0) -> Value:
    """Return a value as OTLP can hold it: text as valid UTF-8, tuples as lists.

    Raises :class:`EvaluationError` for what it cannot hold, or should not: whole numbers of more than 64 bits, texts
    and nesting beyond reason, objects of other types.
    """
    kind = value.__class__
    if kind is str:
        if len(value) > _LONGEST:
            msg = f"a text of more than {_LONGEST} characters is not written"
            raise EvaluationError(msg)
        return value if value.isascii() else _utf8(value)
    if kind is int:
        if _fits(value):
            return value  # type: ignore[no-any-return]
        msg = "a whole number must fit into 64 bits"
        raise EvaluationError(msg)
    if value is None or kind in {bool, float, bytes}:
        return value  # type: ignore[no-any-return]
    if depth >= _DEEPEST:
        msg = f"maps and lists are nested more than {_DEEPEST} deep"
        raise EvaluationError(msg)
    if isinstance(value, list | tuple):
        return [storable(one, depth + 1) for one in value]
    if isinstance(value, Mapping):
        return {_utf8(str(key)): storable(one, depth + 1) for key, one in value.items()}
    msg = f"{kind.__name__} is no value that telemetry can have"
    raise EvaluationError(msg)


def all_storable(values: Sequence[Any]) -> bool:
    """Return whether :func:`storable` gives each value back as it is; false also where that takes a closer look."""
    kinds = set(map(type, values))
    if not kinds <= _SCALARS:
        return False
    if str in kinds:
        texts = [value for value in values if value.__class__ is str]
        if not all(map(str.isascii, texts)) or max(map(len, texts)) > _LONGEST:
            return False
    return int not in kinds or all(map(_fits, [value for value in values if value.__class__ is int]))


def _fits(number: int) -> bool:
    return _INT64_MIN <= number < -_INT64_MIN


def _utf8(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape" if _bytes_only(text) else "replace").decode("utf-8", "replace")
    return text


def _bytes_only(text: str) -> bool:
    """Return whether all surrogates stand for single bytes, as ``surrogateescape`` makes them."""
    return not any("\ud800" <= char < "\udc80" or "\udcff" < char <= "\udfff" for char in text)
