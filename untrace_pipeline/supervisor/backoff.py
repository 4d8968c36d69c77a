"""How long to wait before a process that ended is started again."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Backoff"]

FIRST, LONGEST = 1.0, 30.0
"""Seconds before the first restart, and at most. Each wait is twice the one before."""
RESET_AFTER = 60.0
"""A process that was ready for so many seconds did not die of how it started: the next wait is the first again."""


class Backoff:
    """Waits of one place among the workers; ``clock`` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._next = FIRST
        self._ready_since: float | None = None

    def ready(self) -> None:
        """Note that the process is ready."""
        self._ready_since = self._clock()

    def ended(self) -> float:
        """Note that the process has ended, and return how many seconds to wait."""
        if self._ready_since is not None and self._clock() - self._ready_since >= RESET_AFTER:
            self._next = FIRST
        self._ready_since = None
        wait, self._next = self._next, min(self._next * 2, LONGEST)
        return wait
