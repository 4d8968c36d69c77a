"""The schedule of attempts: exponential, with jitter, bounded in time."""

from __future__ import annotations

import random

from untrace_pipeline.delivery.config import RetryConfig

__all__ = ["LONGEST_WISH_SECONDS", "Backoff"]

LONGEST_WISH_SECONDS = 86400.0
"""A destination that wants to be left alone for longer than a day is asked again after one."""


class Backoff:
    """The waits of one request. All times are seconds of one clock."""

    __slots__ = ("_config", "_deadline", "_interval", "_random")

    def __init__(self, config: RetryConfig, started: float, rng: random.Random) -> None:
        self._config = config
        self._interval = config.initial_interval
        self._deadline = started + config.max_elapsed_time if config.max_elapsed_time else float("inf")
        self._random = rng

    def next(self, now: float, wish: float | None = None) -> float | None:
        """Return how long to wait, or ``None`` to give up because the next attempt would come too late.

        ``wish`` is what the destination asked for (RetryInfo, Retry-After): the longer wait wins.
        """
        config = self._config
        if not config.enabled:
            return None
        spread = config.randomization_factor * self._interval
        delay = self._random.uniform(self._interval - spread, self._interval + spread)
        self._interval = min(self._interval * config.multiplier, config.max_interval)
        delay = max(delay, min(wish or 0.0, LONGEST_WISH_SECONDS))
        return delay if now + delay <= self._deadline else None
