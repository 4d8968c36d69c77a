"""Ids of vendors as ids of OTLP: the same in every process, and for every request that names them."""

from __future__ import annotations

import hashlib
import string
import uuid
from functools import lru_cache

__all__ = ["is_readable", "read_uuid", "span_id_of", "trace_id_of"]

_HEX = frozenset(string.hexdigits)
SPAN_DIGITS, TRACE_DIGITS = 16, 32


def read_uuid(text: object) -> uuid.UUID | None:
    """Return a UUID in its usual form with or without hyphens, or ``None``."""
    return _read_uuid(text) if isinstance(text, str) and len(text) in (TRACE_DIGITS, TRACE_DIGITS + 4) else None


@lru_cache(maxsize=1024)  # a run names the same few ids many times
def _read_uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def is_readable(text: str) -> bool:
    """Return whether an id of a span or trace is the id itself, and no hash of it."""
    return read_uuid(text) is not None or (len(text) == SPAN_DIGITS and _HEX.issuperset(text))


def trace_id_of(text: str) -> bytes:
    """Return 16 bytes: those of a UUID or of 32 hexadecimal digits; of any other text, of its SHA-256."""
    known = read_uuid(text)
    found = hashlib.sha256(text.encode("utf-8", "replace")).digest()[:16] if known is None else known.bytes
    return found if any(found) else b"\x01".rjust(16, b"\x00")


def span_id_of(text: str) -> bytes:
    """Return 8 bytes: those of 16 hexadecimal digits, the last of a UUID, or the first of the SHA-256 of the text.

    Of a UUID of version 7 only the last are random: the first are the same for all of a millisecond. That is also how
    LangSmith's server makes a run of the span of a foreign trace: zeros, and the span's id.
    """
    known = read_uuid(text)
    if known is not None:
        found = known.bytes[8:]
    elif len(text) == SPAN_DIGITS and _HEX.issuperset(text):
        found = bytes.fromhex(text)
    else:
        found = hashlib.sha256(text.encode("utf-8", "replace")).digest()[:8]
    return found if any(found) else b"\x01".rjust(8, b"\x00")
