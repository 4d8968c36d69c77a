"""The memory of this process and of the machine or container around it."""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Protocol

__all__ = ["Memory", "ProcessMemory", "total_memory"]

_M_ARENA_MAX = -8
"""``mallopt`` parameter of glibc's malloc.h."""
_ARENAS = 2
"""Threads that compress or scan would otherwise each get an arena of their own, which keeps what it once used."""


class Memory(Protocol):
    """What a sampler measures, and how it gets memory back."""

    def resident(self) -> int:
        """Return resident memory in bytes."""

    def trim(self) -> None:
        """Give free pages back to the system; takes milliseconds."""

    def collect(self) -> None:
        """Collect garbage, then trim; takes up to some hundred milliseconds."""


class ProcessMemory:
    """This process on Linux. Without ``/proc`` resident memory is 0; without glibc ``trim`` does nothing."""

    def __init__(self) -> None:
        try:
            self._statm: int | None = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._statm = None
        self._page = os.sysconf("SC_PAGE_SIZE")
        libc = ctypes.CDLL(None)
        self._trim = getattr(libc, "malloc_trim", None)
        mallopt = getattr(libc, "mallopt", None)
        if self._trim and mallopt and "MALLOC_ARENA_MAX" not in os.environ:
            mallopt(_M_ARENA_MAX, _ARENAS)

    def resident(self) -> int:
        """Read ``/proc/self/statm``: about a microsecond."""
        if self._statm is None:
            return 0
        return int(os.pread(self._statm, 128, 0).split()[1]) * self._page

    def trim(self) -> None:
        """Call ``malloc_trim(0)``, which returns the free pages of every arena, not only those at its end."""
        if self._trim is not None:
            self._trim(0)

    def collect(self) -> None:
        """Free cycles, then trim."""
        gc.collect()
        self.trim()


def total_memory(root: Path = Path("/")) -> int:
    """Return the memory that this process may use, in bytes: the machine's, or less if a cgroup (v1, v2) limits it."""
    limits = [_meminfo(root), *_cgroup_limits(root)]
    return min(limit for limit in limits if limit > 0)


def _meminfo(root: Path) -> int:
    for line in (root / "proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0


def _cgroup_limits(root: Path) -> Iterator[int]:
    """Yield the limit of each group around this process; in a container the outer ones are not visible."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            mount, name = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            mount, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        inner = PurePosixPath(path.lstrip("/"))
        for group in (inner, *inner.parents):
            limit = _read_limit(mount / group / name)
            if limit:
                yield limit


def _read_limit(path: Path) -> int:
    try:
        text = path.read_text().strip()
    except OSError:
        return 0
    return int(text) if text.isdigit() else 0
