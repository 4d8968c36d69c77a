"""How answers are cut for streaming."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

__all__ = ["event", "pieces"]

_WORDS = re.compile(r"\s*\S+\s*$|\s*\S+")


def pieces(text: str, size: int = 0) -> Iterator[str]:
    """Yield a text word by word, or so many characters at a time."""
    if size:
        yield from (text[place : place + size] for place in range(0, len(text), size))
    else:
        yield from _WORDS.findall(text)


def event(data: Any, name: str = "", *, end: str = "\n") -> bytes:
    """Write a server-sent event."""
    head = f"event: {name}{end}" if name else ""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"{head}data: {text}{end}{end}".encode()
