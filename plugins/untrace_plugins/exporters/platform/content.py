"""Where content goes that a platform does not take: a directory, or an extension that keeps it elsewhere."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol, runtime_checkable

from untrace_pipeline.api import Host, RetryableError, StartError
from untrace_plugins.exporters.platform.config import LongValues, LongValuesConfig

__all__ = ["ContentDirectory", "ContentStore", "open_store"]


@runtime_checkable
class ContentStore(Protocol):
    """Keeps texts under keys of path segments. An extension that is one may be named in ``long_values.storage``."""

    def address(self, key: str) -> str:
        """Return the URI that what is put under a key has, now or later."""

    async def put(self, key: str, data: bytes) -> None:
        """Keep it; the same key always comes with the same data. Raises :class:`RetryableError` where it cannot."""


class ContentDirectory:
    """Files below a directory. A file is there as a whole or not at all."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory.absolute()

    def address(self, key: str) -> str:
        """Return the URI of the file."""
        return (self._directory / key).as_uri()

    async def put(self, key: str, data: bytes) -> None:
        """Write the file. Raises :class:`RetryableError`."""
        try:
            await asyncio.to_thread(self._write, self._directory / key, data)
        except OSError as error:
            msg = f"long_values.directory: cannot write below {self._directory}: {error.strerror or error}"
            raise RetryableError(msg) from error

    def _write(self, path: Path, data: bytes) -> None:
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}")
        unfinished.write_bytes(data)
        unfinished.replace(path)


def open_store(config: LongValuesConfig, host: Host) -> ContentStore | None:
    """Return where content goes, ``None`` if it stays. Raises :class:`StartError` for an extension that keeps none."""
    if config.policy is not LongValues.MOVE_OUT:
        return None
    if config.directory:
        return ContentDirectory(Path(config.directory))
    extension = host.extension(config.storage)
    if not isinstance(extension, ContentStore):
        raise StartError(f"long_values.storage: extension {config.storage} keeps no content")
    return extension
