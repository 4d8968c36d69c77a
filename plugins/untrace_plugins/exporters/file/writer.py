"""The file itself: whole records or nothing, rotation, and reopening when somebody else moved it away."""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from untrace_plugins.exporters.file.config import RotationConfig

__all__ = ["FileWriter"]

MEBIBYTE = 1024 * 1024
STAMP = "%Y-%m-%dT%H-%M-%S"
STAMP_LENGTH = len("2026-01-02T03-04-05.678")


class FileWriter:
    """Appends records. Blocking, and safe to call from any thread. Raises ``OSError``."""

    def __init__(self, path: Path, rotation: RotationConfig | None) -> None:
        self._path = path
        self._rotation = rotation
        self._limit = rotation.max_megabytes * MEBIBYTE if rotation else 0
        self._lock = threading.Lock()
        self._file = -1
        self._closed = False
        self._regular = True
        self._size = 0

    def open(self, *, empty: bool = False) -> None:
        """Open the file for appending, creating it where it is missing; ``empty`` throws away what is in it."""
        with self._lock:
            self._closed = False
            self._open(empty=empty)

    def write(self, record: bytes) -> None:
        """Append a record, whole; when that fails, the file ends where it ended before."""
        with self._lock:
            self._append(record)

    def close(self) -> None:
        """Close the file; what a thread still wants to write then fails. Safe twice."""
        with self._lock:
            self._closed = True
            self._close()

    def _open(self, *, empty: bool = False) -> None:
        self._close()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | (os.O_TRUNC if empty else 0)
        self._file = os.open(self._path, flags, 0o644)
        status = os.fstat(self._file)
        self._regular = stat.S_ISREG(status.st_mode)
        self._size = status.st_size if self._regular else 0

    def _append(self, record: bytes) -> None:
        if self._closed:  # the attempt was cancelled and counted as lost, but its thread runs on
            raise OSError(errno.EBADF, "the file is closed")
        if self._file < 0 or self._moved():
            self._open()
        if self._limit and self._size and self._size + len(record) > self._limit:
            self._rotate()
        try:
            self._write_all(record)
        except OSError:
            self._cut_back()
            raise
        self._size += len(record)

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _write_all(self, record: bytes) -> None:
        left = memoryview(record)
        while left:
            left = left[os.write(self._file, left) :]

    def _cut_back(self) -> None:
        """Remove half a record, so that readers find whole ones only."""
        if self._regular:
            os.ftruncate(self._file, self._size)

    def _moved(self) -> bool:
        """Return whether the path names another file now, or none: logrotate was here."""
        if not self._regular:
            return False
        try:
            there, here = os.stat(self._path), os.fstat(self._file)
        except FileNotFoundError:
            return True
        self._size = here.st_size  # logrotate's copytruncate empties it in place
        return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino)

    def _rotate(self) -> None:
        assert self._rotation is not None
        now = datetime.now().astimezone() if self._rotation.localtime else datetime.now(UTC)
        target = self._backup(now)
        while target.exists():
            now += timedelta(milliseconds=1)
            target = self._backup(now)
        self._path.rename(target)
        self._open()
        self._remove_old(self._rotation)

    def _backup(self, now: datetime) -> Path:
        stamp = f"{now.strftime(STAMP)}.{now.microsecond // 1000:03d}"
        return self._path.with_name(f"{self._path.stem}-{stamp}{self._path.suffix}")

    def _remove_old(self, rotation: RotationConfig) -> None:
        backups = sorted(filter(self._is_backup, self._path.parent.iterdir()), key=lambda path: path.name)
        gone = backups[: -rotation.max_backups] if rotation.max_backups else []
        if rotation.max_days:
            oldest = time.time() - rotation.max_days * 86400
            gone += [path for path in backups if path not in gone and path.stat().st_mtime < oldest]
        for path in gone:
            path.unlink(missing_ok=True)

    def _is_backup(self, path: Path) -> bool:
        """Return whether a file is one that was set aside here, by its name."""
        stamp = path.name.removeprefix(f"{self._path.stem}-").removesuffix(self._path.suffix)
        if len(stamp) != STAMP_LENGTH or len(path.name) != len(self._path.name) + STAMP_LENGTH + 1:
            return False
        try:
            datetime.strptime(stamp, f"{STAMP}.%f")
        except ValueError:
            return False
        return True
