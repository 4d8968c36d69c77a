"""Values as text, safe for a terminal."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

__all__ = ["plain", "readable", "show_attributes", "show_time", "typed"]

_KINDS = {
    "string_value": "Str",
    "int_value": "Int",
    "double_value": "Double",
    "bool_value": "Bool",
    "array_value": "Slice",
    "kvlist_value": "Map",
    "bytes_value": "Bytes",
}


def readable(text: str) -> str:
    """Return text on one line without control characters: what clients send must not steer the terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def plain(value: Any) -> Any:
    """Return a protobuf ``AnyValue`` as Python's own, as JSON shows it."""
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [plain(one) for one in value.array_value.values]
        case "kvlist_value":
            return {pair.key: plain(pair.value) for pair in value.kvlist_value.values}
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case member:
            return getattr(value, member)


def typed(value: Any) -> str:
    """Return an ``AnyValue`` with its type, as the Collector shows it: ``Str(text)``, ``Int(1)``, ``Map({…})``."""
    return f"{_KINDS.get(value.WhichOneof('value') or '', 'Empty')}({_as_string(plain(value))})"


def show_attributes(attributes: Any, *, limit: int = 60) -> str:
    """Return attributes as ``key=value`` on one line, long values cut."""
    pairs = ((pair.key, _as_string(plain(pair.value))) for pair in attributes)
    return " ".join(
        f"{readable(key)}={value if len(value) <= limit else value[: limit - 1] + '…'}" for key, value in pairs
    )


def show_time(nanoseconds: int) -> str:
    """Return a time as Go prints it: ``2026-01-02 03:04:05.678 +0000 UTC``."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    fraction = f".{rest:09d}".rstrip("0").rstrip(".")
    try:
        day = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):  # a client may send any 64 bits
        return f"{nanoseconds} ns"
    return f"{day:%Y-%m-%d %H:%M:%S}{fraction} +0000 UTC"


def _as_string(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return readable(value)
    return readable(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
