"""JSON of which only a part is there: what was cut off is closed, what is missing is left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import orjson

__all__ = ["array_items", "load", "recovered"]

TRIED_BYTES: Final = 8 * 1024 * 1024
"""Most that is parsed in search of where the end of a cut text makes sense."""

_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:(")|\\?\Z)|[{}\[\],]', re.DOTALL)
"""A string, also one that the end has cut; its closing quote is a group. Brackets and commas outside of strings."""
_OPEN_STRING = re.compile(rb'"[^"\\]*+(?:\\(?:[^u]|u[0-9a-fA-F]{4})[^"\\]*+)*+', re.DOTALL)
_MEMBER = re.compile(rb',\s*(?="[^"\\]{1,64}"\s*:)')
_ITEM = re.compile(rb",\s*(?=\{)")
_CLOSERS = {ord("{"): b"}", ord("["): b"]"}


def load(text: bytes) -> Any:
    """Return what a JSON text says; ``None`` for what is none."""
    try:
        return orjson.loads(text)
    except (orjson.JSONDecodeError, RecursionError):
        return None


def recovered(head: bytes, tail: bytes = b"") -> dict[str, Any] | None:
    """Return what can be read of a JSON object that is not all there: its beginning, and members of its end."""
    begun = _closed(head)
    ended = _suffix(tail, _MEMBER, b"{") if tail else None
    if not isinstance(begun, dict):
        return ended if isinstance(ended, dict) else None
    return {**ended, **begun} if isinstance(ended, dict) else begun


def array_items(head: bytes, tail: bytes = b"") -> Iterator[tuple[Any, int]]:
    """Yield the items of an array of objects, and where each ends in the head; of the tail, those that are whole."""
    depth, begin = 0, 0
    for token in _TOKEN.finditer(head):
        char = head[token.start()]
        if char in b"{[":
            depth += 1
            if depth == 2:  # noqa: PLR2004  within the array
                begin = token.start()
        elif char in b"}]":
            depth -= 1
            if depth == 1 and (item := load(head[begin : token.end()])) is not None:
                yield item, token.end()
    ended = _suffix(tail, _ITEM, b"[") if tail else None
    for item in ended if isinstance(ended, list) else ():
        yield item, len(head) + 1


def _closed(head: bytes) -> Any:
    """Close what is open at the end: a string, and the objects and lists around it."""
    open_: list[bytes] = []
    whole, cut = 0, None
    for token in _TOKEN.finditer(head):
        char = head[token.start()]
        if char in _CLOSERS:
            open_.append(_CLOSERS[char])
            whole = token.end()
        elif char in b"}]":
            del open_[-1:]
            whole = token.end()
        elif char == ord(","):
            whole = token.start()
        elif token[1] is None:
            cut = token.start()
    closers = b"".join(reversed(open_))
    if cut is not None and (string := _OPEN_STRING.match(head, cut)):
        text = head[: string.end()].decode("utf-8", "ignore").encode()
        if (found := load(text + b'"' + closers)) is not None:
            return found
    return load(head[:whole] + closers)


def _suffix(tail: bytes, separator: re.Pattern[bytes], opener: bytes) -> Any:
    """Return the longest end of a text that is the end of an object or array, beginning after one of its commas."""
    found, tried = None, 0
    for comma in reversed(list(separator.finditer(tail))):
        tried += len(tail) - comma.end()
        if tried > TRIED_BYTES:
            break
        if (longer := load(opener + tail[comma.end() :])) is not None:
            found = longer
    return found
