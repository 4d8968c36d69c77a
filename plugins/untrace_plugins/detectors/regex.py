"""RE2 patterns over code points."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

import re2

__all__ = ["Match", "Regex"]

_MAX_MEM = 64 << 20
"""Bytes that RE2 may use for one pattern; long lists of words need more than its default."""
_NOWHERE = (-1, -1)
"""The span of a match that is none, and of a group that takes no part."""
_ANYWHERE, _WHOLE = re2._re2.RE2.Anchor.UNANCHORED, re2._re2.RE2.Anchor.ANCHOR_BOTH


class Match(NamedTuple):
    """Where a pattern matches."""

    text: str
    """The whole text."""
    spans: list[tuple[int, int]]
    """Start and end of the match and of each group, in code points; -1 where a group takes no part."""

    @property
    def start(self) -> int:
        """Offset of the last group that takes part, or of the match if there is none."""
        return self.span[0]

    @property
    def end(self) -> int:
        """The end of the same."""
        return self.span[1]

    @property
    def span(self) -> tuple[int, int]:
        """Both."""
        return next((span for span in reversed(self.spans) if span[0] >= 0), self.spans[0])

    @property
    def value(self) -> str:
        """The text of the same."""
        start, end = self.span
        return self.text[start:end]


class Regex:
    """A pattern, compiled when it is first used."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern

    @cached_property
    def _spans(self) -> Any:
        """RE2's own method: from anchor, text, start and end to spans. What the package puts around it takes longer."""
        options = re2.Options()
        options.log_errors = False
        options.max_mem = _MAX_MEM
        return re2.compile(self.pattern, options)._regexp.Match

    def search(self, text: str) -> bool:
        """Whether the pattern matches anywhere."""
        return self._matches(_ANYWHERE, text)

    def fullmatch(self, text: str) -> bool:
        """Whether the pattern matches the whole text."""
        return self._matches(_WHOLE, text)

    def _matches(self, anchor: Any, text: str) -> bool:
        data = text.encode()
        return bool(self._spans(anchor, data, 0, len(data))[0] != _NOWHERE)

    def distinct(self, text: str) -> Iterator[Match]:
        """Yield matches from left to right that do not overlap, as every engine finds them."""
        return self._scan(text, overlapping=False)

    def matches(self, text: str) -> Iterator[Match]:
        """Yield matches from left to right, overlapping ones too: the next begins behind the start of the last.

        So a match that turns out to be none does not hide what begins within it.
        """
        return self._scan(text, overlapping=True)

    def _scan(self, text: str, *, overlapping: bool) -> Iterator[Match]:
        data = text.encode()
        find, size = self._spans, len(data)
        is_ascii = size == len(text)
        position = seen = counted = 0
        while position <= size and (spans := find(_ANYWHERE, data, position, size))[0] != _NOWHERE:
            begin, end = spans[0]
            position = begin + 1 if overlapping or end == begin else end
            while position < size and data[position] & 0xC0 == 0x80:  # noqa: PLR2004  a further byte in UTF-8
                position += 1
            if not is_ascii:
                counted += len(data[seen:begin].decode())
                seen = begin
                spans = [_decoded(data, span, begin, counted) for span in spans]
            yield Match(text, spans)


def _decoded(data: bytes, span: tuple[int, int], begin: int, count: int) -> tuple[int, int]:
    """Return a span of bytes in code points, given those before ``begin``."""
    if span[0] < 0:
        return span
    start = count + len(data[begin : span[0]].decode())
    return start, start + len(data[span[0] : span[1]].decode())
