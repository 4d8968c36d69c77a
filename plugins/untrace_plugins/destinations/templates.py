"""Texts with places for options: ``Basic base64({public_key}:{secret_key})``."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Set

__all__ = ["places", "render"]

_PLACE = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_BASE64 = re.compile(r"base64\(([^()]*)\)")


def places(template: str) -> Set[str]:
    """Return the names that stand in a template."""
    return set(_PLACE.findall(template))


def render(template: str, values: Mapping[str, str]) -> str | None:
    """Return the text, ``None`` where a value is absent or empty."""
    if any(not values.get(place) for place in places(template)):
        return None

    def filled(text: str) -> str:
        return _PLACE.sub(lambda found: values[found[1]], text)

    parts = _BASE64.split(template)  # text, what stands in brackets, text …
    return "".join(_encoded(filled(part)) if number % 2 else filled(part) for number, part in enumerate(parts))


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
