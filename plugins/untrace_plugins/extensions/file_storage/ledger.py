"""What became of the records whose files are deleted: sums, kept in a file that needs no room to be written."""

from __future__ import annotations

import errno
import json
import secrets
import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

from untrace_plugins.extensions.file_storage.files import Files, is_full

__all__ = ["Ledger"]

SLOTS = 3
SLOT_SIZE = 32 * 1024
_MAGIC = b"untrLED1"
_FRONT = struct.Struct("<8sIIQ")


class Ledger:
    """Three slots, written in turn and in place. Blocking, raises ``OSError``.

    The oldest is written next, so that there are always two that nobody touches: the newest, which may not be on the
    disk yet if the process died right after writing it, and the one before. A slot holds JSON: the id of the journal,
    sums of items, the next number of a segment, and which segments were added to the sums, so that none is added twice
    if its deletion is not known to have happened.
    """

    def __init__(self, files: Files, file: int) -> None:
        self._files = files
        self._file = file
        self._generations = [0] * SLOTS
        self.id = secrets.token_hex(8)
        """Unique in the world. With number and ordinal of a record it makes an idempotency key."""
        self.next = 1
        """Number of the next segment."""
        self.appended = 0
        self.ended: Counter[str] = Counter()
        self._first = 1
        self._gone: set[int] = set()
        self.damaged = False
        """Whether a part of the file could not be read: the sums are older, or begin anew."""

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
        """Write the oldest slot. Returns when it is on the disk; after a failure, the next call writes the same one."""
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
        if len(content) > SLOT_SIZE - _FRONT.size:  # thousands of segments of which every other one has ended
            raise OSError(errno.EFBIG, "the ledger is full")
        generation = max(self._generations) + 1
        slot = self._generations.index(min(self._generations))
        front = _FRONT.pack(_MAGIC, crc32(content, _seed(len(content), generation)), len(content), generation)
        self._files.write(self._file, [front, content], slot * SLOT_SIZE)
        self._files.sync(self._file)
        self._generations[slot] = generation

    def close(self) -> None:
        """Close the file."""
        self._files.close(self._file)

    def _load(self, size: int) -> None:
        newest = b""
        for slot in range(SLOTS if size else 0):
            generation, content = self._read_slot(slot)
            if generation > max(self._generations):
                newest = content
            self._generations[slot] = generation
        if newest:
            self._take(json.loads(newest))
            return
        try:
            self._files.reserve(self._file, SLOTS * SLOT_SIZE)
            self.write()
        except OSError as error:
            if not is_full(error):  # then it is written when something was deleted
                raise

    def _read_slot(self, number: int) -> tuple[int, bytes]:
        """Return generation and content of a slot, 0 and nothing if it is empty or damaged."""
        data = self._files.read(self._file, SLOT_SIZE, number * SLOT_SIZE)
        if len(data) >= _FRONT.size:
            magic, crc, length, generation = _FRONT.unpack_from(data)
            content = data[_FRONT.size : _FRONT.size + length]
            if magic == _MAGIC and crc32(content, _seed(length, generation)) == crc:
                return generation, content
        self.damaged = self.damaged or bool(data.strip(b"\0"))
        return 0, b""

    def _take(self, content: dict[str, Any]) -> None:
        if not self.damaged:  # otherwise numbers of segments may come again, and keys must not
            self.id = content["id"]
        self.next, self.appended = content["next"], content["appended"]
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
