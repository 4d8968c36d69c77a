"""How often a destination may be asked: our own budget, and what it said itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from untrace_pipeline.delivery.retry import LONGEST_WISH_SECONDS
from untrace_pipeline.errors import Code, ConsumeError, RetryableError
from untrace_pipeline.net.rate_limits import exhausted_seconds

__all__ = ["Pace"]

MINUTE_SECONDS = 60.0


class Pace:
    """A bucket that fills evenly, with a minute's requests at most, and a time before which nothing is sent."""

    def __init__(self, requests_per_minute: int | None, now: Callable[[], float] = time.monotonic) -> None:
        self._per_second = (requests_per_minute or 0) / MINUTE_SECONDS
        self._most = max(1.0, float(requests_per_minute or 0))
        self._left = self._most
        self._now = now
        self._filled_at = now()
        self._closed_until = 0.0

    def share(self, count: int) -> None:
        """Take a part of the budget only: as many processes send to the same destination."""
        self._per_second /= count
        self._most = self._left = max(1.0, self._most / count)

    def wait_seconds(self) -> float:
        """Return how long to wait, or take a request from the bucket and return 0."""
        now = self._now()
        if now < self._closed_until:
            return self._closed_until - now
        if not self._per_second:
            return 0.0
        self._left = min(self._most, self._left + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        if self._left < 1:
            return (1 - self._left) / self._per_second
        self._left -= 1
        return 0.0

    def told(self, headers: Mapping[str, str]) -> None:
        """Learn from an answer that nothing is left for a while."""
        self._close(exhausted_seconds(headers))

    def refused(self, error: ConsumeError) -> None:
        """Learn from a refusal when to come again."""
        if isinstance(error, RetryableError) and error.code is Code.RESOURCE_EXHAUSTED:
            self._close(error.retry_after or 0.0)

    def _close(self, seconds: float) -> None:
        if seconds:
            self._closed_until = max(self._closed_until, self._now() + min(seconds, LONGEST_WISH_SECONDS))
