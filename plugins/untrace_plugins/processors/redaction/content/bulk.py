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


def blanked(text: str) -> str:
    """Return a text of the same length with spaces instead of them."""
    if len(text) < _LEAST:
        return text
    for pattern in (_ENCODED, _VECTOR):
        text = pattern.sub(_spaces, text)
    return text


def _spaces(match: re.Match[str]) -> str:
    return " " * (match.end() - match.start())
