"""``inject_usage``: asks OpenAI for the usage of a chat stream, and keeps the extra chunk from the client."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

__all__ = ["UsageStripper", "with_usage"]

_EVENT_END: Final = re.compile(rb"\r?\n\r?\n")
_LONGEST_EVENT: Final = 1024 * 1024
"""Bytes that wait for the end of their event; a longer one is passed on as it is."""


def with_usage(body: bytes) -> bytes | None:
    """Return a request that asks for the usage as well; ``None`` if it is no stream, or asks already."""
    if b'"stream"' not in body:
        return None
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(document, dict) or document.get("stream") is not True:
        return None
    options = document.get("stream_options")
    if isinstance(options, dict) and "include_usage" in options:
        return None
    document["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
    return orjson.dumps(document)


class UsageStripper:
    """Takes the chunk that has the usage and no choices out of a stream of events."""

    def __init__(self) -> None:
        self._rest = b""
        self._done = False

    def feed(self, piece: bytes) -> bytes:
        """Return what the client may see of a piece and of what waited; whole events only."""
        if self._done:
            return piece
        data = self._rest + piece
        kept = []
        begin = 0
        for end in _EVENT_END.finditer(data):
            event = data[begin : end.end()]
            begin = end.end()
            if not _is_usage(event):
                kept.append(event)
        self._rest = data[begin:]
        if len(self._rest) > _LONGEST_EVENT:
            kept.append(self.rest())
            self._done = True
        return b"".join(kept)

    def rest(self) -> bytes:
        """Return what waits for the end of its event, at the end of the stream."""
        rest, self._rest = self._rest, b""
        return rest


def _is_usage(event: bytes) -> bool:
    if b'"usage"' not in event or b'"choices"' not in event:
        return False
    try:
        chunk: Any = orjson.loads(event.partition(b"data:")[2])
    except orjson.JSONDecodeError:
        return False
    return isinstance(chunk, dict) and chunk.get("choices") == [] and bool(chunk.get("usage"))
