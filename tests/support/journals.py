"""Journals on a disk, without the extension around them."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from untrace_pipeline.delivery.storage import Record
from untrace_plugins.extensions.file_storage.crypt import Keys
from untrace_plugins.extensions.file_storage.files import Files
from untrace_plugins.extensions.file_storage.journal import FileJournal
from untrace_plugins.extensions.file_storage.shelf import Shelf
from untrace_plugins.extensions.file_storage.space import Space

__all__ = ["Keeper", "append_all", "ledger_of", "numbers", "open_journal", "record", "take_all"]

LOGGER = logging.getLogger("untrace_pipeline.test.journal")


class Keeper:
    """Owner of a journal: remembers what it was told."""

    def __init__(self, memory: int = 1 << 24) -> None:
        self.memory = memory
        self.trouble = ""
        self.closings = 0
        self.seconds = 0.0

    def failing(self, journal: str, message: str) -> None:
        """Note the trouble."""
        self.trouble = message

    def working(self, journal: str) -> None:
        """It is over."""
        self.trouble = ""

    def committed(self, seconds: float) -> None:
        """Note that it took some time."""
        self.seconds += seconds

    def closed(self, journal: str) -> None:
        """Note it."""
        self.closings += 1


async def open_journal(
    path: Path,
    *adopted: Path,
    segment_size: int = 4096,
    files: Files | None = None,
    fsync: bool = False,
    limit: int = 1 << 30,
    keeper: Keeper | None = None,
    keys: Keys | None = None,
) -> FileJournal:
    """Open the journal in a folder, with segments small enough for a test to have many."""
    shelves = [
        Shelf(folder, LOGGER, segment_size=segment_size, fsync=fsync, rank=rank, files=files, keys=keys)
        for rank, folder in enumerate((path, *adopted))
    ]
    segments = [shelf.open() for shelf in shelves]
    return FileJournal(
        "exporters/test",
        shelves,
        [segment for found in (*segments[1:], segments[0]) for segment in found],
        space=Space(limit),
        owner=keeper or Keeper(),
        logger=LOGGER,
        reopened=False,
    )


def record(number: int, size: int = 100, items: int | None = None) -> Record:
    """Return a record that tells its number."""
    payload = f"{number:08d}".encode() * (size // 8)
    return Record(b"header %d" % number, payload, number % 5 + 1 if items is None else items, 1000.0 + number)


async def take_all(journal: FileJournal, max_bytes: int = 1000) -> list[Record]:
    """Take whatever can be taken."""
    taken: list[Record] = []
    while records := await journal.take(max_bytes):
        taken += records
    return taken


def ledger_of(journal: FileJournal) -> Counter[str]:
    """Return what a journal that was just opened knows: ended, by state, and ``held``. The sum is checked."""
    assert journal.recovery is not None
    ledger = Counter(journal.recovery.ended)
    ledger["held"] = journal.held.items
    assert ledger.total() == journal.recovery.appended
    return ledger


def numbers(records: Sequence[Record]) -> list[int]:
    """Return the numbers that records were made with."""
    return [int(one.header.split()[1]) for one in records]


async def append_all(journal: FileJournal, records: Sequence[Record]) -> None:
    """Append records, many at a time."""
    await asyncio.gather(*(journal.append(one) for one in records))
