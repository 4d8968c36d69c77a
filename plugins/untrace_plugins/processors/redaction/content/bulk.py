"""Long runs of what is no text: encoded files and vectors, which are blanked before detectors look."""

from __future__ import annotations

import re

__all__ = ["blanked"]

_LEAST = 4096
"""Characters; a text that is shorter is looked at as it is."""
_ENCODED = re.compile(r"(?:;base64,[A-Za-z0-9+/=_-]{64,}|(?<![A-Za-z0-9+/_-])(?!eyJ)[A-Za-z0-9+/_-]{1024,}={0,2})")
"""Base64 of a data URL, or as long a run as no key and no token has; parts of a JWT begin with ``eyJ``."""
_VECTOR = re.compile(r"(?:-?\d\.\d+(?:[eE][-+]?\d+)?,\s*){16,}-?\d\.\d+(?:[eE][-+]?\d+)?")
"""Components of an embedding."""
_DATA_URL = ";base64,"


def _runs_of(characters: bytes) -> bytes:
    """Return a table that makes these bytes, and what stands for characters outside of ASCII, one and the same."""
    return bytes(1 if byte in characters + b"?" else 0 for byte in range(256))


_OF_BASE64 = _runs_of(b"+/_-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"), b"\1" * 1024
_OF_VECTORS = _runs_of(b"+-.,eE0123456789 \t\n\r\v\f\x1c\x1d\x1e\x1f"), b"\1" * 67
"""What the patterns need, to be looked for in no time: a run of characters, no shorter than the shortest match."""


def blanked(text: str) -> str:
    """Return a text of the same length with spaces instead of them."""
    if len(text) < _LEAST:
        return text
    data = text.encode("ascii", "replace")
    if _DATA_URL in text or _has_run(data, *_OF_BASE64):
        text = _ENCODED.sub(_spaces, text)
    return _VECTOR.sub(_spaces, text) if _has_run(data, *_OF_VECTORS) else text


def _has_run(data: bytes, table: bytes, run: bytes) -> bool:
    return run in data.translate(table)


def _spaces(match: re.Match[str]) -> str:
    return " " * (match.end() - match.start())
