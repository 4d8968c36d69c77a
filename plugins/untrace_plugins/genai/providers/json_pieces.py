"""JSON of which only a part is there: what was cut off is closed, what is missing is left out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import orjson

__all__ = ["array_items", "item_end", "load", "recovered"]

TRIED_BYTES: Final = 8 * 1024 * 1024
"""Most that is parsed in search of where the end of a cut text makes sense."""

_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:(")|\\?\Z)|[{}\[\],]', re.DOTALL)
"""A string, also one that the end has cut; its closing quote is a group. Brackets and commas outside of strings."""
_OPEN_STRING = re.compile(rb'"[^"\\]*+(?:\\(?:[^u]|u[0-9a-fA-F]{4})[^"\\]*+)*+', re.DOTALL)
_MEMBER = re.compile(rb',\s*(?="[^"\\]{1,64}"\s*:)')
_ITEM = re.compile(rb",\s*(?=\{)")
_SCANNER = json.JSONDecoder(strict=False)
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


def array_items(head: bytes, tail: bytes = b"") -> Iterator[Any]:
    """Yield the items of an array of objects; of one that is not all there, those that are whole."""
    whole = load(head)
    if isinstance(whole, list):
        yield from whole
        return
    for begin, end in _item_places(head):
        yield load(head[begin:end])
    ended = _suffix(tail, _ITEM, b"[") if tail else None
    yield from ended if isinstance(ended, list) else ()


def item_end(head: bytes, number: int) -> int:
    """Return where an item ends, counted from 0; beyond the head if it is not in it."""
    return next((end for _, end in islice(_item_places(head), number, None)), len(head) + 1)


def _item_places(head: bytes) -> Iterator[tuple[int, int]]:
    """Yield where each item begins and ends. The scanner wants text: one of which each character is a byte."""
    text = head.decode("latin-1")
    place = text.find("{")
    while place >= 0:
        try:
            _, end = _SCANNER.raw_decode(text, place)
        except (ValueError, RecursionError):
            return
        yield place, end
        place = text.find("{", end)


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
