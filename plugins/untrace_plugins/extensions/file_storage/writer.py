"""The thread that writes for one journal: what comes while the disk is busy is written, and synced, together."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from untrace_pipeline.delivery.storage import Record
from untrace_plugins.extensions.file_storage.appender import Appended
from untrace_plugins.extensions.file_storage.segment import Segment
from untrace_plugins.extensions.file_storage.shelf import Shelf

__all__ = ["Writer"]

Append = tuple[Record, asyncio.Future[None]]


@dataclass(slots=True)
class _Work:
    appends: list[Append] = field(default_factory=list)
    ends: dict[Segment, list[bytes]] = field(default_factory=dict)
    folds: list[Segment] = field(default_factory=list)
    seals: list[asyncio.Future[None]] = field(default_factory=list)
    stop: bool = False

    def __bool__(self) -> bool:
        return bool(self.appends or self.ends or self.folds or self.seals or self.stop)


class Writer:
    """Takes orders from the event loop and reports to it."""

    def __init__(
        self,
        shelf: Shelf,
        shelves: Sequence[Shelf],
        written: Callable[[list[Append], Appended], None],
        logger: logging.Logger,
        name: str,
    ) -> None:
        """``written`` is called in the event loop with what became of records; ``shelves`` are closed at the end."""
        self._shelf = shelf
        self._shelves = shelves
        self._written = written
        self._logger = logger
        self._loop = asyncio.get_running_loop()
        self._stopped = self._loop.create_future()
        self._work = _Work()
        self._unwritten: dict[Segment, bytes] = {}
        """Entries that the disk did not take: they go with the next ones, or the records come again."""
        self._failing = False
        self._awake = False
        self._mutex = threading.Lock()
        self._signal = threading.Lock()
        self._signal.acquire()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._start()

    def append(self, record: Record, future: asyncio.Future[None]) -> None:
        """Write a record; ``written`` ends the future."""
        with self._mutex:
            self._work.appends.append((record, future))
            self._wake()

    def end(self, segment: Segment, entries: bytes) -> None:
        """Write entries into the done file, with whatever is written next; :meth:`flush` sees to it."""
        with self._mutex:
            self._work.ends.setdefault(segment, []).append(entries)

    def flush(self) -> None:
        """Write now."""
        with self._mutex:
            self._wake()

    def fold(self, segment: Segment) -> None:
        """Delete a segment that has ended."""
        with self._mutex:
            self._work.folds.append(segment)
            self._wake()

    def seal(self) -> asyncio.Future[None]:
        """Complete the segment that is appended to; ``written`` has been told when the future is done."""
        sealed: asyncio.Future[None] = self._loop.create_future()
        with self._mutex:
            self._work.seals.append(sealed)
            self._wake()
        return sealed

    async def stop(self) -> None:
        """Write what is to be written, close all files and end the thread."""
        with self._mutex:
            self._work.stop = True
            self._wake()
        await asyncio.shield(self._stopped)

    def _start(self) -> None:
        self._thread.start()

    def _wake(self) -> None:
        """See to it that the work is done, once; called with the mutex held."""
        if not self._awake:
            self._awake = True
            self._signal.release()

    # ----------------------------------------------------------------- thread

    def _run(self) -> None:
        stop = False
        while not stop:
            self._signal.acquire()
            stop = self._turn()

    def _turn(self) -> bool:
        """Do all work there is; return whether that was the end of it."""
        stop = False
        while work := self._next():
            self._do(work)
            stop = stop or work.stop
        if stop:
            for segment in list(self._unwritten):
                self._write_ends(segment, b"")
            for shelf in self._shelves:
                self._try(shelf.close, "close", shelf)
            self._tell(self._finish, self._stopped)
        return stop

    def _next(self) -> _Work:
        with self._mutex:
            work, self._work = self._work, _Work()
            self._awake = bool(work)
            return work

    def _do(self, work: _Work) -> None:
        for segment, entries in work.ends.items():
            self._write_ends(segment, b"".join(entries))
        if work.appends:
            self._tell(self._written, work.appends, self._append([record for record, _ in work.appends]))
        for sealed in work.seals:
            self._tell(self._written, [], self._shelf.appender.seal())
            self._tell(self._finish, sealed)
        for segment in work.folds:
            self._unwritten.pop(segment, None)
            self._try(partial(segment.shelf.fold, segment), "delete", segment.shelf)

    def _write_ends(self, segment: Segment, entries: bytes) -> None:
        """Write entries, after those that could not be written before."""
        entries = self._unwritten.pop(segment, b"") + entries
        if not self._try(partial(segment.shelf.end, segment, entries), "write", segment.shelf):
            self._unwritten[segment] = entries

    def _append(self, records: list[Record]) -> Appended:
        try:
            return self._shelf.appender.append(records)
        except Exception as error:  # the thread must go on
            self._logger.exception("writing to %s failed", self._shelf.path)
            return Appended(error=OSError(None, str(error)))

    def _try(self, action: Callable[[], object], what: str, shelf: Shelf) -> bool:
        try:
            action()
        except OSError as error:
            if not self._failing:
                self._logger.warning("cannot %s files in %s: %s; it is tried again", what, shelf.path, error)
            self._failing = True
            return False
        except Exception:  # the thread must go on
            self._logger.exception("files in %s", shelf.path)
            return False
        self._failing = False
        return True

    def _tell(self, callback: Callable[..., object], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *arguments)
        except RuntimeError:  # the loop is closed: nobody waits any more
            self._logger.debug("nobody waits for %s any more", self._shelf.path)

    @staticmethod
    def _finish(future: asyncio.Future[None]) -> None:
        if not future.done():
            future.set_result(None)
