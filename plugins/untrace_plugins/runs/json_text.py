"""JSON as SDKs write it."""

from __future__ import annotations

import json
from typing import Any

import orjson

__all__ = ["read_json"]


def read_json(data: bytes) -> Any:
    """Return what JSON says; NaN, infinities and half surrogates, which Python's own writer lets through, become null
    and question marks. Raises ``ValueError``."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        try:
            value = json.loads(data, parse_constant=lambda _: None)
            return orjson.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
        except (ValueError, RecursionError):
            msg = f"no JSON: {error.msg.partition(':')[0]} at byte {error.pos}"
            raise ValueError(msg) from error
