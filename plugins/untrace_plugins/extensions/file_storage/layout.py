"""Layout of the files of a journal. Little-endian; every structure checks itself, and is found again after damage.

A segment file::

    header 64 bytes │ record │ record │ … │ footer 64 bytes, once the segment is full or closed

    record:  magic 4 │ mark 8 │ crc of the head 4 │ crc of the body 4 │ key 4 │ ordinal 4 │ items 4 │ items before 8 │
             bytes before 8 │ time 8 │ length of the header 4 │ length of the payload 4 │ header │ payload

``mark`` is a random number of the segment, so that nothing which a client sends can look like a record of it.
``ordinal`` and what comes "before" count within the segment: two neighbours tell what is missing between them. ``key``
is 0, or the id of the key with which the body is encrypted.

The done file beside it says what became of the records: a header of 64 bytes and entries of 64 bytes. Zeros are no
entries: room that is reserved, so that an end can be written when the disk is full.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

from untrace_pipeline.delivery.storage import Totals

__all__ = [
    "BLOCK_SIZE",
    "ENCRYPTED_EXTRA",
    "ENTRY_SIZE",
    "MAGIC",
    "MARK_SIZE",
    "NOTHING",
    "Ended",
    "Head",
    "SegmentHeader",
    "associated",
    "pack_done_header",
    "pack_ends",
    "pack_footer",
    "pack_head",
    "pack_header",
    "pack_sealed",
    "parse_done_header",
    "parse_entry",
    "parse_footer",
    "parse_head",
    "parse_header",
]

MAGIC = b"\xf5uR\x1a"
"""Begins a record; no valid UTF-8 holds it."""
MARK_SIZE = 8
BLOCK_SIZE = 64
"""Of headers, footers and the head of a record."""
ENTRY_SIZE = 64
"""Of what is said about one record in a done file."""
ENCRYPTED_EXTRA = 28
"""Bytes that encryption adds to a body: nonce and tag of AES-GCM."""

_HEAD = struct.Struct("<IIIIQQdII")
_FRONT_SIZE = len(MAGIC) + MARK_SIZE
_BLOCK = struct.Struct("<8s8sI44s")
_HEADER = struct.Struct("<dI")
_FOOTER = struct.Struct("<IQQQdI")
_ENTRY = struct.Struct("<BBBxIIIQQI24s")
_CRC = struct.Struct("<I")

_SEGMENT_MAGIC, _FOOTER_MAGIC, _DONE_MAGIC = b"untrSEG1", b"untrEND1", b"untrDON1"
_END, _SEALED = 1, 2
_STATE_SIZE = 24


NOTHING = Totals()


class Head(NamedTuple):
    """What stands before the body of a record."""

    body_crc: int
    key: int
    ordinal: int
    items: int
    items_before: int
    bytes_before: int
    time: float
    header_length: int
    payload_length: int

    @property
    def body_length(self) -> int:
        """Bytes that follow the head."""
        return self.header_length + self.payload_length + (ENCRYPTED_EXTRA if self.key else 0)


class SegmentHeader(NamedTuple):
    """Begin of a segment file."""

    mark: bytes
    created: float
    key: int


class Ended(NamedTuple):
    """One entry of a done file: what became of a record, of a part of its items, or of a range that is unreadable."""

    sealed: bool
    """Not an end: the amount that the segment holds in all."""
    part: int
    parts: int
    ordinal: int
    span: int
    requests: int
    items: int
    bytes: int
    group: int
    """The same in all parts that were written together: what is left of two groups is not taken for one."""
    state: str


def pack_head(mark: bytes, head: Head) -> bytes:
    """Return the 64 bytes before a body."""
    front, rest = MAGIC + mark, _HEAD.pack(*head)
    return front + _CRC.pack(crc32(rest, crc32(front))) + rest


def associated(head: Head) -> bytes:
    """Return what encryption binds a body to: all of its head but the crc."""
    return _HEAD.pack(0, *head[1:])


def parse_head(data: bytes, offset: int, mark: bytes | None) -> tuple[bytes, Head] | None:
    """Return mark and head of the record that begins at an offset; ``None`` if none does, or one of another mark."""
    if len(data) - offset < BLOCK_SIZE:
        return None
    front = data[offset : offset + _FRONT_SIZE]
    if not front.startswith(MAGIC) or (mark is not None and not front.endswith(mark)):
        return None
    rest = data[offset + _FRONT_SIZE + 4 : offset + BLOCK_SIZE]
    if crc32(rest, crc32(front)) != _CRC.unpack_from(data, offset + _FRONT_SIZE)[0]:
        return None
    return front[len(MAGIC) :], Head._make(_HEAD.unpack(rest))


def pack_header(header: SegmentHeader) -> bytes:
    """Return the begin of a segment file."""
    return _pack_block(_SEGMENT_MAGIC, header.mark, _HEADER.pack(header.created, header.key))


def parse_header(data: bytes) -> SegmentHeader | None:
    """Read the begin of a segment file."""
    found = _parse_block(_SEGMENT_MAGIC, data)
    return SegmentHeader(found[0], *_HEADER.unpack_from(found[1])) if found else None


def pack_footer(header: SegmentHeader, amount: Totals, end: int) -> bytes:
    """Return the last 64 bytes of a full segment; ``end`` is where they begin."""
    return _pack_block(_FOOTER_MAGIC, header.mark, _FOOTER.pack(*amount, end, header.created, header.key))


def parse_footer(data: bytes, end: int) -> tuple[SegmentHeader, Totals] | None:
    """Read a footer that begins at ``end``: what the header says as well, and what the segment holds."""
    found = _parse_block(_FOOTER_MAGIC, data)
    if found is None:
        return None
    requests, items, size, begin, created, key = _FOOTER.unpack_from(found[1])
    return (SegmentHeader(found[0], created, key), Totals(requests, items, size)) if begin == end else None


def pack_done_header(mark: bytes) -> bytes:
    """Return the begin of a done file."""
    return _pack_block(_DONE_MAGIC, mark, b"")


def parse_done_header(data: bytes) -> bytes | None:
    """Read the mark from the begin of a done file."""
    found = _parse_block(_DONE_MAGIC, data)
    return found[0] if found else None


def pack_ends(mark: bytes, ordinal: int, amount: Totals, outcome: Mapping[str, int], *, span: int = 1) -> bytes:
    """Return the entries that end a record: one per state, valid only together.

    ``amount.items`` is not used: the outcome says it.
    """
    seed, parts = crc32(mark), max(len(outcome), 1)
    group = crc32(repr(outcome).encode()) if parts > 1 else 0
    requests, size = amount.requests, amount.bytes
    entries = []
    for part, (state, items) in enumerate(outcome.items() or (("", 0),)):
        entries.append(_pack_entry(seed, _END, part, parts, ordinal, span, requests, items, size, group, _name(state)))
        requests = size = 0
    return entries[0] if parts == 1 else b"".join(entries)


@lru_cache(maxsize=256)
def _name(state: str) -> bytes:
    """Return a state as it stands in an entry."""
    return state.encode()[:_STATE_SIZE]


def pack_sealed(mark: bytes, amount: Totals) -> bytes:
    """Return the entry that repeats what the footer of the segment says."""
    return _pack_entry(crc32(mark), _SEALED, 0, 1, 0, 0, *amount, 0, b"")


def parse_entry(data: bytes, offset: int, seed: int) -> Ended | None:
    """Read the entry at an offset; ``seed`` is the crc of the mark. ``None`` if it is damaged, or none."""
    rest = data[offset + 4 : offset + ENTRY_SIZE]
    if len(rest) < _ENTRY.size or crc32(rest, seed) != _CRC.unpack_from(data, offset)[0]:
        return None
    kind, *numbers, state = _ENTRY.unpack(rest)
    return Ended._make((kind == _SEALED, *numbers, state.rstrip(b"\0").decode("utf-8", "replace")))


def _pack_entry(seed: int, *values: int | bytes) -> bytes:
    rest = _ENTRY.pack(*values)
    return _CRC.pack(crc32(rest, seed)) + rest


def _pack_block(magic: bytes, mark: bytes, body: bytes) -> bytes:
    body = body.ljust(44, b"\0")
    return _BLOCK.pack(magic, mark, crc32(body, crc32(magic + mark)), body)


def _parse_block(magic: bytes, data: bytes) -> tuple[bytes, bytes] | None:
    if len(data) < BLOCK_SIZE:
        return None
    found, mark, crc, body = _BLOCK.unpack_from(data)
    return (mark, body) if found == magic and crc == crc32(body, crc32(magic + mark)) else None
