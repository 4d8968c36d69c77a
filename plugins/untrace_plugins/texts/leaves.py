"""Which parts of a text may be replaced, so that the JSON that it is, at any depth, stays JSON."""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Sequence
from typing import NamedTuple

import orjson

from untrace_plugins.texts.layers import Layer
from untrace_plugins.texts.scope import FACTS, Scope

__all__ = ["Kind", "Part", "Span", "is_json", "parts"]

_MAX_DEPTH = 12
"""JSON within JSON strings; each doubles the backslashes, so what lies deeper is treated as text."""
_LEAF = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"(\s*:)?|(-?\d[\d.eE+-]*)', re.DOTALL)
_STRINGS = re.compile(r'(?:[^"]*+"[^"\\]*+(?:\\.[^"\\]*+)*+")*+[^"]*+', re.DOTALL)
"""Whole strings and what is between them: all that ends before an offset, in one go."""
_OF_NUMBERS = "0123456789.eE+-"
_TOKEN = re.compile(rf"{_LEAF.pattern}|([{{\[])|([}}\]])", re.DOTALL)
_KEY, _STRING, _NUMBER, _OPEN = 2, 1, 3, 4
"""Groups of a token."""
_NUMBER_IN_TEXT = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\Z")
_BEFORE_NUMBER = re.compile(r"(?:\"\s*:|\[|[\d\"\]}]\s*,)\s*\Z")
_AFTER_NUMBER = re.compile(r"\s*[,}\]]")
_NEAR = 64
"""Characters around a number that tell whether it stands in a document within a text."""


class Span(NamedTuple):
    """Part of a text that something was found in, and the number of the finding."""

    start: int
    end: int
    number: int


class Kind(enum.Enum):
    """What a part is."""

    TEXT = enum.auto()
    """Of a text that is no JSON."""
    STRING = enum.auto()
    """Of a JSON string."""
    KEY = enum.auto()
    """Of the key of an object."""
    NUMBER = enum.auto()
    """A whole number, in whose place only a JSON string can stand."""


_KINDS = {_KEY: Kind.KEY, _STRING: Kind.STRING, _NUMBER: Kind.NUMBER}


class Part(NamedTuple):
    """What may be replaced of a finding."""

    start: int
    end: int
    number: int
    """Of the finding."""
    kind: Kind
    depth: int
    """In how many JSON strings, within each other, it lies."""
    scope: Scope
    key: str
    """Key, or number in a list, whose value it is part of."""

    @property
    def quote(self) -> str:
        """How a JSON string begins and ends in place of this part; "" where it stands in one, or in text."""
        return "\\" * (2**self.depth - 1) + '"' if self.kind is Kind.NUMBER else ""


def is_json(text: str) -> bool:
    """Whether a text is a JSON object, list or string; ``NaN`` and halves of characters are no obstacle."""
    if text.lstrip(" \t\r\n")[:1] not in {"{", "[", '"'}:
        return False
    try:
        orjson.loads(text)
    except ValueError:
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return False
    return True


def parts(text: str, spans: Sequence[Span], *, to_the_end: bool = False) -> list[Part]:
    """Return what may be replaced of spans, which are in order and do not overlap; no escape is cut.

    A span that lies in several strings gives several parts, one that lies between them none. Keys and scopes of parts
    are told only with ``to_the_end``: what says whose text something is may stand behind it.
    """
    if is_json(text):
        return _Document(text, spans, Scope(), 0, to_the_end=to_the_end).parts
    return _in_text(text, spans, 0, Scope(), "", Kind.TEXT)


def _in_text(text: str, spans: Sequence[Span], depth: int, scope: Scope, key: str, kind: Kind) -> list[Part]:
    return [Part(*span, Kind.NUMBER if _is_json_number(text, span) else kind, depth, scope, key) for span in spans]


def _is_json_number(text: str, span: Span) -> bool:
    """Whether a span is a number of a JSON document that stands somewhere within the text."""
    start, end, _ = span
    return bool(
        _NUMBER_IN_TEXT.match(text[start:end])
        and _BEFORE_NUMBER.search(text[max(0, start - _NEAR) : start])
        and _AFTER_NUMBER.match(text[end : end + _NEAR])
    )


class _Document:
    """A document on the way through its tokens; offsets are those of its text."""

    def __init__(self, text: str, spans: Sequence[Span], scope: Scope, depth: int, *, to_the_end: bool) -> None:
        self.parts: list[Part] = []
        self._text = text
        self._spans = spans
        self._first = 0  # of the spans that are not behind us
        self._depth = depth
        self._to_the_end = to_the_end
        self._scope = scope
        self._key = ""
        self._counts = [0]
        if to_the_end:
            for match in _TOKEN.finditer(text):
                self._token(match)
        else:
            self._leaves()

    def _leaves(self) -> None:
        """Look only for what holds spans, up to the last one: scopes stay empty."""
        place = 0
        while self._first < len(self._spans):
            match = _LEAF.search(self._text, self._leaf_before(self._spans[self._first].start, place))
            if match is None:
                return
            kind = _KINDS[match.lastindex or 0]
            self._add(*match.span(0 if kind is Kind.NUMBER else 1), kind)
            place = match.end()
            # What lies between two leaves is no part of any.
            while self._first < len(self._spans) and self._spans[self._first].end <= place:
                self._first += 1

    def _leaf_before(self, start: int, place: int) -> int:
        """Return where the string or number begins that an offset lies in, given the end of one before it."""
        text = self._text
        if start <= place:
            return place
        strings = _STRINGS.match(text, place, start)
        assert strings is not None
        begin = strings.end()
        if begin == start:
            while begin > place and text[begin - 1] in _OF_NUMBERS:
                begin -= 1
        return begin

    def _token(self, match: re.Match[str]) -> None:
        group = match.lastindex
        if group == _KEY:
            self._key = match[1]
            self._add(*match.span(1), Kind.KEY)
        elif group == _STRING:
            if self._key in FACTS:
                self._scope.tell(self._key, match[1])
            self._add(*match.span(1), Kind.STRING)
            self._next()
        elif group == _NUMBER:
            self._add(*match.span(), Kind.NUMBER)
            self._next()
        elif group == _OPEN:
            self._scope = Scope(self._scope, self._place)
            self._next()
            self._counts.append(0)
        else:
            assert self._scope.parent is not None
            self._scope = self._scope.parent
            self._counts.pop()

    @property
    def _place(self) -> str:
        return self._key or str(self._counts[-1])

    def _next(self) -> None:
        self._key = ""
        self._counts[-1] += 1

    def _within(self, start: int, end: int) -> list[Span]:
        """Return the spans in a part of the text, cut to it."""
        spans, first = self._spans, self._first
        while first < len(spans) and spans[first].end <= start:
            first += 1
        self._first = first
        found = []
        while first < len(spans) and spans[first].start < end:
            span = spans[first]
            found.append(Span(max(span.start, start), min(span.end, end), span.number))
            first += 1
        return found

    def _add(self, start: int, end: int, kind: Kind) -> None:
        spans = self._within(start, end)
        if not spans:
            return
        if kind is Kind.NUMBER:
            self.parts.append(Part(start, end, spans[0].number, kind, self._depth, self._scope, self._place))
        else:
            self.parts += self._inner(Layer(self._text[start:end], start), spans, kind)

    def _inner(self, layer: Layer, spans: Sequence[Span], kind: Kind) -> list[Part]:
        """Return the parts of a string: of the document that it holds, or of its text."""
        inner = _inward(layer, spans)
        depth = self._depth + 1
        if kind is Kind.STRING and depth <= _MAX_DEPTH and is_json(layer.text):
            scope = Scope(self._scope, self._place)
            found = _Document(layer.text, inner, scope, depth, to_the_end=self._to_the_end).parts
        else:
            found = _in_text(layer.text, inner, depth, self._scope, self._place, kind)
        return [_outward(layer, part) for part in found]


def _inward(layer: Layer, spans: Sequence[Span]) -> list[Span]:
    """Return spans as parts of the value; of two that begin or end in the same escape, the first takes it."""
    found = []
    last = 0
    for span in spans:
        start, end = layer.inward(span.start, span.end)
        if last < end:
            found.append(Span(max(start, last), end, span.number))
            last = end
    return found


def _outward(layer: Layer, part: Part) -> Part:
    start, end = layer.outward(part.start, part.end)
    return part._replace(start=start, end=end)
