"""A folder of segments: opens it, notes ends, keeps the sums, deletes what has ended. Blocks; one thread at a time."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from untrace_pipeline.api import StartError
from untrace_plugins.extensions.file_storage.appender import Appender
from untrace_plugins.extensions.file_storage.ends import Ends
from untrace_plugins.extensions.file_storage.files import Files
from untrace_plugins.extensions.file_storage.layout import BLOCK_SIZE, ENCRYPTED_EXTRA, ENTRY_SIZE, pack_done_header
from untrace_plugins.extensions.file_storage.ledger import Ledger
from untrace_plugins.extensions.file_storage.quarantine import set_aside
from untrace_plugins.extensions.file_storage.recovery import Recovered, read_whole, recover
from untrace_plugins.extensions.file_storage.segment import DAMAGED, SERIAL_SHIFT, Segment

if TYPE_CHECKING:
    from untrace_plugins.extensions.file_storage.crypt import Cipher, Keys

__all__ = ["Shelf"]

RESERVE_STEP = 1024
"""Records for whose ends room is reserved at a time."""


@dataclass(slots=True)
class _DoneFile:
    file: int = -1
    """-1 while it is closed: segments that wait for their turn have no open file."""
    size: int = BLOCK_SIZE
    reserved: int = 0
    """Records for whose ends there is room."""
    synced: bool = True
    """Whether the disk has all of it; nobody waits for that until the journal is closed."""


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
        keys: Keys | None = None,
        files: Files | None = None,
    ) -> None:
        """``rank`` tells the places of an adopted shelf from those of the own one."""
        self.path = path
        self.files = files or Files()
        self.appender = Appender(self, logger, segment_size=segment_size, fsync=fsync)
        self._logger = logger
        self._fsync = fsync
        self._rank = rank
        self._keys = keys
        self._done: dict[int, _DoneFile] = {}
        self._live: set[int] = set()
        self._folded: list[Segment] = []
        """In the sums, and not deleted yet."""
        self.ledger: Ledger

    @property
    def overhead(self) -> int:
        """Bytes of a record in a segment besides header and payload."""
        return BLOCK_SIZE + (ENCRYPTED_EXTRA if self._keys is not None else 0)

    # ------------------------------------------------------------------- open

    def open(self) -> list[Segment]:
        """Return the segments that hold something, oldest first. Raises ``OSError``, :class:`StartError`."""
        self.files.make_directory(self.path)
        found = recover(self.files, self.path, self._logger)
        self.ledger = found.ledger
        self._live = {segment.number for segment in found.segments}
        try:
            segments = [self._segment(segment) for segment in found.segments]
            for segment in segments:
                if segment.finished:
                    self._try_to_fold(segment)
        except BaseException:
            self.close()
            raise
        return [segment for segment in segments if not segment.finished]

    def _segment(self, found: Recovered) -> Segment:
        if found.key and (self._keys is None or found.key not in self._keys):
            path = self.path / f"{found.number:08d}.seg"
            known = "no key is configured" if self._keys is None else "none of the configured keys is that one"
            raise StartError(f"{path} is encrypted, and {known}: see encryption.key and encryption.previous_keys")
        self._done[found.number] = _DoneFile(size=found.ends.size)
        return Segment(
            self,
            found.number,
            self._rank << SERIAL_SHIFT | found.number,
            found.mark,
            found.created,
            found.key,
            found.total,
            found.end,
            found.ends.amount,
            found.ends.states,
            sealed=True,
            old=True,
        )

    # ----------------------------------------------------------- new segments

    def new_segment(self, mark: bytes, created: float, key: int) -> Segment:
        """Make the next segment, with its done file. Raises ``OSError``."""
        number = self.ledger.next
        self.ledger.next += 1
        segment = Segment(self, number, self._rank << SERIAL_SHIFT | number, mark, created, key)
        self._done[number] = done = _DoneFile()
        self._live.add(number)
        try:
            done.file = self.files.open(self.path_of(segment, "done"), create=True)
            self.files.write(done.file, [pack_done_header(mark)], 0)
        except OSError:
            self.forget(segment)
            raise
        return segment

    def forget(self, segment: Segment) -> None:
        """Remove a segment that could not be created. Raises ``OSError``."""
        self.rest(segment)
        del self._done[segment.number]
        self._live.discard(segment.number)
        self._remove(segment)

    def new_cipher(self, mark: bytes) -> tuple[int, Cipher | None]:
        """Return the id of the key for a new segment, 0 for none, and what encrypts with it."""
        if self._keys is None:
            return 0, None
        return self._keys.current, self._keys.cipher(self._keys.current, mark)

    def reserve_ends(self, segment: Segment, requests: int) -> None:
        """Make sure that what becomes of so many records can be written on a full disk. Raises ``OSError``."""
        done = self._open_done(segment)
        if requests > done.reserved:
            wanted = -(-requests // RESERVE_STEP) * RESERVE_STEP
            self.files.reserve(done.file, BLOCK_SIZE + (wanted + 1) * ENTRY_SIZE)
            done.reserved = wanted

    # ------------------------------------------------------------------- ends

    def end(self, segment: Segment, entries: bytes) -> None:
        """Write entries into the done file of a segment. Raises ``OSError``; they can be written again then."""
        done = self._open_done(segment)
        self.files.write(done.file, [entries], done.size)
        done.size += len(entries)
        done.synced = False

    def rest(self, segment: Segment) -> None:
        """Close the done file until it is wanted again."""
        done = self._done[segment.number]
        if done.file >= 0:
            self.files.close(done.file)
            done.file = -1

    def fold(self, segment: Segment) -> None:
        """Add a segment that has ended to the sums, and delete its files. Raises ``OSError``; the next call goes on."""
        self.rest(segment)
        del self._done[segment.number]
        self._live.discard(segment.number)
        self._folded.append(segment)
        self.ledger.fold(segment.number, segment.states, self._live)
        while self._folded:
            self._delete(self._folded[-1])
            self._folded.pop()

    def _try_to_fold(self, segment: Segment) -> None:
        try:
            self.fold(segment)
        except OSError as error:
            self._logger.warning("%s could not be deleted: %s; it is tried again", self.path_of(segment, "seg"), error)

    def close(self) -> None:
        """Close all files, so that after this not even a power loss repeats what has ended. Raises ``OSError``."""
        done, self._done = self._done, {}
        try:
            for number, file in done.items():
                self._close_done(number, file)
        finally:
            self.ledger.close()

    # ------------------------------------------------------------------- read

    def open_to_read(self, segment: Segment) -> int:
        """Open the file of a segment; for any thread. Raises ``OSError``."""
        return self.files.open_to_read(self.path_of(segment, "seg"))

    def ends(self, segment: Segment) -> Ends:
        """Return what the done file of a segment says; for any thread. Raises ``OSError``."""
        return Ends(read_whole(self.files, self.path_of(segment, "done")), segment.mark)

    def cipher(self, segment: Segment) -> Cipher | None:
        """Return what decrypts a segment, ``None`` if it is not encrypted."""
        return self._keys.cipher(segment.key, segment.mark) if self._keys is not None and segment.key else None

    def path_of(self, segment: Segment, kind: str) -> Path:
        """Return the path of the file ``seg`` or ``done`` of a segment."""
        return self.path / f"{segment.number:08d}.{kind}"

    # ---------------------------------------------------------------- details

    def _open_done(self, segment: Segment) -> _DoneFile:
        done = self._done[segment.number]
        if done.file < 0:
            done.file = self.files.open(self.path_of(segment, "done"), create=True)
        return done

    def _close_done(self, number: int, done: _DoneFile) -> None:
        if done.file < 0 and (done.synced or not self._fsync):
            return
        file = done.file if done.file >= 0 else self.files.open(self.path / f"{number:08d}.done")
        try:
            if self._fsync and not done.synced:
                self.files.sync(file)
        finally:
            self.files.close(file)

    def _delete(self, segment: Segment) -> None:
        if DAMAGED in segment.states:
            names = [self.path_of(segment, kind).name for kind in ("seg", "done")]
            set_aside(self.files, self.path, names, self._logger)
        else:
            self._remove(segment)

    def _remove(self, segment: Segment) -> None:
        for kind in ("seg", "done"):
            self.files.remove(self.path_of(segment, kind))
