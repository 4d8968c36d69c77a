"""One sampler per event loop: measures once for all limiters, and reclaims once for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from functools import cache
from typing import Protocol
from weakref import WeakKeyDictionary

from untrace_plugins.processors.memory_limiter.memory import Memory, ProcessMemory

__all__ = ["Sampler", "Watcher"]

_PRESSED_INTERVAL = 0.25
"""Seconds between measurements while somebody is limited: recovery is noticed soon, and trimming stays cheap."""


class Watcher(Protocol):
    """A limiter as the sampler sees it."""

    interval: float
    limited: bool

    def observe(self, now: float) -> None:
        """Decide anew; ``now`` is loop time in seconds."""


class Sampler:
    """Wakes its watchers; the shortest interval of all counts."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._watchers: list[Watcher] = []
        self._timer: asyncio.TimerHandle | None = None
        self._ticked = 0.0
        self._trimmed = False
        self._collected = False

    @classmethod
    def shared(cls) -> Sampler:
        """Return the sampler of the running event loop."""
        loop = asyncio.get_running_loop()
        if loop not in _SHARED:
            _SHARED[loop] = cls(_process_memory())
        return _SHARED[loop]

    def watch(self, watcher: Watcher) -> None:
        """Begin to wake a limiter."""
        self._watchers.append(watcher)
        self._arm(self._interval())

    def unwatch(self, watcher: Watcher) -> None:
        """Stop waking it; the timer ends with the last one."""
        if watcher in self._watchers:
            self._watchers.remove(watcher)
        if not self._watchers and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def resident(self) -> int:
        """Measure now, in bytes."""
        return self._memory.resident()

    def trim(self) -> int:
        """Give free pages back, once per tick, and return what is resident then."""
        if not self._trimmed:
            self._trimmed = True
            self._memory.trim()
        return self._memory.resident()

    def collect(self) -> int:
        """Collect garbage and trim, once per tick, and return what is resident then."""
        if not self._collected:
            self._collected = self._trimmed = True
            self._memory.collect()
        return self._memory.resident()

    def hurry(self) -> None:
        """Tick as soon as the pace under pressure allows: a limiter found memory short between two ticks."""
        now = asyncio.get_running_loop().time()
        self._arm(max(0.0, self._ticked + _PRESSED_INTERVAL - now))

    def _arm(self, delay: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(delay, self._tick)

    def _interval(self) -> float:
        interval = min(watcher.interval for watcher in self._watchers)
        return min(interval, _PRESSED_INTERVAL) if any(w.limited for w in self._watchers) else interval

    def _tick(self) -> None:
        self._ticked = asyncio.get_running_loop().time()
        self._trimmed = self._collected = False
        for watcher in list(self._watchers):
            watcher.observe(self._ticked)
        if self._watchers:
            self._arm(self._interval())


_process_memory = cache(ProcessMemory)
_SHARED: MutableMapping[asyncio.AbstractEventLoop, Sampler] = WeakKeyDictionary()
