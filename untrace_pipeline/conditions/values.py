"""Conversions between types of values, exactly as the Collector makes them (pdata's ``AsString``, OTTL, strconv)."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal

from untrace_pipeline.data import Value
from untrace_pipeline.errors import EvaluationError

__all__ = [
    "as_string",
    "format_float",
    "parse_bool",
    "parse_float",
    "parse_int",
    "same",
    "string_like",
    "to_json",
    "truncate",
    "wrap_int64",
]

_INT64_MIN = -(1 << 63)
_INTEGER = re.compile(r"[+-]?[0-9]+\Z")
_FLOAT = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf|infinity|nan)\Z", re.IGNORECASE)
_HEX_FLOAT = re.compile(r"[+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?[0-9]+\Z")
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
# Text longer than this is no number that anybody meant; Python itself refuses integers of more than 4300 digits.
_LONGEST_NUMBER = 4000
_EXPONENT_BELOW = 1e-6
_EXPONENT_FROM = 1e21


def format_float(value: float) -> str:
    """Return the shortest text that reads back as the same number, in JavaScript's (and Go's JSON) form: ``1e+21``."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    text = repr(value)
    if value and not _EXPONENT_BELOW <= abs(value) < _EXPONENT_FROM:
        mantissa, _, exponent = text.partition("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent):+d}"
    return format(Decimal(text), "f").removesuffix(".0")


def as_string(value: Value) -> str:
    """Return the text of any value: maps and lists as JSON, bytes as base64, absent as the empty string."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return format_float(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return to_json(value)


def string_like(value: Value) -> str | None:
    """Return the text of a value where OTTL takes anything that resembles a string; ``None`` stays ``None``.

    Unlike :func:`as_string`, bytes become hexadecimal, and JSON is safe to embed in HTML. Raises
    :class:`EvaluationError` for a float that JSON cannot hold.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not math.isfinite(value):
        msg = f"{format_float(value)} has no text"
        raise EvaluationError(msg)
    text = to_json(value, _with_two_digits)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _with_two_digits(value: float) -> str:
    """Return a float as Go's ``strconv`` and goccy/go-json write it: ``1e-07``."""
    mantissa, mark, exponent = format_float(value).partition("e")
    return f"{mantissa}e{int(exponent):+03}" if mark else mantissa


def to_json(value: Value, write_float: Callable[[float], str] = format_float) -> str:
    """Return compact JSON with sorted keys, as Go writes it; bytes are base64, none of them null."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    if value is None:
        return "null"
    if isinstance(value, bytes):
        return f'"{as_string(value)}"' if value else "null"
    if isinstance(value, list):
        return f"[{','.join([to_json(element, write_float) for element in value])}]"
    if isinstance(value, Mapping):
        entries = [f"{to_json(key)}:{to_json(value[key], write_float)}" for key in sorted(value)]
        return "{" + ",".join(entries) + "}"
    return write_float(value) if isinstance(value, float) else as_string(value)


def parse_int(text: str) -> int | None:
    """Return the 64-bit integer that decimal text holds, or ``None``. No spaces, no underscores."""
    if len(text) > _LONGEST_NUMBER or not _INTEGER.match(text):
        return None
    number = int(text)
    return number if _INT64_MIN <= number <= -_INT64_MIN - 1 else None


def parse_float(text: str) -> float | None:
    """Return the number that text holds, or ``None``; too large for a double counts as not a number."""
    if len(text) > _LONGEST_NUMBER:
        return None
    if _FLOAT.match(text):
        number = float(text)
        return None if math.isinf(number) and "n" not in text.lower() else number
    if _HEX_FLOAT.match(text):
        try:
            return float.fromhex(text)
        except OverflowError:
            return None
    return None


def parse_bool(text: str) -> bool | None:
    """Return what Go's ``ParseBool`` makes of a text, or ``None``."""
    return True if text in _TRUE else False if text in _FALSE else None


def truncate(value: float) -> int:
    """Return a float cut to a 64-bit integer; what does not fit becomes the smallest one, as on x86-64."""
    if not math.isfinite(value) or not _INT64_MIN <= value < -_INT64_MIN:
        return _INT64_MIN
    return int(value)


def wrap_int64(value: int) -> int:
    """Return an integer after the overflow of 64-bit arithmetic."""
    return (value - _INT64_MIN) % (1 << 64) + _INT64_MIN


def same(a: Value, b: Value) -> bool:
    """Return whether two values are equal in type and content, all the way down: 1, 1.0 and true are three values."""
    if type(a) is not type(b):
        return False
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(value, b[key]) for key, value in a.items())
    return a == b
