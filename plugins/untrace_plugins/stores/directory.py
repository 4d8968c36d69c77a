"""A directory as an object store: files that are whole or absent."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from untrace_pipeline.api import Host, ProbeResult
from untrace_plugins.stores.config import StoreConfig
from untrace_plugins.stores.store import StoredObject

__all__ = ["DirectoryStore"]


class DirectoryStore:
    """Objects as files below a directory, which is made where it is missing."""

    def __init__(self, config: StoreConfig) -> None:
        self._root = Path(config.base)
        self._create_only = config.create_only
        self._fsync = config.file.fsync
        self._directory_mode = int(config.file.directory_permissions, 8)
        self._file_mode = int(config.file.file_permissions, 8)

    @property
    def destination(self) -> str:
        """The directory as a URL."""
        return f"file://{self._root}"

    def locate(self, key: str) -> str:
        """Return the URL of the file."""
        return f"{self.destination}/{key}"

    async def start(self, host: Host) -> None:
        """Nothing to do: the directory may be mounted later."""

    async def put(self, thing: StoredObject) -> bool:
        """Write beside the place, then move there: readers find whole files only. Raises ``OSError``."""
        return await asyncio.to_thread(self._put, thing)

    async def probe(self) -> Sequence[ProbeResult]:
        """Look whether the directory, or the nearest one above it that is there, may be written to."""
        place = next(one for one in (self._root, *self._root.parents) if one.exists())
        ok = place.is_dir() and os.access(place, os.W_OK | os.X_OK)
        return [ProbeResult("health", ok=ok, message=f"{place} may {'' if ok else 'not '}be written to")]

    async def close(self) -> None:
        """Nothing is open."""

    def _put(self, thing: StoredObject) -> bool:
        target = self._root / thing.key
        made = list(self._make(target.parent))
        # Of its own for each attempt: the thread of one that was given up may still be writing.
        draft = target.with_name(f".{target.name}.{os.getpid()}-{threading.get_native_id()}.part")
        try:
            self._write(draft, thing.data)
            new = self._move(draft, target)
        finally:
            with suppress(FileNotFoundError):
                draft.unlink()
        if self._fsync:
            for directory in (target.parent, *made):
                _sync(directory)
        return new

    def _make(self, directory: Path) -> Iterator[Path]:
        """Make a directory and those above it; yield those that have a new entry."""
        missing = []
        while not directory.exists():
            missing.append(directory)
            directory = directory.parent
        for one in reversed(missing):
            with suppress(FileExistsError):
                one.mkdir(self._directory_mode)
            yield one.parent

    def _write(self, path: Path, data: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        with open(os.open(path, flags, self._file_mode), "wb") as file:
            file.write(data)
            file.flush()
            if self._fsync:
                os.fsync(file.fileno())

    def _move(self, draft: Path, target: Path) -> bool:
        if not self._create_only:
            draft.replace(target)
            return True
        try:
            target.hardlink_to(draft)
        except FileExistsError:
            return False
        except PermissionError:  # a file system without links, which cannot tell two writers apart
            if target.exists():
                return False
            draft.replace(target)
        return True


def _sync(directory: Path) -> None:
    """Make the entries of a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
