"""A folder of segments: everything that reads and writes the files of a journal. Blocking, one thread at a time."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

from untrace_pipeline.delivery.storage import Record
from untrace_plugins.extensions.file_storage.ends import Ends
from untrace_plugins.extensions.file_storage.files import Files, is_full
from untrace_plugins.extensions.file_storage.layout import (
    BLOCK_SIZE,
    ENTRY_SIZE,
    MARK_SIZE,
    NOTHING,
    Amount,
    Head,
    SegmentHeader,
    pack_done_header,
    pack_footer,
    pack_head,
    pack_header,
    pack_sealed,
)
from untrace_plugins.extensions.file_storage.ledger import Ledger
from untrace_plugins.extensions.file_storage.quarantine import set_aside
from untrace_plugins.extensions.file_storage.recovery import Recovered, read_whole, recover
from untrace_plugins.extensions.file_storage.segment import DAMAGED, SERIAL_SHIFT, Segment

__all__ = ["Appended", "Shelf"]

RESERVE_STEP = 1024
"""Records for whose ends room is reserved at a time."""


@dataclass(slots=True)
class Appended:
    """What became of a batch of records: the first ones are durable, the others are not held."""

    runs: list[tuple[Segment, int]] = field(default_factory=list)
    """How many records went into which segment, in order."""
    sealed: list[Segment] = field(default_factory=list)
    """Segments that nothing more is appended to."""
    error: OSError | None = None
    """Why the others are not held."""


@dataclass(slots=True)
class _Active:
    """The segment that is appended to, as the disk has it."""

    segment: Segment
    file: int
    end: int = BLOCK_SIZE
    total: Amount = NOTHING
    reserved: int = 0
    """Records for whose ends there is room."""


@dataclass(slots=True)
class _DoneFile:
    file: int
    size: int


class Shelf:
    """Segments in ``00000001.seg``, what became of their records in ``00000001.done``, sums in ``ledger``."""

    def __init__(
        self,
        path: Path,
        logger: logging.Logger,
        *,
        segment_size: int,
        fsync: bool = True,
        rank: int = 0,
        files: Files | None = None,
    ) -> None:
        """``rank`` tells the places of an adopted shelf from those of the own one."""
        self.path = path
        self.files = files or Files()
        self._logger = logger
        self._segment_size = segment_size
        self._fsync = fsync
        self._rank = rank
        self._active: _Active | None = None
        self._done: dict[int, _DoneFile] = {}
        self._live: set[int] = set()
        self._folded: list[Segment] = []
        """In the sums, and not deleted yet."""
        self.ledger: Ledger

    # ------------------------------------------------------------------- open

    def open(self) -> list[Segment]:
        """Return the segments that hold something, oldest first. Raises ``OSError``."""
        self.files.make_directory(self.path)
        found = recover(self.files, self.path, self._logger)
        self.ledger = found.ledger
        self._live = {segment.number for segment in found.segments}
        segments = [self._segment(segment) for segment in found.segments]
        for segment in segments:
            if segment.finished:
                self.fold(segment)
        return [segment for segment in segments if not segment.finished]

    def _segment(self, found: Recovered) -> Segment:
        self._done[found.number] = _DoneFile(-1, found.ends.size)
        return Segment(
            self,
            found.number,
            self._serial(found.number),
            found.mark,
            found.created,
            found.total,
            found.end,
            found.ends.amount,
            found.ends.states,
            sealed=True,
            old=True,
        )

    def _serial(self, number: int) -> int:
        return self._rank << SERIAL_SHIFT | number

    # ----------------------------------------------------------------- append

    def append(self, records: Sequence[Record]) -> Appended:
        """Write records and wait for the disk. Sets their places."""
        appended, done = Appended(), 0
        try:
            while done < len(records):
                active = self._active or self._create()
                count = self._write(active, records, done)
                if count:
                    appended.runs.append((active.segment, count))
                    done += count
                if done < len(records):
                    self._seal(active, appended)
        except OSError as error:
            appended.error = error
            self._cut_back(error, appended)
        return appended

    def seal(self) -> Appended:
        """Complete the segment that is appended to, if there is one."""
        appended = Appended()
        if self._active is not None:
            self._seal(self._active, appended)
        return appended

    def _create(self) -> _Active:
        number = self.ledger.next
        mark = secrets.token_bytes(MARK_SIZE)
        now = time.time()
        self._done[number] = self._create_done(number, mark)
        file = self.files.create(self._path(number, "seg"))
        try:
            self.files.write(file, [pack_header(SegmentHeader(mark, now, 0))], 0)
            if self._fsync:
                self.files.sync_directory(self.path)
        except OSError:
            self.files.close(file)
            self.files.remove(self._path(number, "seg"))
            raise
        self.ledger.next += 1
        self._live.add(number)
        self._active = _Active(Segment(self, number, self._serial(number), mark, now), file)
        return self._active

    def _create_done(self, number: int, mark: bytes) -> _DoneFile:
        file = self.files.open(self._path(number, "done"), create=True)
        try:
            self.files.write(file, [pack_done_header(mark)], 0)
        except OSError:
            self.files.close(file)
            raise
        return _DoneFile(file, BLOCK_SIZE)

    def _write(self, active: _Active, records: Sequence[Record], begin: int) -> int:
        """Append as many records as the segment takes, at least one to an empty one; return how many."""
        buffers: list[bytes] = []
        end, total, count = active.end, active.total, 0
        for record in records[begin:]:
            size = BLOCK_SIZE + len(record.header) + len(record.payload)
            if total.requests and end + size > self._segment_size:
                break
            buffers += self._encode(active.segment, total, record)
            record.place = active.segment.serial << SERIAL_SHIFT | total.requests
            total = total.plus(Amount(1, record.items, len(record.payload)))
            end += size
            count += 1
        if count:
            self._reserve_ends(active, total.requests)
            self.files.write(active.file, buffers, active.end)
            if self._fsync:
                self.files.sync(active.file)
            active.end, active.total = end, total
        return count

    def _encode(self, segment: Segment, before: Amount, record: Record) -> tuple[bytes, bytes, bytes]:
        crc = crc32(record.payload, crc32(record.header))
        head = Head(
            crc,
            0,
            before.requests,
            record.items,
            before.items,
            before.bytes,
            record.time,
            len(record.header),
            len(record.payload),
        )
        return pack_head(segment.mark, head), record.header, record.payload

    def _reserve_ends(self, active: _Active, requests: int) -> None:
        """Make sure that what becomes of these records can be written on a full disk."""
        if requests <= active.reserved:
            return
        wanted = -(-requests // RESERVE_STEP) * RESERVE_STEP
        size = BLOCK_SIZE + (wanted + 2) * ENTRY_SIZE
        self.files.reserve(self._done_file(active.segment).file, size)
        active.reserved = wanted

    def _cut_back(self, error: OSError, appended: Appended) -> None:
        """Remove what was written and not acknowledged.

        After a failure other than a full disk nothing is known about the file: nothing more is appended to it.
        """
        active = self._active
        if active is None:
            return
        try:
            self.files.cut(active.file, active.end)
            usable = is_full(error)
        except OSError:
            usable = False
        if not usable:
            self._close_active(active, appended)

    def _seal(self, active: _Active, appended: Appended) -> None:
        """Say at the end of a segment what it holds, so that nobody needs to read it to know that."""
        try:
            self.files.write(active.file, [pack_footer(active.segment.mark, active.total, active.end)], active.end)
            self.end(active.segment, pack_sealed(active.segment.mark, active.total))
        except OSError as error:
            self._logger.warning("%s could not be closed properly: %s", self._path(active.segment.number, "seg"), error)
        self._close_active(active, appended)

    def _close_active(self, active: _Active, appended: Appended) -> None:
        self.files.close(active.file)
        self._active = None
        appended.sealed.append(active.segment)

    # ------------------------------------------------------------------- ends

    def end(self, segment: Segment, entries: bytes) -> None:
        """Write entries into the done file of a segment. Raises ``OSError``; they can be written again then."""
        done = self._done_file(segment)
        self.files.write(done.file, [entries], done.size)
        done.size += len(entries)

    def fold(self, segment: Segment) -> None:
        """Add a segment that has ended to the sums, and delete its files. Raises ``OSError``; the next call goes on."""
        done = self._done.pop(segment.number, None)
        if done is not None and done.file >= 0:
            self.files.close(done.file)
        self._live.discard(segment.number)
        self._folded.append(segment)
        self.ledger.fold(segment.number, segment.states, self._live)
        while self._folded:
            self._delete(self._folded[-1])
            self._folded.pop()

    def _delete(self, segment: Segment) -> None:
        if DAMAGED in segment.states:
            names = [f"{segment.number:08d}.{kind}" for kind in ("seg", "done")]
            set_aside(self.files, self.path, names, self._logger)
            return
        for kind in ("seg", "done"):
            self.files.remove(self._path(segment.number, kind))

    def close(self) -> None:
        """Close all files."""
        for done in self._done.values():
            if done.file >= 0:
                self.files.close(done.file)
        self._done.clear()
        self.ledger.close()

    # ------------------------------------------------------------------- read

    def open_to_read(self, segment: Segment) -> int:
        """Open the file of a segment; for any thread. Raises ``OSError``."""
        return self.files.open_to_read(self._path(segment.number, "seg"))

    def ends(self, segment: Segment) -> Ends:
        """Return what the done file of a segment says; for any thread. Raises ``OSError``."""
        return Ends(read_whole(self.files, self._path(segment.number, "done")), segment.mark)

    def _done_file(self, segment: Segment) -> _DoneFile:
        done = self._done[segment.number]
        if done.file < 0:
            done.file = self.files.open(self._path(segment.number, "done"), create=True)
        return done

    def _path(self, number: int, kind: str) -> Path:
        return self.path / f"{number:08d}.{kind}"
