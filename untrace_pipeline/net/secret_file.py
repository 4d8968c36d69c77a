"""A file with a credential in it that may be exchanged while the daemon runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from untrace_pipeline.api.watched_file import WatchedFile
from untrace_pipeline.errors import StartError

__all__ = ["SecretFile"]

CHECK_SECONDS = 1.0
"""How often it is looked for a new content."""


class SecretFile:
    """Returns the present content; a file that cannot be read any more leaves the old content in force."""

    def __init__(self, path: str, logger: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._logger = logger
        self._clock = clock
        self._file = WatchedFile(path, clock)
        self._next = 0.0
        self._content = ""
        self.version = 0
        """Counts the contents that were read."""

    def open(self) -> None:
        """Read the file for the first time. Raises :class:`StartError` naming it."""
        try:
            self._take(self._file.read())
        except (OSError, UnicodeDecodeError) as error:
            msg = f"cannot read {self._path}: {_reason(error)}"
            raise StartError(msg) from error
        self._next = self._clock() + CHECK_SECONDS

    def read(self) -> str:
        """Return the content; looks at the file at most once per second."""
        if self._clock() >= self._next:
            self._next = self._clock() + CHECK_SECONDS
            self._look()
        return self._content

    def _look(self) -> None:
        try:
            content = self._file.poll()
            if content is not None:
                self._take(content)
                self._logger.info("%s has a new content, which was read", self._path)
        except (OSError, UnicodeDecodeError) as error:
            self._logger.warning("%s cannot be read, its old content stays in force: %s", self._path, _reason(error))

    def _take(self, content: bytes) -> None:
        self._content = content.decode()
        self.version += 1


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return getattr(error, "strerror", None) or "it is no UTF-8"
