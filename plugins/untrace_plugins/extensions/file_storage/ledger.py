"""What became of the records whose files are deleted: sums, kept in a file that needs no room to be written."""

from __future__ import annotations

import json
import secrets
import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

from untrace_plugins.extensions.file_storage.files import Files

__all__ = ["Ledger"]

SLOT_SIZE = 64 * 1024
_MAGIC = b"untrLED1"
_FRONT = struct.Struct("<8sIIQ")


class Ledger:
    """Two slots, written in turn and in place: one of them is always whole. Blocking, raises ``OSError``.

    A slot holds JSON: the id of the journal, sums of items, the next number of a segment, and which segments were added
    to the sums, so that none is added twice if its deletion is not known to have happened.
    """

    def __init__(self, files: Files, file: int) -> None:
        self._files = files
        self._file = file
        self._generation = 0
        self.id = secrets.token_hex(8)
        self.next = 1
        """Number of the next segment."""
        self.appended = 0
        self.ended: Counter[str] = Counter()
        self._first = 1
        self._gone: set[int] = set()
        self.damaged = False
        """Whether the file was there and could not be read: the sums begin anew."""

    @classmethod
    def open(cls, files: Files, path: Path) -> Ledger:
        """Open the file, or create it."""
        file = files.open(path, create=True)
        ledger = cls(files, file)
        try:
            ledger._load(files.size(file))
        except BaseException:
            files.close(file)
            raise
        return ledger

    def folded(self, number: int) -> bool:
        """Return whether a segment is in the sums already."""
        return number < self._first or number in self._gone

    def fold(self, number: int, states: Mapping[str, int], live: Iterable[int]) -> None:
        """Add a segment to the sums, durably; ``live`` are the numbers of those that are still there."""
        self._gone.add(number)
        self._first = min(live, default=self.next)
        self._gone = {gone for gone in self._gone if gone > self._first}
        self.appended += sum(states.values())
        self.ended.update(states)
        self.write()

    def write(self) -> None:
        """Write the other slot. Returns when it is on the disk."""
        content = json.dumps(
            {
                "id": self.id,
                "next": self.next,
                "appended": self.appended,
                "ended": self.ended,
                "first": self._first,
                "gone": _ranges(self._gone),
            }
        ).encode()
        self._generation += 1
        crc = crc32(content, _seed(len(content), self._generation))
        front = _FRONT.pack(_MAGIC, crc, len(content), self._generation)
        self._files.write(self._file, [front, content], self._generation % 2 * SLOT_SIZE)
        self._files.sync(self._file)

    def close(self) -> None:
        """Close the file."""
        self._files.close(self._file)

    def _load(self, size: int) -> None:
        slots = [self._read_slot(number) for number in range(2)] if size else []
        found = [slot for slot in slots if slot is not None]
        if found:
            self._generation, content = max(found, key=lambda slot: slot[0])
            self._take(content)
            return
        self.damaged = size > 0
        self._files.reserve(self._file, 2 * SLOT_SIZE)
        self.write()

    def _read_slot(self, number: int) -> tuple[int, dict[str, Any]] | None:
        data = self._files.read(self._file, SLOT_SIZE, number * SLOT_SIZE)
        if len(data) < _FRONT.size:
            return None
        magic, crc, length, generation = _FRONT.unpack_from(data)
        content = data[_FRONT.size : _FRONT.size + length]
        if magic != _MAGIC or crc32(content, _seed(length, generation)) != crc:
            return None
        return generation, json.loads(content)

    def _take(self, content: dict[str, Any]) -> None:
        self.id, self.next, self.appended = content["id"], content["next"], content["appended"]
        self.ended = Counter(content["ended"])
        self._first = content["first"]
        self._gone = {number for begin, end in content["gone"] for number in range(begin, end)}


def _seed(length: int, generation: int) -> int:
    return crc32(b"%d %d" % (length, generation))


def _ranges(numbers: set[int]) -> list[list[int]]:
    """Return numbers as ranges without their end: ``{1, 2, 5}`` is ``[[1, 3], [5, 6]]``."""
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and ranges[-1][1] == number:
            ranges[-1][1] += 1
        else:
            ranges.append([number, number + 1])
    return ranges
