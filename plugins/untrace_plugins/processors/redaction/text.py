"""Values as the Collector writes them where it needs a string (``pcommon.Value.AsString``)."""

from __future__ import annotations

import json
import math
from base64 import b64encode

from untrace_pipeline.data import Value

__all__ = ["as_string"]

_PLAIN_FROM, _PLAIN_BELOW = 1e-6, 1e21
"""Absolute values outside of these bounds are written with an exponent, as in ECMAScript."""


class _NotFiniteError(ValueError):
    """JSON has no such number."""


def as_string(value: Value) -> str:
    """Return the Collector's text of a value: JSON for lists and maps (keys sorted), Base64 for bytes, "" for none."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, list | dict):
        try:
            return _json(value)
        except _NotFiniteError:
            return ""  # Go's encoder gives up on the whole value
    return _scalar(value)


def _scalar(value: float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _float(value) if isinstance(value, float) else str(value)


def _float(value: float) -> str:
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    mantissa, _, exponent = repr(value).partition("e")
    if value and not _PLAIN_FROM <= abs(value) < _PLAIN_BELOW:
        power = int(exponent)
        return f"{mantissa.removesuffix('.0')}e{'-' if power < 0 else '+'}{abs(power)}"
    if not exponent:
        return mantissa.removesuffix(".0")
    return _without_exponent(mantissa, int(exponent))


def _without_exponent(mantissa: str, power: int) -> str:
    """Write the same digits with zeros before or behind them."""
    sign, digits = ("-", mantissa[1:]) if mantissa.startswith("-") else ("", mantissa)
    digits = digits.replace(".", "")
    return f"{sign}0.{'0' * (-power - 1)}{digits}" if power < 0 else f"{sign}{digits}{'0' * (power + 1 - len(digits))}"


def _json(value: Value) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{_quoted(key)}:{_json(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_json, value)) + "]"
    if isinstance(value, str):
        return _quoted(value)
    if value is None:
        return "null"
    if isinstance(value, bytes):
        return f'"{b64encode(value).decode()}"'
    if isinstance(value, float) and not math.isfinite(value):
        raise _NotFiniteError
    return _scalar(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
