"""What is only on disk: read in order, some at a time, in a thread."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from untrace_pipeline.delivery.storage import Record, Totals
from untrace_plugins.extensions.file_storage.layout import BLOCK_SIZE, NOTHING, associated
from untrace_plugins.extensions.file_storage.scanner import Found, Gap, Scanner
from untrace_plugins.extensions.file_storage.segment import SERIAL_SHIFT, Segment

if TYPE_CHECKING:
    from untrace_plugins.extensions.file_storage.crypt import Cipher

__all__ = ["Backlog", "Chunk", "Damage"]


@dataclass(frozen=True, slots=True)
class Damage:
    """Records that cannot be read: a range of ordinals, and what of it has not ended."""

    segment: Segment
    ordinal: int
    span: int
    amount: Totals


@dataclass(slots=True)
class Chunk:
    """What was read."""

    records: list[Record] = field(default_factory=list)
    damages: list[Damage] = field(default_factory=list)


@dataclass(slots=True)
class _Cursor:
    """Where reading goes on."""

    segment: Segment
    offset: int = BLOCK_SIZE
    passed: Totals = NOTHING
    time: float = 0.0
    """Of the last record."""
    scanner: Scanner | None = None
    file: int = -1
    """-1 while it is not open, or if it is missing."""
    cipher: Cipher | None = None
    mask: bytes = b""
    """For old segments: which records have ended."""


@dataclass(frozen=True, slots=True)
class _Extent:
    """What a segment holds at this moment; it grows while a thread reads."""

    end: int
    total: Totals
    complete: bool

    @classmethod
    def of(cls, segment: Segment) -> _Extent:
        return cls(segment.end, segment.total, segment.sealed)


class Backlog:
    """Segments that are to be read, the first of them perhaps not from its begin."""

    def __init__(self) -> None:
        self._cursors: deque[_Cursor] = deque()

    def add(self, segment: Segment, offset: int = BLOCK_SIZE, passed: Totals = NOTHING) -> None:
        """Read a segment after the others, from an offset."""
        self._cursors.append(_Cursor(segment, offset, passed))

    @property
    def empty(self) -> bool:
        """Whether everything that is durable was read."""
        if len(self._cursors) != 1:
            return not self._cursors
        cursor = self._cursors[0]
        return not cursor.segment.sealed and cursor.offset >= cursor.segment.end

    @property
    def oldest(self) -> float | None:
        """Return about when the next record was appended: not before the one that was read last."""
        return max(self._cursors[0].time, self._cursors[0].segment.created) if not self.empty else None

    def clear(self) -> None:
        """Forget what was read completely, so that reading can begin anew elsewhere."""
        for cursor in self._cursors:
            _close(cursor)
        self._cursors.clear()

    async def read(self, max_bytes: int) -> Chunk:
        """Return the next records, about so many bytes; nothing only if there are none. Raises ``OSError``."""
        chunk = Chunk()
        while not self.empty and not chunk.records:
            cursor = self._cursors[0]
            if await asyncio.to_thread(_read, cursor, _Extent.of(cursor.segment), max_bytes, chunk):
                _close(self._cursors.popleft())
        return chunk


def _close(cursor: _Cursor) -> None:
    if cursor.file >= 0:
        cursor.segment.shelf.files.close(cursor.file)
        cursor.file = -1


def _read(cursor: _Cursor, extent: _Extent, max_bytes: int, chunk: Chunk) -> bool:
    """Read some of a segment; return whether that was the rest of it."""
    scanner = cursor.scanner or _open(cursor)
    size = 0
    while size < max_bytes:
        found = scanner.next(extent.end, extent.total.requests) if cursor.file >= 0 else None
        found = found or scanner.skip_to(extent.end, extent.total)
        cursor.offset = scanner.offset
        if found is None:
            return extent.complete
        if isinstance(found, Gap):
            _note(cursor, found, chunk)
            continue
        head = found.head
        cursor.time = head.time
        if head.ordinal < len(cursor.mask) and cursor.mask[head.ordinal]:
            continue
        record = _record(cursor, found)
        if record is not None:
            record.position = scanner.offset - len(found.body) - BLOCK_SIZE
        if record is None:
            _note(cursor, Gap(head.ordinal, Totals(1, head.items, head.payload_length)), chunk)
        else:
            chunk.records.append(record)
            size += len(found.body)
    return False


def _record(cursor: _Cursor, found: Found) -> Record | None:
    """Return the record; ``None`` if it cannot be decrypted."""
    segment, (head, body) = cursor.segment, found
    if head.key != segment.key:
        return None
    if cursor.cipher is not None:
        decrypted = cursor.cipher.decrypt(body, associated(head))
        if decrypted is None:
            return None
        body = decrypted
    place = segment.serial << SERIAL_SHIFT | head.ordinal
    return Record(body[: head.header_length], body[head.header_length :], head.items, head.time, place)


def _open(cursor: _Cursor) -> Scanner:
    segment = cursor.segment
    cursor.cipher = segment.shelf.cipher(segment)
    if segment.old:
        cursor.mask = bytes(segment.shelf.ends(segment).mask)
    with contextlib.suppress(FileNotFoundError):
        cursor.file = segment.shelf.open_to_read(segment)
    cursor.scanner = Scanner(segment.shelf.files, cursor.file, segment.mark, offset=cursor.offset, passed=cursor.passed)
    return cursor.scanner


def _note(cursor: _Cursor, gap: Gap, chunk: Chunk) -> None:
    segment, amount = cursor.segment, gap.amount
    if segment.old:
        amount = segment.shelf.ends(segment).missing(gap.ordinal, amount)
    if amount.requests:
        chunk.damages.append(Damage(segment, gap.ordinal, gap.amount.requests, amount))
