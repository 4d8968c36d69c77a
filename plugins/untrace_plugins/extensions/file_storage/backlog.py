"""What is only on disk: read in order, some at a time, in a thread."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass, field

from untrace_pipeline.delivery.storage import Record
from untrace_plugins.extensions.file_storage.layout import BLOCK_SIZE, NOTHING, Amount
from untrace_plugins.extensions.file_storage.scanner import Found, Gap, Scanner
from untrace_plugins.extensions.file_storage.segment import SERIAL_SHIFT, Segment

__all__ = ["Backlog", "Chunk", "Damage"]


@dataclass(frozen=True, slots=True)
class Damage:
    """Records that cannot be read: a range of ordinals, and what of it has not ended."""

    segment: Segment
    ordinal: int
    span: int
    amount: Amount


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
    passed: Amount = NOTHING
    time: float = 0.0
    """Of the last record."""
    scanner: Scanner | None = None
    file: int = -1
    mask: bytes = b""
    """For old segments: which records have ended."""


class Backlog:
    """Segments that are to be read, the first of them perhaps not from its begin."""

    def __init__(self) -> None:
        self._cursors: deque[_Cursor] = deque()

    def add(self, segment: Segment, offset: int = BLOCK_SIZE, passed: Amount = NOTHING) -> None:
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
            complete, end = cursor.segment.sealed, cursor.segment.end
            if await asyncio.to_thread(_read, cursor, end, complete, max_bytes, chunk):
                _close(self._cursors.popleft())
        return chunk


def _close(cursor: _Cursor) -> None:
    if cursor.file >= 0:
        cursor.segment.shelf.files.close(cursor.file)
        cursor.file = -1


def _read(cursor: _Cursor, end: int, complete: bool, max_bytes: int, chunk: Chunk) -> bool:
    """Read some of a segment; return whether that was the rest of it."""
    scanner = cursor.scanner or _open(cursor)
    size = 0
    while size < max_bytes:
        found = scanner.next(end) if scanner is not None else None
        if found is not None and scanner is not None:
            cursor.offset, cursor.passed = scanner.offset, scanner.passed
        elif complete:
            found = _rest(cursor)
        if found is None:
            return complete
        if isinstance(found, Gap):
            _note(cursor, found, chunk)
            continue
        cursor.time = found.head.time
        if not (found.head.ordinal < len(cursor.mask) and cursor.mask[found.head.ordinal]):
            chunk.records.append(_record(cursor.segment, found))
            size += len(found.body)
    return False


def _record(segment: Segment, found: Found) -> Record:
    head, body = found
    place = segment.serial << SERIAL_SHIFT | head.ordinal
    return Record(body[: head.header_length], body[head.header_length :], head.items, head.time, place)


def _rest(cursor: _Cursor) -> Gap | None:
    """Return what is missing at the end of a segment, once."""
    passed, cursor.passed = cursor.passed, cursor.segment.total
    missing = cursor.passed.minus(passed)
    return Gap(passed.requests, missing) if missing.requests > 0 else None


def _open(cursor: _Cursor) -> Scanner | None:
    """Open the segment; ``None`` if its file is missing."""
    segment = cursor.segment
    if segment.old:
        cursor.mask = bytes(segment.shelf.ends(segment).mask)
    with contextlib.suppress(FileNotFoundError):
        cursor.file = segment.shelf.open_to_read(segment)
        cursor.scanner = Scanner(
            segment.shelf.files, cursor.file, segment.mark, offset=cursor.offset, passed=cursor.passed
        )
    return cursor.scanner


def _note(cursor: _Cursor, gap: Gap, chunk: Chunk) -> None:
    segment, amount = cursor.segment, gap.amount
    if segment.old:
        amount = segment.shelf.ends(segment).missing(gap.ordinal, amount)
    if amount.requests:
        chunk.damages.append(Damage(segment, gap.ordinal, gap.amount.requests, amount))
