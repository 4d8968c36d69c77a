"""Reads the records of a segment in order, over damage."""

from __future__ import annotations

from typing import NamedTuple
from zlib import crc32

from untrace_pipeline.delivery.storage import Totals
from untrace_plugins.extensions.file_storage.files import Files
from untrace_plugins.extensions.file_storage.layout import BLOCK_SIZE, MAGIC, NOTHING, Head, parse_head

__all__ = ["Found", "Gap", "Scanner"]

_WINDOW = 1 << 20
"""Bytes read at a time; a larger record is read alone."""


class Found(NamedTuple):
    """A record that is intact."""

    head: Head
    body: bytes


class Gap(NamedTuple):
    """Records that cannot be read: their ordinals, and what they held together."""

    ordinal: int
    amount: Totals


class Scanner:
    """A position in a segment. Not safe for use by several threads at once."""

    def __init__(
        self, files: Files, file: int, mark: bytes, *, offset: int = BLOCK_SIZE, passed: Totals = NOTHING
    ) -> None:
        """``passed`` is what lies before the offset; its requests are the ordinal of the next record."""
        self.offset = offset
        self.passed = passed
        self._files = files
        self._file = file
        self._mark = mark
        self._window = b""
        self._begin = 0
        self._next: tuple[Head, bytes | None] | None = None

    def next(self, end: int, limit: int | None = None) -> Found | Gap | None:
        """Return what comes next before the offset ``end``; ``None`` when that is nothing readable.

        ``limit`` is how many records the segment holds, where that is known: what lies behind them was never held.
        """
        found = self._next or self._read(end)
        if found is None or (limit is not None and found[0].ordinal >= limit):
            self._next = found
            return None
        head, body = found
        missing = head.ordinal - self.passed.requests
        if missing:
            self._next = found
            gap = Totals(missing, head.items_before - self.passed.items, head.bytes_before - self.passed.bytes)
            return self._skip(gap)
        self._next = None
        if body is None:
            return self._skip(Totals(1, head.items, head.payload_length))
        self.passed = self.passed.plus(Totals(1, head.items, head.payload_length))
        return Found(head, body)

    def skip_to(self, end: int, total: Totals) -> Gap | None:
        """Go on to an offset before which so much lies in all; return what of it was not found."""
        self.offset, self._next = end, None
        missing = total.minus(self.passed)
        return self._skip(missing) if missing.requests > 0 else None

    def _skip(self, amount: Totals) -> Gap:
        gap = Gap(self.passed.requests, amount)
        self.passed = self.passed.plus(amount)
        return gap

    def _read(self, end: int) -> tuple[Head, bytes | None] | None:
        """Find the next head, and its body unless that is damaged; the offset is then behind it."""
        while self.offset + BLOCK_SIZE <= end:
            parsed = parse_head(self._get(self.offset, BLOCK_SIZE, end), 0, self._mark)
            if parsed is not None and parsed[1].ordinal >= self.passed.requests:
                head = parsed[1]
                begin = self.offset + BLOCK_SIZE
                if begin + head.body_length <= end:
                    body = self._get(begin, head.body_length, end)
                    self.offset = begin + len(body)
                    return head, body if crc32(body) == head.body_crc else None
            self._search(end)
        return None

    def _search(self, end: int) -> None:
        """Go on to the next place that looks like the begin of a record."""
        pattern = MAGIC + self._mark
        at = self.offset + 1
        while at + BLOCK_SIZE <= end:
            data = self._get(at, min(_WINDOW, end - at), end)
            found = data.find(pattern)
            if found >= 0:
                self.offset = at + found
                return
            if len(data) < len(pattern):
                break
            at += len(data) - len(pattern) + 1
        self.offset = end

    def _get(self, offset: int, size: int, end: int) -> bytes:
        """Return bytes of the file, fewer where it is shorter than it should be."""
        begin = offset - self._begin
        if begin < 0 or begin + size > len(self._window):
            self._window = self._files.read(self._file, max(size, min(_WINDOW, end - offset)), offset)
            self._begin, begin = offset, 0
        return self._window[begin : begin + size]
