"""Spans whose every byte follows from their id, and how to find them again in any bytes."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from functools import cache

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

SIZES = (60, 200, 700, 2500)
"""Characters of the text that a span carries; which of them follows from its id."""
SEQUENCE_BITS = 40
"""An id is the number of its sender and, in the lower bits, its place among that sender's items."""

_TEXT = "".join(random.Random(4317).choices("abcdefghijklmnopqrstuvwxyz     ", k=1 << 16))
_START = 1_700_000_000_000_000_000
_MARK = re.compile(rb"chaos\.id\x12\x12\x0a\x10([0-9a-f]{16})")
_TRACE_ID, _SPAN_ID, _HEX = b"\xf1" * 16, b"\xf2" * 8, "f3" * 8


def item_id(sender: int, sequence: int) -> int:
    """Return the id of the n-th item of a sender."""
    return sender << SEQUENCE_BITS | sequence


def _attribute(key: str, text: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=text))


@cache
def _template(size: int) -> tuple[bytes, bytes, bytes, bytes]:
    """Return what stands before, between and after the ids of a span; its text comes last."""
    span = Span(
        trace_id=_TRACE_ID,
        span_id=_SPAN_ID,
        name="chaos",
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=_START,
        end_time_unix_nano=_START + 1_000_000,
        attributes=[_attribute("chaos.id", _HEX), _attribute("chaos.text", "x" * size)],
    )
    data = span.SerializeToString(deterministic=True)
    before, rest = data.split(_TRACE_ID)
    middle, rest = rest.split(_SPAN_ID)
    after, rest = rest.split(_HEX.encode())
    return before, middle, after, rest.removesuffix(b"x" * size)


def span_bytes(item: int) -> bytes:
    """Return the serialized span of an id."""
    size = SIZES[item * 2654435761 % 97 % len(SIZES)]
    before, middle, after, rest = _template(size)
    key = item.to_bytes(8, "big")
    place = item * 7919 % (len(_TEXT) - size)
    text = _TEXT[place : place + size].encode()
    return b"".join((before, b"chaos id", key, middle, key, after, key.hex().encode(), rest, text))


_MARK_PLACE = span_bytes(0).index(b"chaos.id\x12")


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _field(number: int, content: bytes) -> bytes:
    return b"".join((_varint(number << 3 | 2), _varint(len(content)), content))


_RESOURCE = _field(1, Resource(attributes=[_attribute("service.name", "chaos")]).SerializeToString())
_SCOPE = _field(1, InstrumentationScope(name="tests.chaos").SerializeToString())


def request_bytes(items: Iterable[int]) -> bytes:
    """Return a serialized ``ExportTraceServiceRequest`` of the spans of some ids."""
    spans = b"".join(_field(2, span_bytes(item)) for item in items)
    return _field(1, _RESOURCE + _field(2, _SCOPE + spans))


def find_items(data: bytes) -> Iterator[tuple[int, bool, int]]:
    """Yield id, whether every byte of the span is as it was sent, and its place, for all spans in ``data``."""
    for match in _MARK.finditer(data):
        item = int(match[1], 16)
        place = match.start() - _MARK_PLACE
        yield item, place >= 0 and data.startswith(span_bytes(item), place), place
