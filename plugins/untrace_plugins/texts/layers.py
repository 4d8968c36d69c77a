"""JSON strings within JSON strings: what stands in them, and where it stands in the text around them."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from itertools import accumulate

__all__ = ["Layer"]

_ESCAPE = re.compile(
    r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))", re.DOTALL
)
_MEANING = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class Layer:
    """The value of a JSON string, whose content begins at ``base`` in the text around it; or a text without escapes."""

    __slots__ = ("_places", "_starts", "_stops", "base", "text")

    def __init__(self, content: str, base: int, *, escaped: bool = True) -> None:
        self.base = base
        # Of each escape: its place in the value, and where it begins and ends in the content.
        self._places: list[int] = []
        self._starts: list[int] = []
        self._stops: list[int] = []
        if not escaped or "\\" not in content:
            self.text = content
            return
        self.text = _decoded(content)
        spans = [match.span() for match in _ESCAPE.finditer(content)]
        shorter = accumulate((end - begin - 1 for begin, end in spans), initial=0)
        self._starts, self._stops = [begin for begin, _ in spans], [end for _, end in spans]
        self._places = [begin - less for begin, less in zip(self._starts, shorter, strict=False)]

    def outward(self, start: int, end: int) -> tuple[int, int]:
        """Return where a part of the value, not an empty one, lies in the text around it."""
        return self._place(start)[0], self._place(end - 1)[1]

    def inward(self, start: int, end: int) -> tuple[int, int]:
        """Return the smallest part of the value in which a part of the text around it lies."""
        return self._index(start), self._index(end - 1) + 1

    def _place(self, offset: int) -> tuple[int, int]:
        number = bisect_right(self._places, offset) - 1
        if number < 0:
            return self.base + offset, self.base + offset + 1
        place = self._places[number]
        if place == offset:
            return self.base + self._starts[number], self.base + self._stops[number]
        begin = self.base + self._stops[number] + offset - place - 1
        return begin, begin + 1

    def _index(self, outer: int) -> int:
        offset = outer - self.base
        number = bisect_right(self._starts, offset) - 1
        if number < 0:
            return offset
        stop, place = self._stops[number], self._places[number]
        return place if offset < stop else place + 1 + offset - stop


def _decoded(content: str) -> str:
    """Return what stands in a JSON string, also in one that is none by the letter."""
    try:
        text = json.loads(f'"{content}"', strict=False)
    except ValueError:
        return _ESCAPE.sub(_meaning, content)
    assert isinstance(text, str)
    return text


def _meaning(match: re.Match[str]) -> str:
    high, low, code, char = match.groups()
    if high:
        return chr(0x10000 + (int(high, 16) - 0xD800 << 10) + int(low, 16) - 0xDC00)
    return chr(int(code, 16)) if code else _MEANING.get(char, char)
