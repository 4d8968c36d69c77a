"""A file that may be exchanged while the daemon runs."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["WatchedFile"]

SETTLE_SECONDS = 0.2
"""How long a new content must stay the same: a file that is written in place is empty first, and then half."""

_Stamp = tuple[int, int, int]


class WatchedFile:
    """Reads a regular file, and again when it has another content that is written whole. Each look costs a ``stat``.

    Blocks while it reads: files that are large belong into a thread. Not safe for use from several threads at a time.
    """

    def __init__(self, path: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = Path(path)
        self._clock = clock
        self._seen: _Stamp | None = None
        self._digest = b""
        self._doubtful: tuple[_Stamp, float] | None = None
        self._failure = ""

    def read(self) -> bytes:
        """Return the content, whatever it was before. Raises ``OSError``, also for what is no regular file."""
        stamp, content = self._stamp(), self._path.read_bytes()
        # whatever was written meanwhile has another stamp, and is looked at again
        self._seen, self._digest, self._failure = stamp, hashlib.sha256(content).digest(), ""
        return content

    def poll(self) -> bytes | None:
        """Return the content if it is another one than before, and settled; the first one at once. Otherwise ``None``.

        Raises ``OSError`` when the file cannot be read: once, until it could be or the reason is another.
        """
        try:
            stamp = self._stamp()
            if stamp == self._seen or not self._settled(stamp):
                self._failure = ""
                return None
            before = self._digest
            content = self.read()
        except OSError as error:
            if (failure := error.strerror or str(error)) == self._failure:
                return None
            self._failure, self._seen = failure, None
            raise
        return content if self._digest != before else None

    def _settled(self, stamp: _Stamp) -> bool:
        """Whether nobody has written for a while, by the file's own time or, where that is no help, by our clock."""
        if not self._digest or time.time_ns() - stamp[0] >= SETTLE_SECONDS * 1e9:
            return True
        now = self._clock()
        if self._doubtful is None or self._doubtful[0] != stamp:
            self._doubtful = stamp, now
        return now - self._doubtful[1] >= SETTLE_SECONDS

    def _stamp(self) -> _Stamp:
        """Return what changes when a file is written or replaced."""
        found = os.stat(self._path)
        if not stat.S_ISREG(found.st_mode):  # a FIFO would hold whoever opens it
            raise OSError(0, "is no regular file")
        return found.st_mtime_ns, found.st_size, found.st_ino
