"""The thread that writes for one journal: what comes while the disk is busy is written, and synced, together."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from untrace_pipeline.delivery.storage import Record
from untrace_plugins.extensions.file_storage.segment import Segment
from untrace_plugins.extensions.file_storage.shelf import Appended, Shelf

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
        self._awake = False
        self._mutex = threading.Lock()
        self._signal = threading.Lock()
        self._signal.acquire()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

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
        self._thread.join()

    def _wake(self) -> None:
        if not self._awake:
            self._awake = True
            self._signal.release()

    # ----------------------------------------------------------------- thread

    def _run(self) -> None:
        stop = False
        while not stop:
            self._signal.acquire()
            while work := self._next():
                self._do(work)
                stop = stop or work.stop
        for shelf in self._shelves:
            self._try(shelf.close, "close", shelf)
        self._tell(self._finish, self._stopped)

    def _next(self) -> _Work:
        with self._mutex:
            work, self._work = self._work, _Work()
            self._awake = bool(work)
            return work

    def _do(self, work: _Work) -> None:
        for segment, entries in work.ends.items():
            if not self._try(lambda: segment.shelf.end(segment, b"".join(entries)), "write", segment.shelf):  # noqa: B023
                with self._mutex:  # with the next ones
                    self._work.ends.setdefault(segment, []).insert(0, b"".join(entries))
        if work.appends:
            self._tell(self._written, work.appends, self._append([record for record, _ in work.appends]))
        for sealed in work.seals:
            self._tell(self._written, [], self._shelf.seal())
            self._tell(self._finish, sealed)
        for segment in work.folds:
            self._try(lambda: segment.shelf.fold(segment), "delete", segment.shelf)  # noqa: B023

    def _append(self, records: list[Record]) -> Appended:
        try:
            return self._shelf.append(records)
        except Exception as error:  # the thread must go on
            self._logger.exception("writing to %s failed", self._shelf.path)
            return Appended(error=OSError(None, str(error)))

    def _try(self, action: Callable[[], object], what: str, shelf: Shelf) -> bool:
        try:
            action()
        except OSError as error:
            self._logger.warning("cannot %s files in %s: %s; it is tried again", what, shelf.path, error)
            return False
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
