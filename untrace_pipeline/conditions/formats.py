"""``Format``: texts as Go's ``Sprintf`` makes them, for the verbs that fit values of telemetry."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from untrace_pipeline.conditions.expression import Expression, apply
from untrace_pipeline.conditions.function import Function, fixed
from untrace_pipeline.conditions.paths import Scope
from untrace_pipeline.conditions.values import as_string, format_float
from untrace_pipeline.errors import EvaluationError

__all__ = ["FORMAT"]

_VERB = re.compile(r"%(?P<flags>[-+ 0#]*)(?P<width>\d*)(?:\.(?P<precision>\d*))?(?P<verb>.)", re.DOTALL)
_DIGITS = 4
"""A width or precision has at most so many: a wild one shall not fill the memory."""
_GO_TYPES = {str: "string", int: "int64", float: "float64", bool: "bool", bytes: "[]uint8", type(None): "<nil>"}
_EMPTY = "<nil>"


def _format(scope: Scope, given: Any) -> Expression:
    template = fixed(given, "formatString", str)
    return apply(lambda *values: _sprintf(template, values), given["args"])


def _sprintf(template: str, values: tuple[Any, ...]) -> str:
    rest = iter(values)

    def fill(found: re.Match[str]) -> str:
        if found["verb"] == "%":
            return "%"
        if max(len(found["width"]), len(found["precision"] or "")) > _DIGITS:
            msg = "a width of the format is out of bounds"
            raise EvaluationError(msg)
        for value in rest:
            return _padded(_written(found, value), found, value)
        return f"%!{found['verb']}(MISSING)"

    text = _VERB.sub(fill, template)
    extra = [f"{_go_type(value)}={_plain(value)}" for value in rest]
    return f"{text}%!(EXTRA {', '.join(extra)})" if extra else text


def _written(found: re.Match[str], value: Any) -> str:
    write = _VERBS.get(found["verb"])
    text = write(found, value) if write is not None else None
    return f"%!{found['verb']}({_go_type(value)}={_plain(value)})" if text is None else text


def _padded(text: str, found: re.Match[str], value: Any) -> str:
    width = int(found["width"] or 0)
    if "-" in found["flags"]:
        return text.ljust(width)
    return text.zfill(width) if "0" in found["flags"] and type(value) in {int, float} else text.rjust(width)


def _sign(found: re.Match[str]) -> str:
    return "+" if "+" in found["flags"] else " " if " " in found["flags"] else ""


def _plain(value: Any) -> str:
    return _EMPTY if value is None else as_string(value)


def _go_type(value: Any) -> str:
    return _GO_TYPES.get(type(value), type(value).__name__)


def _any(found: re.Match[str], value: Any) -> str:
    return f"{value:{_sign(found)}}" if type(value) is int else _plain(value)


def _string(found: re.Match[str], value: Any) -> str | None:
    if isinstance(value, int | float):
        return None
    text = _plain(value)
    return text if found["precision"] is None else text[: int(found["precision"] or 0)]


def _quoted(found: re.Match[str], value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def _whole(found: re.Match[str], value: Any) -> str | None:
    return f"{value:{_sign(found)}{found['verb']}}" if type(value) is int else None


def _hexadecimal(found: re.Match[str], value: Any) -> str | None:
    if not isinstance(value, str | bytes):
        return _whole(found, value)
    text = (value if isinstance(value, bytes) else value.encode()).hex()
    return text.upper() if found["verb"] == "X" else text


def _real(found: re.Match[str], value: Any) -> str | None:
    if type(value) is not float:
        return None
    if found["precision"] is None and found["verb"] in "gG":
        return format_float(value)
    digits = 6 if found["precision"] is None else int(found["precision"] or 0)
    return f"{value:{_sign(found)}.{digits}{found['verb']}}"


_VERBS: Mapping[str, Callable[[re.Match[str], Any], str | None]] = {
    "v": _any,
    "s": _string,
    "q": _quoted,
    "T": lambda _, value: _go_type(value),
    "t": lambda _, value: _plain(value) if isinstance(value, bool) else None,
    **dict.fromkeys("dobc", _whole),
    **dict.fromkeys("xX", _hexadecimal),
    **dict.fromkeys("fFeEgG", _real),
}
"""What each verb makes of a value; ``None`` where it does not fit."""

FORMAT = Function("Format", ("formatString", "args*"), _format)
