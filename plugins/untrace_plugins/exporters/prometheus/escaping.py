"""Names that older Prometheis do not know, in forms that they do (prometheus/common ``model.EscapeName``)."""

from __future__ import annotations

import re
from functools import lru_cache

from untrace_plugins.exporters.prometheus.negotiation import Escaping

__all__ = ["escape", "is_legacy"]

_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
_NOT_LEGACY = re.compile(r"[^a-zA-Z0-9_:]")


@lru_cache(maxsize=4096)
def is_legacy(name: str) -> bool:
    """Return whether every Prometheus takes a name."""
    return _METRIC.match(name) is not None


@lru_cache(maxsize=4096)
def escape(name: str, escaping: Escaping) -> str:
    """Return a name as the scraper wants it."""
    if escaping is Escaping.ALLOW or not name:
        return name
    if escaping is Escaping.DOTS:
        return "".join([_dots(char, first=not place) for place, char in enumerate(name)])
    if is_legacy(name):
        return name
    if escaping is Escaping.VALUES:
        return "U__" + "".join([_value(char, first=not place) for place, char in enumerate(name)])
    escaped = _NOT_LEGACY.sub("_", name)
    return f"_{escaped[1:]}" if escaped[0].isdigit() else escaped


def _dots(char: str, *, first: bool) -> str:
    if char == "_":
        return "__"
    if char == ".":
        return "_dot_"
    return char if _legacy(char, first=first) else "__"


def _value(char: str, *, first: bool) -> str:
    if char == "_":
        return "__"
    return char if _legacy(char, first=first) else f"_{ord(char):x}_"


def _legacy(char: str, *, first: bool) -> bool:
    return is_legacy(char if first else f"a{char}")
