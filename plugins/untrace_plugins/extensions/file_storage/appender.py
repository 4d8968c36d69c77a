"""Appends records to the newest segment of a folder. Blocking, one thread at a time."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from zlib import crc32

from untrace_pipeline.delivery.storage import Record, Totals
from untrace_plugins.extensions.file_storage.files import is_full
from untrace_plugins.extensions.file_storage.layout import (
    BLOCK_SIZE,
    ENCRYPTED_EXTRA,
    MARK_SIZE,
    NOTHING,
    Head,
    associated,
    pack_footer,
    pack_head,
    pack_header,
    pack_sealed,
)
from untrace_plugins.extensions.file_storage.segment import SERIAL_SHIFT, Segment

if TYPE_CHECKING:
    from untrace_plugins.extensions.file_storage.crypt import Cipher
    from untrace_plugins.extensions.file_storage.shelf import Shelf

__all__ = ["Appended", "Appender"]

PAD = bytes(256 * 1024)
"""Zeros written ahead of small batches: a sync that need not note a new size of the file takes half the time."""
SMALL = 64 * 1024
"""Bytes of a batch that is small."""


@dataclass(slots=True)
class Appended:
    """What became of a batch of records: the first ones are durable, the others are not held."""

    runs: list[tuple[Segment, int]] = field(default_factory=list)
    """How many records went into which segment, in order."""
    sealed: list[Segment] = field(default_factory=list)
    """Segments that nothing more is appended to."""
    error: OSError | None = None
    """Why the others are not held."""
    seconds: float = 0.0
    """How long it took."""


@dataclass(slots=True)
class _Active:
    """The segment that is appended to, as the disk has it."""

    segment: Segment
    file: int
    cipher: Cipher | None
    end: int = BLOCK_SIZE
    total: Totals = NOTHING
    padded: int = 0
    """Where the zeros end that were written ahead."""


class Appender:
    """Writes and syncs; what it says is durable is, and what it could not write is not there."""

    def __init__(self, shelf: Shelf, logger: logging.Logger, *, segment_size: int, fsync: bool) -> None:
        self._shelf = shelf
        self._files = shelf.files
        self._logger = logger
        self._segment_size = segment_size
        self._fsync = fsync
        self._active: _Active | None = None

    def append(self, records: Sequence[Record]) -> Appended:
        """Write records and wait for the disk. Sets their places."""
        appended, done, begin = Appended(), 0, time.perf_counter()
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
        appended.seconds = time.perf_counter() - begin
        return appended

    def seal(self) -> Appended:
        """Complete the segment that is appended to, if there is one."""
        appended = Appended()
        if self._active is not None:
            self._seal(self._active, appended)
        return appended

    def _create(self) -> _Active:
        shelf, mark, now = self._shelf, secrets.token_bytes(MARK_SIZE), time.time()
        key, cipher = shelf.new_cipher(mark)
        segment = shelf.new_segment(mark, now, key)
        try:
            file = self._files.create(shelf.path_of(segment, "seg"))
            try:
                self._files.write(file, [pack_header(segment.header)], 0)
                if self._fsync:
                    self._files.sync_directory(shelf.path)
            except OSError:
                self._files.close(file)
                raise
        except OSError:
            shelf.forget(segment)
            raise
        self._active = _Active(segment, file, cipher)
        return self._active

    def _write(self, active: _Active, records: Sequence[Record], begin: int) -> int:
        """Append as many records as the segment takes, at least one to an empty one; return how many."""
        buffers: list[bytes] = []
        end, total, count = active.end, active.total, 0
        extra = BLOCK_SIZE + (ENCRYPTED_EXTRA if active.cipher else 0)
        place = active.segment.serial << SERIAL_SHIFT
        for record in records[begin:]:
            size = extra + len(record.header) + len(record.payload)
            if total.requests and end + size > self._segment_size:
                break
            buffers += _encode(active, total, record)
            record.place = place | total.requests
            total = Totals(total.requests + 1, total.items + record.items, total.bytes + len(record.payload))
            end += size
            count += 1
        if count:
            self._shelf.reserve_ends(active.segment, total.requests)
            self._files.write(active.file, buffers, active.end)
            if self._fsync:
                if end > active.padded and end - active.end < SMALL:
                    self._pad(active, end)
                self._files.sync(active.file)
            active.end, active.total = end, total
        return count

    def _pad(self, active: _Active, end: int) -> None:
        """Write zeros ahead, if there is room for them."""
        size = min(len(PAD), self._segment_size - end)
        if size > 0:
            with suppress(OSError):
                self._files.write(active.file, [PAD[:size]], end)
                active.padded = end + size

    def _cut_back(self, error: OSError, appended: Appended) -> None:
        """Remove what was written and not acknowledged.

        After a failure other than a full disk nothing is known about the file: nothing more is appended to it.
        """
        active = self._active
        if active is None:
            return
        active.padded = 0
        try:
            self._files.cut(active.file, active.end)
            usable = is_full(error)
        except OSError:
            usable = False
        if not usable:
            self._close(active, appended)

    def _seal(self, active: _Active, appended: Appended) -> None:
        """Say at the end of a segment what it holds, so that nobody needs to read it to know that."""
        segment, total = active.segment, active.total
        try:
            if active.padded:
                self._files.cut(active.file, active.end)
            self._files.write(active.file, [pack_footer(segment.header, total, active.end)], active.end)
            self._shelf.end(segment, pack_sealed(segment.mark, total))
        except OSError as error:
            self._logger.warning("%s could not be closed properly: %s", self._shelf.path_of(segment, "seg"), error)
        self._close(active, appended)

    def _close(self, active: _Active, appended: Appended) -> None:
        self._files.close(active.file)
        self._active = None
        self._shelf.rest(active.segment)
        appended.sealed.append(active.segment)


def _encode(active: _Active, before: Totals, record: Record) -> tuple[bytes, ...]:
    header, payload = record.header, record.payload
    crc, key = 0, active.segment.key
    if active.cipher is None:
        crc = crc32(payload, crc32(header))
    requests, items, size = before
    head = Head(crc, key, requests, record.items, items, size, record.time, len(header), len(payload))
    if active.cipher is None:
        return pack_head(active.segment.mark, head), header, payload
    body = active.cipher.encrypt(header + payload, associated(head))
    return pack_head(active.segment.mark, head._replace(body_crc=crc32(body))), body
