"""A file with a credential in it that may be exchanged while the daemon runs."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable

from untrace_pipeline.errors import StartError

__all__ = ["SecretFile"]

CHECK_SECONDS = 1.0
"""How late a new content is noticed at most."""


class SecretFile:
    """Returns the present content; a file that cannot be read any more leaves the old content in force."""

    def __init__(self, path: str, logger: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._logger = logger
        self._clock = clock
        self._next = 0.0
        self._seen: tuple[int, int, int] | None = None
        self._content = ""
        self._failure = ""
        """Why it could not be read when it was looked at last; told once."""
        self.version = 0
        """Counts the contents that were read."""

    def open(self) -> None:
        """Read the file for the first time. Raises :class:`StartError` naming it."""
        try:
            self._load()
        except (OSError, UnicodeDecodeError) as error:
            msg = f"cannot read {self._path}: {getattr(error, 'strerror', None) or error}"
            raise StartError(msg) from error
        self._next = self._clock() + CHECK_SECONDS

    def read(self) -> str:
        """Return the content; looks at the file at most once per second."""
        if self._clock() >= self._next:
            self._next = self._clock() + CHECK_SECONDS
            try:
                self._load()
                self._failure = ""
            except (OSError, UnicodeDecodeError) as error:
                failure = getattr(error, "strerror", None) or str(error)
                if failure != self._failure:
                    self._logger.warning("%s cannot be read, its old content stays in force: %s", self._path, failure)
                self._failure = failure
        return self._content

    def _load(self) -> None:
        status = os.stat(self._path)
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if seen == self._seen:
            return
        with open(self._path, encoding="utf-8") as file:
            self._content = file.read()
        if self._seen is not None:
            self._logger.info("%s has a new content, which was read", self._path)
        self._seen = seen
        self.version += 1
