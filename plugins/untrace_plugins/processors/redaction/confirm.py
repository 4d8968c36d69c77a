"""Exact matching and replacing, as Go's ``regexp`` does it: leftmost-first, with its rules for empty matches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import re2

from untrace_plugins.scanning.syntax import UnsupportedError, consumes, is_nullable, parse

__all__ = ["Pattern"]

_MAX_MEM = 64 << 20
"""Bytes that RE2 may use for one pattern; Go has no such limit."""


class Pattern:
    """A pattern in RE2's syntax over UTF-8 bytes."""

    __slots__ = ("_may_be_empty", "_regexp", "_text")

    def __init__(self, text: str) -> None:
        """Compile. Raises ``ValueError`` with RE2's words."""
        options = re2.Options()
        options.never_capture = True
        options.log_errors = False
        options.max_mem = _MAX_MEM
        try:
            self._regexp: Any = re2.compile(text, options)
        except re2.error as error:
            reason = error.args[0] if error.args else error
            message = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
            raise ValueError(message) from error
        self._text = text
        self._may_be_empty = _may_be_empty(text)

    def stops_at(self, char: str) -> bool:
        """Whether no match contains that ASCII character and no match is empty."""
        return not self._may_be_empty and not consumes(parse(self._text), char)

    def matches(self, value: bytes) -> bool:
        """Whether the pattern matches anywhere in the value."""
        return self._regexp.search(value) is not None

    def replace(self, value: bytes, mask: Callable[[bytes], bytes], until: int | None = None) -> bytes:
        """Return the value with every match replaced, or the same object if there is none.

        ``until``, if given, promises that no match begins at that offset or behind it.
        After Go's ``ReplaceAllStringFunc``: an empty match right behind another match is not replaced.
        """
        if self._may_be_empty:
            return self._replace_stepping(value, mask)
        pieces: list[bytes] = []
        last = 0
        for match in self._regexp.finditer(value):
            start, end = match.span()
            pieces.append(value[last:start])
            pieces.append(mask(value[start:end]))
            last = end
            if until is not None and end >= until:
                break
        if not pieces:
            return value
        pieces.append(value[last:])
        return b"".join(pieces)

    def _replace_stepping(self, value: bytes, mask: Callable[[bytes], bytes]) -> bytes:
        """Replace with a pattern that can match the empty string, which needs care to go on."""
        search = self._regexp.search
        pieces: list[bytes] = []
        last = place = 0
        size = len(value)
        while place <= size:
            match = search(value, place)
            if match is None:
                break
            start, end = match.span()
            if _is_within_character(value, start):  # RE2 finds empty matches there, Go does not
                place = start + 1
                continue
            pieces.append(value[last:start])
            if end > last or start == 0:
                pieces.append(mask(value[start:end]))
            last = end
            if end > place:
                place = end
            else:
                place += 1
                while _is_within_character(value, place):
                    place += 1
        if not pieces:
            return value
        pieces.append(value[last:])
        return b"".join(pieces)


def _may_be_empty(pattern: str) -> bool:
    try:
        return is_nullable(parse(pattern))
    except UnsupportedError:
        return True


def _is_within_character(value: bytes, place: int) -> bool:
    return place < len(value) and value[place] & 0xC0 == 0x80  # noqa: PLR2004  a further byte in UTF-8
