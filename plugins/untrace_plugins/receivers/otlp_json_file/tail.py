"""Reading position in one file: complete lines come out, rotation and truncation are noticed.

Everything here blocks and is called in a thread, one call at a time per file.
"""

from __future__ import annotations

import gzip
import io
import os
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, cast

import zstandard

__all__ = ["Block", "CompressedTail", "Line", "PlainTail", "Tail", "open_tail"]

BLOCK_BYTES = 1024 * 1024
BLOCK_LINES = 64
HEAD_BYTES = 256
"""Beginning of a file that is compared to notice that another content took its place."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its end, and where it stands."""

    data: bytes
    number: int
    """From 1, counted from where reading began."""
    offset: int
    too_long: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """Some complete lines, and the position behind them."""

    lines: list[Line]
    end: int


class Tail(ABC):
    """A file and how far it was read; ``read`` looks ahead, ``advance`` moves on."""

    outlives_path = False
    """Whether it can be read when no path leads to it any more."""

    def __init__(self, path: str, max_line_bytes: int) -> None:
        self.path = path
        self.offset = 0
        self.line_number = 0
        self._max_line = max_line_bytes

    @abstractmethod
    def read(self) -> Block:
        """Return the next lines from the position on; no lines if there is nothing new. Raises ``OSError``."""

    def advance(self, block: Block) -> None:
        """Move behind a block whose lines are all dealt with."""
        self.offset = block.end
        self.line_number += len(block.lines)

    def rewind(self) -> None:
        """Begin again."""
        self.offset = self.line_number = 0

    @abstractmethod
    def skip_to_end(self) -> None:
        """Read only what is added from now on. Raises ``OSError``."""

    @abstractmethod
    def close(self) -> None:
        """Close the file."""


class PlainTail(Tail):
    """A text file; stays open, so that a file that was renamed or removed is read to its end."""

    outlives_path = True

    def __init__(self, path: str, max_line_bytes: int) -> None:
        super().__init__(path, max_line_bytes)
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115  closed by close()
        self._head = b""

    def read(self) -> Block:
        """See :meth:`Tail.read`. A line that is not ended yet waits."""
        self._notice_new_content()
        size = BLOCK_BYTES
        while True:
            data = os.pread(self._file.fileno(), size, self.offset)
            if b"\n" in data:
                return self._block(data)
            if len(data) < size:
                return Block([], self.offset)
            if size > self._max_line:
                return self._overlong(size)
            size *= 2

    def skip_to_end(self) -> None:
        """See :meth:`Tail.skip_to_end`; a line that is not ended yet is left out."""
        self.offset = os.fstat(self._file.fileno()).st_size
        self._head = os.pread(self._file.fileno(), HEAD_BYTES, 0)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _notice_new_content(self) -> None:
        """Begin again if the file became shorter or begins otherwise (copy and truncate)."""
        head = os.pread(self._file.fileno(), HEAD_BYTES, 0)
        if os.fstat(self._file.fileno()).st_size < self.offset or not head.startswith(self._head):
            self.rewind()
        self._head = head

    def _block(self, data: bytes) -> Block:
        lines: list[Line] = []
        begin = 0
        while len(lines) < BLOCK_LINES and (end := data.find(b"\n", begin)) >= 0:
            too_long = end - begin > self._max_line
            content = b"" if too_long else data[begin:end]
            lines.append(Line(content, self.line_number + len(lines) + 1, self.offset + begin, too_long))
            begin = end + 1
        return Block(lines, self.offset + begin)

    def _overlong(self, searched: int) -> Block:
        """Find the end of a line that is longer than the limit, without holding it."""
        position = self.offset + searched
        while data := os.pread(self._file.fileno(), BLOCK_BYTES, position):
            end = data.find(b"\n")
            if end >= 0:
                return Block([Line(b"", self.line_number + 1, self.offset, too_long=True)], position + end + 1)
            position += len(data)
        return Block([], self.offset)


class CompressedTail(Tail):
    """A gzip or zstd file; read from its beginning whenever it changed, up to the position and then on."""

    def __init__(self, path: str, max_line_bytes: int, reader: Callable[[str], BinaryIO]) -> None:
        super().__init__(path, max_line_bytes)
        self._reader = reader
        self._stream: BinaryIO | None = None
        self._opened: tuple[int, int] | None = None  # size and time of the file when it was opened last
        self._finished: tuple[int, int] | None = None  # the same of what was read to its end

    def read(self) -> Block:
        """See :meth:`Tail.read`. The last line needs no line end. Raises ``OSError`` for a damaged file."""
        if self._stream is None:
            self._opened = self._state()
            if self._opened == self._finished:
                return Block([], self.offset)
            self._stream = self._reader(self.path)
            self._forward(self.offset)
        lines: list[Line] = []
        position = self.offset
        try:
            while len(lines) < BLOCK_LINES and position - self.offset < BLOCK_BYTES:
                line = self._stream.readline(self._max_line + 1)
                if not line:
                    break
                number = self.line_number + len(lines) + 1
                too_long = len(line) > self._max_line
                lines.append(Line(b"" if too_long else line.rstrip(b"\n"), number, position, too_long))
                position += len(line) + (self._rest_of_line() if too_long else 0)
        except (EOFError, zlib.error, zstandard.ZstdError) as error:
            if not lines:
                self._finish()
                msg = f"the file is damaged: {error}"
                raise OSError(msg) from error
        if not lines:
            self._finish()
        return Block(lines, position)

    def rewind(self) -> None:
        """Begin again."""
        super().rewind()
        self.close()
        self._finished = None

    def skip_to_end(self) -> None:
        """Leave the file out, as long as it does not change."""
        self._finished = self._state()

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _state(self) -> tuple[int, int]:
        status = os.stat(self.path)
        return status.st_size, status.st_mtime_ns

    def _finish(self) -> None:
        self._finished = self._opened
        self.close()

    def _forward(self, count: int) -> None:
        assert self._stream is not None
        while count > 0 and (data := self._stream.read(min(count, BLOCK_BYTES))):
            count -= len(data)

    def _rest_of_line(self) -> int:
        assert self._stream is not None
        count = 0
        while part := self._stream.readline(BLOCK_BYTES):
            count += len(part)
            if part.endswith(b"\n"):
                break
        return count


def open_tail(path: str, max_line_bytes: int) -> Tail:
    """Return the tail for a path; its ending tells the compression. Raises ``OSError``."""
    if path.endswith(".gz"):
        return CompressedTail(path, max_line_bytes, lambda name: cast("BinaryIO", gzip.open(name)))
    if path.endswith((".zst", ".zstd")):
        return CompressedTail(path, max_line_bytes, _open_zstd)
    return PlainTail(path, max_line_bytes)


def _open_zstd(path: str) -> BinaryIO:
    stream = zstandard.ZstdDecompressor().stream_reader(open(path, "rb"), read_across_frames=True)  # noqa: SIM115
    return io.BufferedReader(cast("io.RawIOBase", stream))
