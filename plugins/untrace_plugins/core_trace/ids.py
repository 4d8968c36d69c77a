"""Ids of spans for ids that senders choose: the same id gives the same bytes, wherever and whenever it comes."""

from __future__ import annotations

import hashlib
import re

__all__ = ["span_id", "trace_id"]

_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\Z", re.IGNORECASE)
_SPAN = re.compile(r"[0-9a-f]{16}\Z", re.IGNORECASE)


def trace_id(id: str) -> bytes:
    """Return the 16 bytes of a UUID or of 32 hexadecimal digits, and a hash of any other id."""
    found = bytes.fromhex(id.replace("-", "")) if _UUID.match(id) else b""
    return found if any(found) else _hash(id, 16, b"untrace.trace")


def span_id(id: str) -> bytes:
    """Return the 8 bytes of 16 hexadecimal digits, and a hash of any other id; a UUID is the same in any spelling."""
    plain = id.replace("-", "").lower() if _UUID.match(id) else id
    found = bytes.fromhex(plain) if _SPAN.match(plain) else b""
    return found if any(found) else _hash(plain, 8, b"untrace.span")


def _hash(id: str, size: int, purpose: bytes) -> bytes:
    return hashlib.blake2b(id.encode(), digest_size=size, person=purpose).digest()
