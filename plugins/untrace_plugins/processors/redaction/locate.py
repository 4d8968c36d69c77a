"""Which value of an item holds a byte of the request: without decoding the item.

Walks the wire format of a span or a log record, and only where it has the usual form: key before value, one value, no
groups. Anything else is not an error but "unknown", and whoever asked decodes the item. Field numbers are those of
``trace.proto``, ``logs.proto`` and ``common.proto`` of opentelemetry-proto.
"""

# ruff: noqa: PLR2004  the numbers are those of the base-128 encoding
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from untrace_pipeline.data import Level, Signal

__all__ = ["LAYOUTS", "Layout", "Place", "locate"]

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_KEY = _STRING = 0x0A
"""Field 1 with a length: ``KeyValue.key``, ``AnyValue.string_value``."""
_VALUE = 0x12
"""Field 2 with a length: ``KeyValue.value``."""
_OTHER_LENGTHS = frozenset({0x2A, 0x32, 0x3A})
"""Fields 5, 6 and 7 of ``AnyValue``: list, map and bytes."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Tags (number of the field << 3 | 2) of what an item may have; 0 where it has no such field."""

    attributes: int
    events: int = 0
    body: int = 0


LAYOUTS = {
    Signal.TRACES: Layout(attributes=9 << 3 | 2, events=11 << 3 | 2),
    Signal.LOGS: Layout(6 << 3 | 2, body=5 << 3 | 2),
}
_EVENT = Layout(attributes=3 << 3 | 2)


class Place(NamedTuple):
    """A string value in the request."""

    level: Level
    event: int
    """Number of the event within its item; 0 for a value of the item itself."""
    key: str | None
    """Key of the attribute; ``None`` for the body of a log record."""
    start: int
    stop: int


class _UnusualError(Exception):
    """Not the form that this walk knows."""


def locate(data: bytes, start: int, stop: int, ends: Sequence[int], layout: Layout) -> list[Place] | None:
    """Return the string values in which the bytes before the ascending offsets ``ends`` lie, each once.

    Offsets outside of string values (in keys, names, ids, lists, maps, bytes) give nothing. ``None`` if the item
    between ``start`` and ``stop`` has an unusual form.
    """
    try:
        return _located(data, start, stop, ends, layout)
    except (_UnusualError, IndexError, UnicodeDecodeError):
        return None


def _located(data: bytes, pos: int, stop: int, ends: Sequence[int], layout: Layout) -> list[Place]:
    places: list[Place] = []
    pending = iter(ends)
    end = next(pending)
    event = -1
    first = pos
    while end <= stop:
        tag = data[pos]
        if tag & 7 == _LENGTH and tag < 0x80:
            length = data[pos + 1]
            body = pos + 2
            if length > 0x7F:
                length, body = _number(data, pos + 1)
            pos = body + length
            if tag == layout.events:
                event += 1
        else:
            body = pos = _behind(data, pos)
        if end <= pos:
            inside = []
            while end <= pos:
                inside.append(end)
                end = next(pending, stop + 1)
            if tag == layout.attributes:
                places += _attribute(data, body, pos, first)
            else:
                places += _within(data, tag, body, pos, inside, layout, event)
    return places


def _within(
    data: bytes, tag: int, start: int, stop: int, ends: Sequence[int], layout: Layout, event: int
) -> list[Place]:
    """Return the values within a field of an item that is no attribute."""
    if tag == layout.body:
        text = _string(data, start, stop)
        return [Place(Level.ITEM, 0, None, *text)] if text else []
    if tag == layout.events:
        found = _located(data, start, stop, ends, _EVENT)
        return [place._replace(level=Level.EVENT, event=event) for place in found]
    return []


def _attribute(data: bytes, pos: int, stop: int, first: int) -> list[Place]:
    """Return the value of an attribute, unless its key may have occurred already behind ``first``."""
    if data[pos] != _KEY:
        raise _UnusualError
    length, start = _number(data, pos + 1)
    key_stop = start + length
    if key_stop >= stop or data[key_stop] != _VALUE:
        raise _UnusualError
    if data.find(data[pos:key_stop], first, pos) >= 0:
        raise _UnusualError
    key = data[start:key_stop].decode()
    length, body = _number(data, key_stop + 1)
    if body + length != stop:
        raise _UnusualError
    text = _string(data, body, stop)
    return [Place(Level.ITEM, 0, key, *text)] if text else []


def _string(data: bytes, pos: int, stop: int) -> tuple[int, int] | None:
    """Return where the string of an ``AnyValue`` lies; ``None`` if it is a list, a map or bytes."""
    tag = data[pos]
    if tag != _STRING and tag not in _OTHER_LENGTHS:
        raise _UnusualError
    length, start = _number(data, pos + 1)
    if start + length != stop:
        raise _UnusualError
    return (start, stop) if tag == _STRING else None


def _behind(data: bytes, pos: int) -> int:
    """Return the position behind a number."""
    tag = data[pos]
    wire = tag & 7
    if tag > 0x7F:
        raise _UnusualError
    if wire == _VARINT:
        pos += 1
        while data[pos] > 0x7F:
            pos += 1
        return pos + 1
    if wire == _FIXED64:
        return pos + 9
    if wire == _FIXED32:
        return pos + 5
    raise _UnusualError


def _number(data: bytes, pos: int) -> tuple[int, int]:
    """Read a length; return it and the position behind it."""
    value = shift = 0
    while True:
        byte = data[pos]
        pos += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, pos
        shift += 7
        if shift > 28:
            raise _UnusualError
