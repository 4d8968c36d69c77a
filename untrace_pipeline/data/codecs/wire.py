"""Walking the protobuf wire format in plain Python: where the containers and items of a request lie.

Only the fields on the way down to the items are looked at; everything else is skipped by its length. See
https://protobuf.dev/programming-guides/encoding/ and the ``.proto`` files of opentelemetry-proto.
"""

# ruff: noqa: PLR2004  the numbers are those of the base-128 encoding
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from untrace_pipeline.data.signal import Signal
from untrace_pipeline.errors import DecodeError

__all__ = ["PATHS", "Nodes", "fields", "framed", "read_field", "read_varint", "varint", "walk"]

PATHS: dict[Signal, tuple[frozenset[int], ...]] = {
    Signal.TRACES: (frozenset({1}), frozenset({2}), frozenset({2})),
    Signal.LOGS: (frozenset({1}), frozenset({2}), frozenset({2})),
    # request → resource → scope → metric → one of gauge, sum, histogram, exponential histogram, summary → point
    Signal.METRICS: (frozenset({1}), frozenset({2}), frozenset({2}), frozenset({5, 7, 9, 10, 11}), frozenset({1})),
}
"""The field numbers that lead from the request down to its items, one set per depth."""

_VARINT, _FIXED64, _LENGTH, _GROUP, _END_GROUP, _FIXED32 = range(6)
_MAX_GROUP_DEPTH = 100  # protobuf's own recursion limit
_MAX_GROUP_BYTES = 1 << 20
_MAX_FIELD = (1 << 29) - 1


@dataclass(slots=True)
class Nodes:
    """All messages of one depth, in wire order: where tag and body start, where the body ends, whose child each is."""

    tags: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.starts)

    def add(self, tag: int, start: int, end: int, parent: int) -> None:
        """Append one message."""
        self.tags.append(tag)
        self.starts.append(start)
        self.ends.append(end)
        self.parents.append(parent)

    def drop_from(self, count: int) -> None:
        """Forget all but the first ``count`` messages."""
        for column in (self.tags, self.starts, self.ends, self.parents):
            del column[count:]


MAX_MESSAGES = 1 << 20
"""Messages of one depth in one request. Two bytes make an empty one, and decoding turns them into a hundred: without a
limit a body of 64 MiB could hold the event loop for a minute and fill gigabytes."""
MAX_SKIPPED = 1 << 20
"""Other fields of one depth, unknown ones most of all; stepping over each takes up to a microsecond."""


def walk(signal: Signal, data: bytes) -> list[Nodes]:
    """Return the messages of each depth of ``PATHS[signal]``; the last are the items.

    Costs about 0.3 µs per item. Raises :class:`DecodeError` with the offset where a container is malformed, or where
    there are more than ``MAX_MESSAGES`` or ``MAX_SKIPPED``.
    """
    above = Nodes([0], [0], [len(data)], [0])
    found = []
    for numbers in PATHS[signal]:
        above = _union(data, above, numbers) if len(numbers) > 1 else _repeated(data, above, *numbers)
        found.append(above)
    return found


def _repeated(data: bytes, above: Nodes, number: int) -> Nodes:
    """Find the messages of a repeated field in all messages of the depth above."""
    found: list[tuple[int, int, int]] = []
    parents: list[int] = []
    skipped = 0
    for parent, (start, end) in enumerate(zip(above.starts, above.ends, strict=True)):
        children, skipped = _messages(data, start, end, number, skipped)
        found += children
        if len(found) > MAX_MESSAGES:
            raise _too_many(start)
        parents += [parent] * len(children)
    return Nodes([t for t, _, _ in found], [s for _, s, _ in found], [e for _, _, e in found], parents)


def _messages(  # noqa: C901  read in line for speed
    data: bytes, pos: int, end: int, number: int, skipped: int
) -> tuple[list[tuple[int, int, int]], int]:
    """Return tag, start and end of each message of a repeated field, and how many other fields were skipped so far.

    The common encodings are read in line: this is the inner loop of everything that walks.
    """
    found = []
    wanted = number << 3 | _LENGTH
    size = len(data) - 4
    while pos < end:
        key = data[pos]
        if key & 0x87 == _LENGTH < key and pos < size:
            start = pos + 2
            length = data[pos + 1]
            if length > 0x7F:
                second = data[start]
                length += (second << 7) - 0x80
                start += 1
                if second > 0x7F:
                    third = data[start]
                    length += (third << 14) - 0x4000
                    start += 1
                    if third > 0x7F:
                        length, start = read_varint(data, pos + 1, end)
            stop = start + length
            if stop > end:
                raise DecodeError("a field is longer than what contains it", offset=pos)
        elif key & 0x87 == _FIXED64 < key and pos + 9 <= end:
            stop = pos + 9
        else:
            key, start, stop = read_field(data, pos, end)
        if key == wanted:
            found.append((pos, start, stop))
            if len(found) > MAX_MESSAGES:
                raise _too_many(pos)
        else:
            skipped += _cost(key & 7, pos, stop)
            if skipped > MAX_SKIPPED:
                raise _too_many_fields(pos)
        pos = stop
    return found, skipped


def _cost(wire: int, begin: int, end: int) -> int:
    """Return how many fields were stepped over, at most; a group is stepped through."""
    return (end - begin) // 2 if wire == _GROUP else 1


def _too_many(offset: int) -> DecodeError:
    return DecodeError(f"more than {MAX_MESSAGES} messages of one kind; send smaller requests", offset=offset)


def _too_many_fields(offset: int) -> DecodeError:
    return DecodeError("more than a million unknown fields; send smaller requests", offset=offset)


def _union(data: bytes, above: Nodes, numbers: frozenset[int]) -> Nodes:
    """Find the member messages of a ``oneof``: another member than before replaces, the same one adds to it."""
    nodes = Nodes()
    skipped = 0
    for parent, (pos, end) in enumerate(zip(above.starts, above.ends, strict=True)):
        first, member = len(nodes), 0
        for number, wire, tag, start, stop in fields(data, pos, end):
            if number in numbers and wire == _LENGTH:
                if number != member:
                    nodes.drop_from(first)
                member = number
                nodes.add(tag, start, stop, parent)
            else:
                skipped += _cost(wire, tag, stop)
                if skipped > 2 * MAX_SKIPPED:  # name, description and unit of honest metrics are among them
                    raise _too_many_fields(tag)
    return nodes


def fields(data: bytes, pos: int, end: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield number, wire type, start of the tag, start and end of the value of each field of a message."""
    while pos < end:
        key, body, stop = read_field(data, pos, end)
        yield key >> 3, key & 7, pos, body, stop
        pos = stop


def read_field(data: bytes, pos: int, end: int) -> tuple[int, int, int]:
    """Return tag, start and end of the value of the field that begins at ``pos``."""
    key, start = read_varint(data, pos, end)
    if not 0 < key >> 3 <= _MAX_FIELD:
        raise DecodeError("illegal field number", offset=pos)
    stop, body = _skip(data, key, start, end, pos)
    return key, body, stop


def _skip(data: bytes, key: int, start: int, end: int, tag: int) -> tuple[int, int]:
    """Return the end and the start of the value of a field whose tag was read."""
    wire = key & 7
    body = start
    if wire == _LENGTH:
        length, body = read_varint(data, start, end)
        stop = body + length
    elif wire == _VARINT:
        _, stop = read_varint(data, start, end)
    elif wire == _FIXED64:
        stop = start + 8
    elif wire == _FIXED32:
        stop = start + 4
    elif wire == _GROUP:
        stop = _skip_group(data, key >> 3, start, end)
    else:
        raise DecodeError(f"illegal wire type {wire}", offset=tag)
    if stop > end:
        raise DecodeError("a field is longer than what contains it", offset=tag)
    return stop, body


def _skip_group(data: bytes, number: int, pos: int, end: int) -> int:
    """Return where a group ends (groups are long deprecated, but unknown ones are legal)."""
    begin = pos
    open_groups = [number]
    while open_groups:
        tag = pos
        key, pos = read_varint(data, pos, end)
        if key & 7 == _END_GROUP:
            if key >> 3 != open_groups.pop():
                raise DecodeError("a group ends that was not open", offset=tag)
        elif key & 7 == _GROUP:
            open_groups.append(key >> 3)
            if len(open_groups) > _MAX_GROUP_DEPTH:
                raise DecodeError("groups nested too deep", offset=begin)
        else:
            pos, _ = _skip(data, key, pos, end, tag)
        if pos - begin > _MAX_GROUP_BYTES:
            raise DecodeError("a group is too large", offset=begin)
    return pos


def read_varint(data: bytes, pos: int, end: int) -> tuple[int, int]:
    """Return an unsigned base-128 number and the position after it. Raises :class:`DecodeError`."""
    value = shift = 0
    begin = pos
    while pos < end:
        byte = data[pos]
        pos += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, pos
        shift += 7
        if shift > 63:
            raise DecodeError("a number has more than ten bytes", offset=begin)
    raise DecodeError("ends in the middle of a number", offset=begin)


_ONE_BYTE = [bytes([value]) for value in range(0x80)]


def varint(value: int) -> bytes:
    """Return the base-128 form of a number from 0 to 2**64 - 1."""
    if value < 0x80:
        return _ONE_BYTE[value]
    if value < 0x4000:
        return bytes((value & 0x7F | 0x80, value >> 7))
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def framed(data: bytes, nodes: Nodes, node: int, pieces: Sequence[bytes]) -> list[bytes]:
    """Return a new body of a message, in pieces, behind its old tag and the new length."""
    tag = data[nodes.tags[node]]
    if tag > 0x7F:  # a tag in more bytes than it needs
        tag, _ = read_varint(data, nodes.tags[node], nodes.starts[node])
    return [_ONE_BYTE[tag], varint(sum(map(len, pieces))), *pieces]
