"""W3C tracestate as the Go SDK of OpenTelemetry reads it: all of it must be valid."""

from __future__ import annotations

import re

__all__ = ["read_entries"]

_MAX_ENTRIES = 32
_PART = r"[a-z][a-z0-9_*/-]"
_KEY = re.compile(rf"(?:{_PART}{{0,255}}|[a-z0-9][a-z0-9_*/-]{{0,240}}@{_PART}{{0,13}})\Z")
_VALUE = re.compile(r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]\Z")


def read_entries(text: str) -> dict[str, str] | None:
    """Return the entries of a header, ``None`` if it is not valid: a bad or repeated key, a bad value, more than 32."""
    entries: dict[str, str] = {}
    for member in filter(None, text.split(",")):
        key, equals, value = member.partition("=")
        key, value = key.lstrip(" \t"), value.rstrip(" \t")
        if not equals or not _KEY.match(key) or not _VALUE.match(value) or key in entries:
            return None
        entries[key] = value
        if len(entries) > _MAX_ENTRIES:
            return None
    return entries
