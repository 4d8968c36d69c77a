"""Damages the files of a queue, and says which items it hit.

Of the format it knows what its documentation says and nothing more: a record begins with four bytes of magic, and its
head of 64 bytes holds the lengths of what follows. Items whose record was not touched must arrive, whatever else was.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from tests.support.chaos.items import find_items

Kind = Literal["flips", "truncate", "zeros", "garbage"]
KINDS: tuple[Kind, ...] = get_args(Kind)

MAGIC = b"\xf5uR\x1a"
HEAD_BYTES = 64
ENCRYPTED_EXTRA = 28
_LENGTHS = struct.Struct("<II")
_KEY = struct.Struct("<I")
_KEY_PLACE, _LENGTHS_PLACE = 20, 56
QUARANTINE = "quarantine"
_LONGEST_HOLE = 64 * 1024


@dataclass
class Hit:
    """What was damaged so far."""

    items: set[int] = field(default_factory=set)
    """Ids in records of which a byte was changed: they may be lost, and nothing else may."""
    repeated: set[int] = field(default_factory=set)
    """Ids whose ends may have been forgotten: they may come again."""
    sums: bool = False
    """The sums of earlier segments may have been lost."""
    files: int = 0


class Vandal:
    """Damages files by a seed."""

    def __init__(self, seed: int, kinds: tuple[Kind, ...] = KINDS) -> None:
        self.hit = Hit()
        self._random = random.Random(seed)
        self._kinds = kinds

    def visit(self, directory: Path) -> list[str]:
        """Damage one to three files below a directory; say what was done."""
        files = [path for path in sorted(directory.rglob("*")) if _is_ours(path)]
        chosen = self._random.sample(files, min(len(files), self._random.randint(1, 3)))
        return [said for path in chosen if (said := self._damage(path))]

    def _damage(self, path: Path) -> str:
        before = path.read_bytes()
        if not before:
            return ""
        kind = self._random.choice(self._kinds)
        after = self._change(kind, before)
        if after == before:
            return ""
        path.write_bytes(after)
        self.hit.files += 1
        lost = self._note(path, before, after)
        return f"{kind} in {path.name} of {len(before)} bytes: {lost} items hit"

    def _change(self, kind: Kind, before: bytes) -> bytes:
        data = bytearray(before)
        place = self._random.randrange(len(data))
        size = min(len(data) - place, self._random.randint(1, _LONGEST_HOLE))
        match kind:
            case "flips":
                for _ in range(self._random.randint(1, 20)):
                    data[self._random.randrange(len(data))] ^= 1 << self._random.randrange(8)
            case "truncate":
                del data[place:]
            case "zeros":
                data[place : place + size] = bytes(size)
            case "garbage":
                data[place : place + size] = self._random.randbytes(size)
        return bytes(data)

    def _note(self, path: Path, before: bytes, after: bytes) -> int:
        """Note what that may cost; return how many items were hit."""
        if path.suffix == ".done":
            segment = path.with_suffix(".seg")
            self.hit.repeated.update(_ids(segment.read_bytes()) if segment.exists() else ())
            return 0
        if path.suffix != ".seg":
            self.hit.sums = True
            return 0
        lost: set[int] = set()
        for begin, end in records(before):
            if before[begin:end] != after[begin:end]:
                lost.update(_ids(before[begin:end]))
        self.hit.items |= lost
        return len(lost)


def _is_ours(path: Path) -> bool:
    """Return whether a file belongs to a queue; dead letters have a database."""
    return (
        path.is_file() and (path.suffix in {".seg", ".done"} or path.name == "ledger") and QUARANTINE not in path.parts
    )


def _ids(data: bytes) -> set[int]:
    return {item for item, _, _ in find_items(data)}


def records(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield where records begin and end in a segment file."""
    begin = data.find(MAGIC)
    while begin >= 0:
        end = _end(data, begin)
        if end is not None:
            yield begin, end
        begin = data.find(MAGIC, begin + len(MAGIC) if end is None else end)


def _end(data: bytes, begin: int) -> int | None:
    if begin + HEAD_BYTES > len(data):
        return None
    extra = ENCRYPTED_EXTRA if _KEY.unpack_from(data, begin + _KEY_PLACE)[0] else 0
    end = begin + HEAD_BYTES + sum(_LENGTHS.unpack_from(data, begin + _LENGTHS_PLACE)) + extra
    return end if end <= len(data) else None
