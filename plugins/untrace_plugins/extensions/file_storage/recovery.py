"""What is found in a folder of segments when it is opened: whatever happened to the files, this never fails for it."""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass
from pathlib import Path

from untrace_pipeline.delivery.storage import Totals
from untrace_plugins.extensions.file_storage.ends import Ends
from untrace_plugins.extensions.file_storage.files import Files
from untrace_plugins.extensions.file_storage.layout import (
    BLOCK_SIZE,
    MAGIC,
    SegmentHeader,
    pack_footer,
    parse_done_header,
    parse_footer,
    parse_head,
    parse_header,
)
from untrace_plugins.extensions.file_storage.ledger import Ledger
from untrace_plugins.extensions.file_storage.quarantine import QUARANTINE, set_aside
from untrace_plugins.extensions.file_storage.scanner import Scanner
from untrace_plugins.extensions.file_storage.segment import DAMAGED

__all__ = ["Found", "Recovered", "read_whole", "recover"]

_NAME = re.compile(r"(\d{8,})\.(seg|done)")
_CHUNK = 1 << 20


@dataclass(slots=True)
class Recovered:
    """One segment of an earlier process."""

    number: int
    mark: bytes
    created: float
    key: int
    """Id of the key with which it is encrypted, 0 if it is not."""
    total: Totals
    end: int
    ends: Ends


@dataclass(slots=True)
class Found:
    """A folder of segments."""

    ledger: Ledger
    segments: list[Recovered]


def recover(files: Files, path: Path, logger: logging.Logger) -> Found:
    """Read what says how much there is: a few hundred bytes of each segment, but for those that were not closed.

    Raises ``OSError`` where the medium or the permissions do not let us.
    """
    names = files.list(path)
    if names.get("ledger") is False:
        set_aside(files, path, ["ledger"], logger)
    ledger = Ledger.open(files, path / "ledger")
    if ledger.damaged:
        logger.warning("%s is damaged: sums of what was delivered earlier may be too small", path / "ledger")
    try:
        return Found(ledger, _Folder(files, path, logger, ledger).recover(names))
    except BaseException:
        ledger.close()
        raise


class _Folder:
    def __init__(self, files: Files, path: Path, logger: logging.Logger, ledger: Ledger) -> None:
        self._files = files
        self._path = path
        self._logger = logger
        self._ledger = ledger

    def recover(self, names: dict[str, bool]) -> list[Recovered]:
        numbers = self._numbers(names)
        ledger = self._ledger
        ledger.next = max(ledger.next, max(numbers, default=0) + 1)
        for number in numbers:
            for name in self._names(number):
                self._files.prefetch(self._path / name)
        found = []
        for number in sorted(numbers):
            if ledger.folded(number):
                self._delete(number)
            elif (segment := self._segment(number)) is not None:
                found.append(segment)
        return found

    def _numbers(self, names: dict[str, bool]) -> set[int]:
        numbers, foreign = set(), []
        for name, is_file in names.items():
            matched = _NAME.fullmatch(name)
            if matched:
                numbers.add(int(matched[1]))
            if matched and not is_file:
                set_aside(self._files, self._path, [name], self._logger)
            elif not matched and name not in {"ledger", QUARANTINE}:
                foreign.append(name)
        if foreign:
            self._logger.warning(
                "%s holds what is not ours, which stays as it is: %s", self._path, ", ".join(sorted(foreign))
            )
        return numbers

    def _delete(self, number: int) -> None:
        """Finish the deletion of a segment that is in the sums: a crash came in between."""
        data = self._read_done(number)
        mark = parse_done_header(data)
        if mark is not None and DAMAGED in Ends(data, mark).states:
            set_aside(self._files, self._path, self._names(number), self._logger)
            return
        for name in self._names(number):
            self._files.remove(self._path / name)

    def _segment(self, number: int) -> Recovered | None:
        """Return what is known of a segment, or ``None`` if nothing is to be had from it; its files are gone then."""
        ends_data = self._read_done(number)
        try:
            file = self._files.open(self._path / self._names(number)[0])
        except FileNotFoundError:
            return self._lost(number, ends_data)
        try:
            return self._open(number, file, ends_data)
        finally:
            self._files.close(file)

    def _lost(self, number: int, ends_data: bytes) -> Recovered | None:
        """The segment file is missing; the done file may still say how much was in it."""
        mark = parse_done_header(ends_data)
        ends = Ends(ends_data, mark) if mark is not None else None
        if ends is None or mark is None or (ends.sealed is None and not ends.mask):
            self._files.remove(self._path / self._names(number)[1])
            return None
        self._logger.error("%s is missing", self._path / self._names(number)[0])
        total = ends.sealed or Totals(len(ends.mask), ends.amount.items, ends.amount.bytes)
        return Recovered(number, mark, time.time(), 0, total, BLOCK_SIZE, ends)

    def _open(self, number: int, file: int, ends_data: bytes) -> Recovered | None:
        size = self._files.size(file)
        footer = parse_footer(self._files.read(file, BLOCK_SIZE, max(size - BLOCK_SIZE, 0)), size - BLOCK_SIZE)
        if footer is not None:
            header, total = footer
            return Recovered(number, *header, total, size - BLOCK_SIZE, Ends(ends_data, header.mark))
        found = parse_header(self._files.read(file, BLOCK_SIZE, 0))
        found = found or self._find_header(file, size, parse_done_header(ends_data))
        if found is None:
            self._give_up(number, size)
            return None
        ends = Ends(ends_data, found.mark)
        if ends.sealed is not None:
            return Recovered(number, *found, ends.sealed, size, ends)
        total, end = self._measure(number, file, size, found, ends)
        return Recovered(number, *found, total, end, ends)

    def _measure(self, number: int, file: int, size: int, header: SegmentHeader, ends: Ends) -> tuple[Totals, int]:
        """Read a segment that was not closed: return what it holds and where that ends, and close it."""
        scanner = Scanner(self._files, file, header.mark)
        end, total = BLOCK_SIZE, Totals()
        while scanner.next(size) is not None:
            end, total = scanner.offset, scanner.passed
        if len(ends.mask) > total.requests:  # records that have ended are not there any more
            beyond = ends.within(total.requests, len(ends.mask))
            total = Totals(len(ends.mask), total.items + beyond.items, total.bytes + beyond.bytes)
        name = self._path / self._names(number)[0]
        if not self._is_padding(file, end, size):
            self._logger.warning(
                "%s: %d bytes behind the last record are cut off: an unfinished write", name, size - end
            )
        try:
            self._files.cut(file, end)
            self._files.write(file, [pack_footer(header, total, end)], end)
        except OSError as error:
            self._logger.warning("%s could not be closed properly: %s", name, error)
        return total, end

    def _is_padding(self, file: int, begin: int, end: int) -> bool:
        """Return whether there is nothing but zeros that were written ahead."""
        chunks = (self._files.read(file, min(_CHUNK, end - at), at) for at in range(begin, end, _CHUNK))
        return not any(chunk.strip(b"\0") for chunk in chunks)

    def _find_header(self, file: int, size: int, mark: bytes | None) -> SegmentHeader | None:
        """Return what the damaged header of a segment said, from the first record that can be read.

        ``mark`` is what another file says; a record of another mark counts only where there is none of that one.
        """
        for wanted in dict.fromkeys((mark, None)):
            for offset in range(BLOCK_SIZE, size, _CHUNK):
                data = self._files.read(file, _CHUNK + BLOCK_SIZE, offset)
                at = data.find(MAGIC)
                while at >= 0:
                    parsed = parse_head(data, at, wanted)
                    if parsed is not None:
                        return SegmentHeader(parsed[0], parsed[1].time, parsed[1].key)
                    at = data.find(MAGIC, at + 1)
        return SegmentHeader(mark, time.time(), 0) if mark is not None else None

    def _give_up(self, number: int, size: int) -> None:
        names = self._names(number)
        if size > BLOCK_SIZE:
            self._logger.error("%s holds nothing that can be read (%d bytes)", self._path / names[0], size)
            set_aside(self._files, self._path, names, self._logger)
            return
        for name in names:  # a crash while it was created
            self._files.remove(self._path / name)

    def _read_done(self, number: int) -> bytes:
        return read_whole(self._files, self._path / self._names(number)[1])

    def _names(self, number: int) -> tuple[str, str]:
        return f"{number:08d}.seg", f"{number:08d}.done"


def read_whole(files: Files, path: Path) -> bytes:
    """Return the content of a file, nothing if it does not exist."""
    try:
        file = files.open_to_read(path)
    except FileNotFoundError:
        return b""
    try:
        return files.read(file, files.size(file), 0)
    finally:
        files.close(file)
