"""JSON as SDKs write it."""

from __future__ import annotations

import json
from typing import Any

import orjson

__all__ = ["TOO_DEEP", "read_json", "written"]

TOO_DEEP = "at most 254 levels"
"""What is expected where :func:`written` returns nothing."""


def read_json(data: bytes) -> Any:
    """Return what JSON says; NaN, infinities and half surrogates, which Python's own writer lets through, become null
    and question marks. Raises ``ValueError``."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        try:
            text = data.decode("utf-8", "surrogatepass")  # no other encoding, which Python would guess
            value = json.loads(text, parse_constant=lambda _: None)
            return orjson.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
        except (ValueError, RecursionError):
            msg = f"no JSON: {error.msg.partition(':')[0]} at byte {error.pos}"
            raise ValueError(msg) from error


def written(value: Any) -> bytes | None:
    """Return as JSON what :func:`read_json` returned, so that it can be read again; ``None`` if it is too deep."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return None
