"""The memory of this process, and how it is given back."""

from __future__ import annotations

import ctypes
import gc
import os
from typing import Protocol

__all__ = ["Memory", "ProcessMemory"]

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
