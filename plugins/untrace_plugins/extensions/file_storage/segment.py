"""What is known about one segment of a journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from untrace_pipeline.delivery.storage import Totals
from untrace_plugins.extensions.file_storage.layout import BLOCK_SIZE, ENTRY_SIZE, NOTHING, SegmentHeader, pack_ends

if TYPE_CHECKING:
    from untrace_plugins.extensions.file_storage.shelf import Shelf

__all__ = ["DAMAGED", "ORDINALS", "SERIAL_SHIFT", "Segment"]

DAMAGED = "damaged"
"""State of records that could not be read any more."""
SERIAL_SHIFT = 32
"""A place is the serial number of the segment and, below these bits, the ordinal in it."""
ORDINALS = (1 << SERIAL_SHIFT) - 1
SPARSE = 0.25
"""Share of a segment that is worth to be written again: so each byte is, a third more on average."""


@dataclass(slots=True, eq=False)
class Segment:
    """One segment as its journal sees it: what it holds, and what of that has ended."""

    shelf: Shelf
    number: int
    serial: int
    """Unique in the journal, and the same after a restart: the number, and above it that of an adopted directory."""
    mark: bytes
    created: float
    key: int = 0
    """Id of the key with which it is encrypted, 0 if it is not."""
    total: Totals = NOTHING
    end: int = BLOCK_SIZE
    """Where the records end, as far as they are durable."""
    ended: Totals = NOTHING
    states: Counter[str] = field(default_factory=Counter)
    sealed: bool = False
    """Nothing is appended any more."""
    old: bool = False
    """From an earlier process: some of its records may have ended, and some may be damaged."""

    @property
    def header(self) -> SegmentHeader:
        """What stands at the begin of the file."""
        return SegmentHeader(self.mark, self.created, self.key)

    @property
    def held(self) -> Totals:
        """What has not ended."""
        return self.total.minus(self.ended)

    @property
    def finished(self) -> bool:
        """Whether nothing is held, nor will be."""
        return self.sealed and self.ended.requests >= self.total.requests

    @property
    def sparse(self) -> bool:
        """Whether most of what it takes up has ended, and cannot be freed because of the rest."""
        return self.sealed and 0 < self.held.bytes < self.total.bytes * SPARSE

    @property
    def disk_bytes(self) -> int:
        """Room that the records take up on the disk, with that for their ends."""
        return self.end - BLOCK_SIZE + self.total.requests * ENTRY_SIZE

    def finish(self, ordinal: int, amount: Totals, outcome: Mapping[str, int], *, span: int = 1) -> bytes:
        """Note what became of records; return the entries for the done file."""
        self.ended = self.ended.plus(amount)
        for state, items in outcome.items():
            self.states[state] += items
        return pack_ends(self.mark, ordinal, amount, outcome, span=span)
