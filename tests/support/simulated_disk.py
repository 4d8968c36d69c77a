"""A disk in memory that fills, fails, and loses power: a journal finds afterwards what a real one might show."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from untrace_plugins.extensions.file_storage.files import Files

__all__ = ["SimulatedDisk", "SimulatedFiles"]

SECTOR = 64
"""Bytes that a power loss keeps or loses together; small, so that it tears whatever can be torn."""


@dataclass
class _Node:
    """A file: what the operating system has, what the disk has, and what was written since the last sync."""

    data: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    """Writes; a cut is a write of ``None`` at its offset."""


class SimulatedDisk:
    """The files of a machine. They outlive its crashes."""

    def __init__(self, rng: random.Random, capacity: int = 1 << 40) -> None:
        self.rng = rng
        self.capacity = capacity
        self.names: dict[Path, _Node] = {}
        self.pending_names: list[tuple[Path, _Node | None]] = []
        """Names that came (or went: None) since the last sync of the directory."""
        self._durable_names: dict[Path, _Node] = {}

    @property
    def used(self) -> int:
        """Bytes that are taken."""
        return sum(len(node.data) for node in self.names.values())

    def sync_names(self) -> None:
        """The directory is on the disk."""
        self._durable_names = dict(self.names)
        self.pending_names.clear()

    def lose_power(self) -> None:
        """Forget what was not synced: some of it, whichever the disk had not got to yet."""
        names = dict(self._durable_names)
        for path, node in self.pending_names[: self.rng.randint(0, len(self.pending_names))]:
            if node is None:
                names.pop(path, None)
            else:
                names[path] = node
        self.names = names
        for node in names.values():
            self._tear(node)
        self.sync_names()

    def _tear(self, node: _Node) -> None:
        data, keep = bytearray(node.durable), self.rng.random()
        for offset, written in node.pending:
            if written is None:
                del data[offset if self.rng.random() < keep else len(data) :]
                continue
            for begin in range(0, len(written), SECTOR):
                piece = written[begin : begin + SECTOR]
                if self.rng.random() < keep:
                    data.extend(bytes(max(offset + begin + len(piece) - len(data), 0)))
                    data[offset + begin : offset + begin + len(piece)] = piece
        node.data, node.durable = data, bytes(data)
        node.pending.clear()


class SimulatedFiles(Files):
    """The calls of one process, until it is killed: after so many bytes, in the middle of a write or between calls."""

    def __init__(self, disk: SimulatedDisk, budget: int, *, failing_syncs: float = 0.0) -> None:
        self._disk = disk
        self._budget = budget
        self.failing_syncs = failing_syncs
        self._handles: dict[int, _Node] = {}
        self._next = 1000
        self.killed = False

    def create(self, path: Path) -> int:
        self._spend(1)
        if path in self._disk.names:
            raise FileExistsError(errno.EEXIST, "exists", str(path))
        return self._open(self._name(path, _Node()))

    def open(self, path: Path, *, create: bool = False) -> int:
        self._spend(1)
        node = self._disk.names.get(path)
        if node is None and not create:
            raise FileNotFoundError(errno.ENOENT, "missing", str(path))
        return self._open(node or self._name(path, _Node()))

    def open_to_read(self, path: Path) -> int:
        return self.open(path)

    def close(self, file: int) -> None:
        del self._handles[file]

    def size(self, file: int) -> int:
        return len(self._handles[file].data)

    def read(self, file: int, size: int, offset: int) -> bytes:
        self._spend(0)
        return bytes(self._handles[file].data[offset : offset + size])

    def prefetch(self, path: Path) -> None:
        pass

    def write(self, file: int, buffers: Sequence[bytes], offset: int) -> None:
        node, data = self._handles[file], b"".join(buffers)
        room = self._disk.capacity - self._disk.used + max(len(node.data) - offset, 0)
        for begin in range(0, min(len(data), room), SECTOR):
            piece = data[begin : min(begin + SECTOR, room)]
            done = piece[: self._budget]
            node.data.extend(bytes(max(offset + begin + len(done) - len(node.data), 0)))
            node.data[offset + begin : offset + begin + len(done)] = done
            node.pending.append((offset + begin, done))
            self._spend(len(piece))
        if len(data) > room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def sync(self, file: int) -> None:
        self._spend(1)
        node = self._handles[file]
        if self._disk.rng.random() < self.failing_syncs:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        node.durable = bytes(node.data)
        node.pending.clear()

    def reserve(self, file: int, size: int) -> None:
        self._spend(1)
        node = self._handles[file]
        wanted = max(size - len(node.data), 0)
        if self._disk.used + wanted > self._disk.capacity:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if wanted:
            node.pending.append((len(node.data), bytes(wanted)))
            node.data.extend(bytes(wanted))

    def cut(self, file: int, size: int) -> None:
        self._spend(1)
        node = self._handles[file]
        if len(node.data) > size:
            node.pending.append((size, None))
            del node.data[size:]

    def list(self, path: Path) -> dict[str, bool]:
        self._spend(0)
        return {found.name: True for found in self._disk.names if found.parent == path}

    def make_directory(self, path: Path) -> None:
        self._spend(0)

    def sync_directory(self, path: Path) -> None:
        self._spend(1)
        self._disk.sync_names()

    def remove(self, path: Path) -> None:
        self._spend(1)
        if self._disk.names.pop(path, None) is not None:
            self._disk.pending_names.append((path, None))

    def move(self, path: Path, target: Path) -> None:
        self._spend(1)
        node = self._disk.names.get(path)
        if node is None:
            raise FileNotFoundError(errno.ENOENT, "missing", str(path))
        self.remove(path)
        self._name(target, node)

    def _name(self, path: Path, node: _Node) -> _Node:
        self._disk.names[path] = node
        self._disk.pending_names.append((path, node))
        return node

    def _open(self, node: _Node) -> int:
        self._next += 1
        self._handles[self._next] = node
        return self._next

    def _spend(self, amount: int) -> None:
        """Die when the budget is used up; a dead process does nothing any more, whatever it tries."""
        self._budget = max(self._budget - amount, 0)
        if self.killed or not self._budget:
            self.killed = True
            raise OSError(errno.EIO, "killed")
