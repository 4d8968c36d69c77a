"""What the functions of OTTL do to one row. They raise :class:`EvaluationError` for values that they do not take.

The text of an error goes to the log: it names types, never values of the data.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable

from pydantic import TypeAdapter, ValidationError

from untrace_pipeline.api.config import Duration
from untrace_pipeline.conditions.compare import Comparison, compare
from untrace_pipeline.conditions.patterns import compile_pattern
from untrace_pipeline.conditions.values import parse_bool, parse_float, parse_int, truncate
from untrace_pipeline.data import Value
from untrace_pipeline.errors import ConditionError, EvaluationError

__all__ = [
    "as_text",
    "contains_value",
    "first_present",
    "id_of_size",
    "index_of",
    "length",
    "lower",
    "matches",
    "nanoseconds",
    "parse_json",
    "split",
    "substring",
    "to_bool",
    "to_double",
    "to_hex",
    "to_int",
    "upper",
]


def _type_name(value: object) -> str:
    return "nil" if value is None else type(value).__name__


def as_text(value: object) -> str:
    """Return a string. Raises for anything else."""
    if isinstance(value, str):
        return value
    msg = f"a string is needed, not {_type_name(value)}"
    raise EvaluationError(msg)


def to_int(value: object) -> Value:
    """Return a whole number; text that holds none gives nothing."""
    if value is None or type(value) is int:
        return value
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return truncate(value)
    if isinstance(value, str):
        return parse_int(value)
    msg = f"{_type_name(value)} is no whole number"
    raise EvaluationError(msg)


def to_double(value: object) -> Value:
    """Return a number."""
    if value is None or type(value) is float:
        return value
    if isinstance(value, int):
        return float(value)
    number = parse_float(value) if isinstance(value, str) else None
    if number is None:
        msg = f"{_type_name(value)} is no number"
        raise EvaluationError(msg)
    return number


def to_bool(value: object) -> Value:
    """Return a truth value."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value != 0
    truth = parse_bool(value) if isinstance(value, str) else None
    if truth is None:
        msg = f"{_type_name(value)} is neither true nor false"
        raise EvaluationError(msg)
    return truth


def length(value: object) -> int:
    """Return how long a string (in bytes), list, map or byte string is."""
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogatepass"))
    if isinstance(value, list | dict | bytes | tuple):
        return len(value)
    msg = f"{_type_name(value)} has no length"
    raise EvaluationError(msg)


def contains_value(values: object, item: Value) -> bool:
    """Return whether a list has an element that compares equal."""
    if not isinstance(values, list):
        msg = f"a list is needed, not {_type_name(values)}"
        raise EvaluationError(msg)
    return any(compare(Comparison.EQ, value, item) for value in values)


def split(text: object, delimiter: object) -> Value:
    """Return the parts of a text."""
    return list(as_text(text).split(as_text(delimiter))) if delimiter else list(as_text(text))


def substring(text: object, start: object, size: object, utf8_safe: object = False) -> str:
    """Return ``size`` bytes of a text from ``start`` on; with ``utf8_safe`` without characters that are cut in two."""
    raw = as_text(text).encode("utf-8", "surrogatepass")
    if type(start) is not int or type(size) is not int or start < 0 or size <= 0 or start + size > len(raw):
        msg = "the text is shorter than that, or start and length are no whole numbers above zero"
        raise EvaluationError(msg)
    return raw[start : start + size].decode("utf-8", "ignore" if utf8_safe is True else "surrogateescape")


def index_of(values: object, item: Value) -> int:
    """Return where a text holds another one (in bytes), or a list an element that compares equal; -1 for nowhere."""
    if isinstance(values, str):
        before, found, _ = values.partition(as_text(item)) if item else ("", True, "")
        return length(before) if found else -1
    if isinstance(values, list):
        return next((place for place, value in enumerate(values) if compare(Comparison.EQ, value, item)), -1)
    msg = f"a string or list is needed, not {_type_name(values)}"
    raise EvaluationError(msg)


def parse_json(text: object) -> Value:
    """Return the list or map that a text holds; numbers are floats, as in Go."""
    try:
        found: Value = json.loads(as_text(text), parse_int=float)
    except ValueError:
        msg = "this is no JSON"
        raise EvaluationError(msg) from None
    if not isinstance(found, list | dict):
        msg = "only lists and maps can be parsed"
        raise EvaluationError(msg)
    return found


def to_hex(value: object) -> str:
    """Return bytes, text or the big-endian bytes of a number in hexadecimal; of nothing, the empty string."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, bool):
        return f"{value:02x}"
    if isinstance(value, int | float):
        return struct.pack(">q" if isinstance(value, int) else ">d", value).hex()
    return "" if value is None else as_text(value).encode("utf-8", "surrogatepass").hex()


def first_present(*values: Value) -> Value:
    """Return the first value that is there."""
    return next((value for value in values if value is not None), None)


def id_of_size(size: int) -> Callable[[object], bytes]:
    """Return a function that makes an id of bytes or hexadecimal text."""

    def convert(value: object) -> bytes:
        raw = value.encode() if isinstance(value, str) else value
        if isinstance(raw, bytes) and len(raw) == size:
            return raw
        if isinstance(raw, bytes) and len(raw) == 2 * size:
            return bytes.fromhex(raw.decode("ascii"))
        msg = f"an id has {size} bytes or {2 * size} hexadecimal digits"
        raise EvaluationError(msg)

    return convert


_DURATION = TypeAdapter[float](Duration)


def nanoseconds(text: object) -> int:
    """Return the length of a duration such as ``1m30s``."""
    try:
        return round(_DURATION.validate_python(as_text(text)) * 1_000_000_000)
    except ValidationError:
        msg = "this is no duration such as 10s, 1m30s or 200ms"
        raise EvaluationError(msg) from None


def matches(text: str | None, pattern: object) -> bool:
    """Return whether a pattern is found in a text."""
    try:
        return text is not None and compile_pattern(as_text(pattern)).search(text) is not None
    except ConditionError:
        msg = "the pattern is no regular expression"
        raise EvaluationError(msg) from None


def lower(text: object) -> str:
    """Return a text in small letters."""
    return as_text(text).lower()


def upper(text: object) -> str:
    """Return a text in capitals."""
    return as_text(text).upper()
