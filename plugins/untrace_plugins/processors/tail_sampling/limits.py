"""Limits that traces draw on: token buckets, and rates that several policies share."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["RateShare", "TokenBucket"]

_NANOSECOND = 1e-9


class TokenBucket:
    """Fills continuously, and begins full: ``golang.org/x/time/rate``."""

    def __init__(self, rate: int, burst: int, clock: Callable[[], float]) -> None:
        """``rate`` per second, at most ``burst``; ``clock`` tells seconds."""
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)
        self._clock = clock
        self._last = clock()

    def take(self, amount: int) -> bool:
        """Take tokens, if there are as many. One that comes within a nanosecond is there."""
        now = max(self._clock(), self._last)
        tokens = min(self._tokens + (now - self._last) * self._rate, self._burst) - amount
        if amount > self._burst or (tokens < 0 and (not self._rate or -tokens / self._rate >= _NANOSECOND)):
            return False
        self._tokens, self._last = tokens, now
        return True


class RateShare:
    """So much per calendar second."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._second = 0
        self._taken = 0

    def take(self, amount: int, second: int) -> bool:
        """Take some of this second's."""
        if second != self._second:
            self._second, self._taken = second, 0
        if self._taken + amount > self._limit:
            return False
        self._taken += amount
        return True
