"""A lock between processes: many may write to a database, one may exchange it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = ["FileLock", "give_to_owner"]

POLL_SECONDS = 0.01


def give_to_owner(path: Path) -> None:
    """Give what root has made on the command line to whom the directory belongs, so that the daemon can use it.

    Raises ``OSError``.
    """
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


class FileLock:
    """``flock`` on a file of its own, which is made when it is first needed. One holder per object at a time."""

    def __init__(self, path: Path, timeout: float) -> None:
        self._path = path
        self._timeout = timeout
        self._descriptor = -1

    @contextlib.contextmanager
    def held(self, *, alone: bool) -> Iterator[None]:
        """Hold the lock, alone or with others. Raises ``TimeoutError``, or another ``OSError`` without the file."""
        if self._descriptor < 0:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            give_to_owner(self._path)
        self._acquire(fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        try:
            yield
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file; it may be locked again later."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _acquire(self, kind: int) -> None:
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                fcntl.flock(self._descriptor, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    msg = f"{self._path} was locked by another process for {self._timeout:g} s"
                    raise TimeoutError(msg) from None
                time.sleep(POLL_SECONDS)
            else:
                return
