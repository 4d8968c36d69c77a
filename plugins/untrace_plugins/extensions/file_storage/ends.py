"""What a done file says about the records of its segment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from zlib import crc32

from untrace_pipeline.delivery.storage import Totals
from untrace_plugins.extensions.file_storage.layout import BLOCK_SIZE, ENTRY_SIZE, Ended, parse_entry

__all__ = ["Ends"]

_CHUNK = 64 * ENTRY_SIZE
_ZEROS = bytes(_CHUNK)


class Ends:
    """The valid entries of a done file, each record counted once.

    Damaged entries, and groups of which a part is damaged, are as if they were not there: their records come again.
    """

    def __init__(self, data: bytes, mark: bytes) -> None:
        self.amount = Totals()
        """What has ended."""
        self.states: Counter[str] = Counter()
        self.mask = bytearray()
        """For every ordinal up to the greatest that ended: whether it has."""
        self.sealed: Totals | None = None
        """What the segment holds in all, where the file says it."""
        self.size = BLOCK_SIZE
        """Where the next entry goes: behind everything that is not zero."""
        self._data = data
        self._mark = mark
        for group in self._groups():
            self._add(group)

    def missing(self, ordinal: int, amount: Totals) -> Totals:
        """Return what has not ended of the records from an ordinal on, which are ``amount`` together."""
        end = ordinal + amount.requests
        open_ones = amount.requests - sum(self.mask[ordinal:end])
        if not open_ones:
            return Totals()
        left = amount.minus(self.within(ordinal, end))
        return Totals(open_ones, max(left.items, 0), max(left.bytes, 0))

    def within(self, begin: int, end: int) -> Totals:
        """Return what has ended of the records in a range of ordinals."""
        ended, seen = Totals(), set[int]()
        for group in self._groups():
            ordinal = group[0].ordinal
            if begin <= ordinal < end and ordinal not in seen:
                seen.add(ordinal)
                ended = ended.plus(_amount(group))
        return ended

    def _add(self, group: list[Ended]) -> None:
        first = group[0]
        end = first.ordinal + first.span
        if any(self.mask[first.ordinal : end]) and first.span == 1:
            return
        if len(self.mask) < end:
            self.mask.extend(bytes(end - len(self.mask)))
        self.mask[first.ordinal : end] = b"\1" * first.span
        self.amount = self.amount.plus(_amount(group))
        for entry in group:
            if entry.items:
                self.states[entry.state] += entry.items

    def _groups(self) -> Iterator[list[Ended]]:
        group: list[Ended] = []
        for entry in self._entries():
            if entry.part != len(group) or (
                group and (entry.ordinal, entry.group) != (group[0].ordinal, group[0].group)
            ):
                group = []
            if entry.part == len(group):
                group.append(entry)
                if len(group) == entry.parts:
                    yield group
                    group = []

    def _entries(self) -> Iterator[Ended]:
        """Yield the valid ends; ``sealed`` and ``size`` are known afterwards."""
        data, seed = self._data, crc32(self._mark)
        for begin in range(BLOCK_SIZE, len(data), _CHUNK):
            chunk = data[begin : begin + _CHUNK]
            if chunk == _ZEROS[: len(chunk)]:
                continue
            for offset in range(begin, begin + len(chunk) - ENTRY_SIZE + 1, ENTRY_SIZE):
                if data[offset : offset + ENTRY_SIZE] == _ZEROS[:ENTRY_SIZE]:
                    continue
                self.size = max(self.size, offset + ENTRY_SIZE)
                entry = parse_entry(data, offset, seed)
                if entry is None:
                    continue
                if entry.sealed:
                    self.sealed = Totals(entry.requests, entry.items, entry.bytes)
                else:
                    yield entry


def _amount(group: list[Ended]) -> Totals:
    return Totals(
        sum(entry.requests for entry in group), sum(entry.items for entry in group), sum(entry.bytes for entry in group)
    )
