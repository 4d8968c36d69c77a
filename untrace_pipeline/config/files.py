"""The files that a configuration is made of: as they are on the disk, or as they were when somebody read them."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["Files"]


class Files:
    """Reads files and remembers them, so that another process can load exactly the same configuration.

    ``given`` are contents to take instead of the disk's; a file that is not among them does not exist.
    """

    def __init__(self, given: Mapping[Path, bytes] | None = None) -> None:
        self._given = given
        self.contents: dict[Path, bytes] = {}
        """What was read, at most as many bytes of each file as somebody wanted."""

    def read(self, path: Path, limit: int) -> bytes:
        """Return a file, or its first ``limit`` bytes. Raises ``OSError``; ``ValueError`` for an impossible path."""
        if self._given is None:
            with path.open("rb") as file:
                data = file.read(limit)
        elif path in self._given:
            data = self._given[path][:limit]
        else:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        self.contents[path] = max(data, self.contents.get(path, b""), key=len)
        return data
