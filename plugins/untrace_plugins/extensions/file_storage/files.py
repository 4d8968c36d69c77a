"""What a journal asks of the operating system, in one place."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

__all__ = ["Files", "is_full"]

_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
_UNRESERVABLE = frozenset((errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.ENODEV))
_IOV_MAX = 1024
_PAGE = 4096


def is_full(error: OSError) -> bool:
    """Return whether an error says that there is no room, rather than that the medium is broken."""
    return error.errno in _FULL


class Files:
    """Blocking calls. All raise ``OSError``; tests make them fail, or stop, half-way."""

    def create(self, path: Path) -> int:
        """Create a file that does not exist, for reading and writing."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)

    def open(self, path: Path, *, create: bool = False) -> int:
        """Open a file for reading and writing."""
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o640)

    def open_to_read(self, path: Path) -> int:
        """Open a file for reading."""
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def close(self, file: int) -> None:
        """Close a file."""
        os.close(file)

    def size(self, file: int) -> int:
        """Return the size of a file."""
        return os.fstat(file).st_size

    def read(self, file: int, size: int, offset: int) -> bytes:
        """Read up to that many bytes, fewer at the end; sectors that the disk cannot read any more are zeros."""
        try:
            return os.pread(file, size, offset)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
        return b"".join(
            self._read_page(file, min(_PAGE, offset + size - at), at) for at in range(offset, offset + size, _PAGE)
        )

    def prefetch(self, path: Path) -> None:
        """Begin to read the ends of a file, without waiting for it; never raises."""
        with suppress(OSError):
            file = self.open_to_read(path)
            try:
                os.posix_fadvise(file, 0, _PAGE, os.POSIX_FADV_WILLNEED)
                os.posix_fadvise(file, max(self.size(file) - _PAGE, 0), _PAGE, os.POSIX_FADV_WILLNEED)
            finally:
                self.close(file)

    def write(self, file: int, buffers: Sequence[bytes], offset: int) -> None:
        """Write all buffers, one after the other, at an offset."""
        for begin in range(0, len(buffers), _IOV_MAX):
            chunk = buffers[begin : begin + _IOV_MAX]
            total = sum(map(len, chunk))
            written = os.pwritev(file, chunk, offset)
            if written < total:
                self._write_rest(file, b"".join(chunk)[written:], offset + written)
            offset += total

    def sync(self, file: int) -> None:
        """Return when the content of a file is on the disk."""
        os.fdatasync(file)

    def reserve(self, file: int, size: int) -> None:
        """Make sure that a file can be written up to that size, whatever happens to the disk; zeros until then."""
        try:
            os.posix_fallocate(file, 0, size)
        except OSError as error:
            if error.errno not in _UNRESERVABLE:
                raise

    def cut(self, file: int, size: int) -> None:
        """Make a file end there."""
        os.ftruncate(file, size)

    def list(self, path: Path) -> dict[str, bool]:
        """Return the names in a directory, and whether each is a regular file."""
        with os.scandir(path) as entries:
            return {entry.name: entry.is_file(follow_symlinks=False) for entry in entries}

    def make_directory(self, path: Path) -> None:
        """Create a directory, with those above it; it may exist."""
        path.mkdir(0o750, parents=True, exist_ok=True)

    def sync_directory(self, path: Path) -> None:
        """Return when the names in a directory are on the disk."""
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def remove(self, path: Path) -> None:
        """Remove a file; it may be missing."""
        path.unlink(missing_ok=True)

    def move(self, path: Path, target: Path) -> None:
        """Give a file, or a directory, another name."""
        path.rename(target)

    def _read_page(self, file: int, size: int, offset: int) -> bytes:
        try:
            return os.pread(file, size, offset)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return bytes(size)

    def _write_rest(self, file: int, data: bytes, offset: int) -> None:
        left = memoryview(data)
        while left:
            written = os.pwrite(file, left, offset)
            left = left[written:]
            offset += written
