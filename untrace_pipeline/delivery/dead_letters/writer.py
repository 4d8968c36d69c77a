"""The one thread of a process that writes dead letters: what waits is committed together."""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from untrace_pipeline.delivery.dead_letters.encoding import LetterEncoding
from untrace_pipeline.delivery.dead_letters.file import QUARANTINE, DamagedError, LetterFile, describe
from untrace_pipeline.delivery.dead_letters.salvage import next_id, salvage

__all__ = ["Work", "Writer"]

GROUP_BYTES = 8 * 1024 * 1024
"""A transaction takes no further change after so many bytes: others want to write too."""
GROUP_CHANGES = 256

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]


@dataclass(slots=True, eq=False)
class _Change:
    work: Work[Any]
    weight: int
    make: bool
    done: Future[Any] = field(default_factory=Future)


class Writer:
    """Runs changes in transactions, in the order in which they were submitted, and ``tend`` in between.

    ``tend`` gets the file now and then, to do what nobody waits for, and returns the seconds until its next turn.
    """

    def __init__(
        self, file: LetterFile, encoding: LetterEncoding, logger: logging.Logger, tend: Callable[[LetterFile], float]
    ) -> None:
        self._file = file
        self._encoding = encoding
        self._logger = logger
        self._tend = tend
        self._waiting: queue.SimpleQueue[_Change | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._changing = threading.Lock()
        """Held while a thread begins, or is seen to have ended, and by whoever relies on its being there."""
        self._closing = threading.Lock()

    def start(self) -> None:
        """Begin, if it has not begun: the database is checked, and mended where it must be."""
        with self._changing:
            self._begin()

    def submit(self, work: Work[T], *, weight: int = 0, make: bool = False) -> Future[T]:
        """Run ``work`` in a transaction; the future ends when that is on the disk.

        It raises a :class:`ConsumeError` where that is not possible. Without ``make``, nothing is done where there is
        no database, and the result is ``None``. ``weight`` is about how many bytes will be written.
        """
        change = _Change(work, weight, make)
        with self._changing:
            self._begin()
            self._waiting.put(change)
        return change.done

    def close(self) -> None:
        """Do what was submitted, then end. Blocks. A later :meth:`submit` begins again."""
        with self._closing:
            while (thread := self._thread) is not None:
                self._waiting.put(None)
                thread.join()
                with self._changing:
                    self._thread = None
                    if not self._waiting.empty():  # submitted while it ended
                        self._begin()

    def _begin(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="dead letters", daemon=True)
            self._thread.start()

    # ----------------------------------------------------------------- thread

    def _run(self) -> None:
        self._check()
        due = time.monotonic()
        while True:
            group, last = self._next_group(due - time.monotonic())
            if group:
                self._commit(group)
            if last:
                break
            if group or time.monotonic() >= due:
                due = time.monotonic() + self._tended()
        self._file.close()

    def _next_group(self, wait: float) -> tuple[list[_Change], bool]:
        """Return what is to be done together, and whether nothing comes after it."""
        group: list[_Change] = []
        weight = 0
        try:
            change = self._waiting.get(timeout=max(wait, 0)) if wait > 0 else self._waiting.get_nowait()
            while change is not None:
                if change.done.set_running_or_notify_cancel():
                    group.append(change)
                    weight += change.weight
                if weight >= GROUP_BYTES or len(group) >= GROUP_CHANGES:
                    return group, False
                change = self._waiting.get_nowait()
        except queue.Empty:
            return group, False
        return group, True

    def _commit(self, group: Sequence[_Change]) -> None:
        try:
            results = self._attempt(group)
        except Exception as error:  # noqa: BLE001  whoever waits is told
            if len(group) > 1:  # one may be to blame
                for change in group:
                    self._commit([change])
            else:
                group[0].done.set_exception(describe(error, self._file.path))
        else:
            for change, result in zip(group, results, strict=True):
                change.done.set_result(result)

    def _attempt(self, group: Sequence[_Change]) -> list[Any]:
        try:
            return self._transact(group)
        except DamagedError as error:
            self._mend(error)
            return self._transact(group)

    def _transact(self, group: Sequence[_Change]) -> list[Any]:
        with self._file.writing(make=any(change.make for change in group)) as connection:
            return [None if connection is None else change.work(connection) for change in group]

    def _check(self) -> None:
        try:
            self._file.check()
        except DamagedError as error:
            try:
                self._mend(error)
            except Exception as problem:  # noqa: BLE001  told to whoever writes next
                self._logger.warning("%s", describe(problem, self._file.path))
        except Exception as error:  # noqa: BLE001  told to whoever writes next
            self._logger.warning("%s", describe(error, self._file.path))

    def _mend(self, damage: DamagedError) -> None:
        """Put an empty database in the place of the damaged one, and save into it what can be read."""
        old = self._file.exchange(next_id)
        if old is None:
            return
        text = "%s is damaged (%s): it was moved to %s/; what can be read of it is saved into a new one"
        self._logger.error(text, self._file.path, damage, Path(QUARANTINE) / old.name)
        saved, lost = salvage(old, self._file, self._encoding)
        text = "%s: %d dead letters were saved, %d were found that could not be read; the rest, if any, lies in %s"
        self._logger.log(
            logging.ERROR if lost or not saved else logging.WARNING, text, self._file.path, saved, lost, old
        )

    def _tended(self) -> float:
        try:
            return self._tend(self._file)
        except DamagedError as error:
            try:
                self._mend(error)
            except Exception as problem:  # noqa: BLE001  comes again
                self._logger.warning("%s", describe(problem, self._file.path))
        except Exception as error:  # noqa: BLE001  comes again
            self._logger.warning("%s", describe(error, self._file.path))
        return RETRY_SECONDS


RETRY_SECONDS = 10.0
"""Until the next turn after one that failed."""
