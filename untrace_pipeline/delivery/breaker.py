"""The circuit breaker of one destination: closed, open, half-open. Pure but for waiting: it is given the time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from untrace_pipeline.delivery.config import CircuitConfig

__all__ = ["Breaker", "Circuit"]


class Circuit(IntEnum):
    """State of a breaker; the numbers are the values of the metric ``exporter_circuit_state``."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


SLICES = 10
"""Of the window: attempts are counted per slice, so that it costs the same however many there are."""


@dataclass(slots=True)
class _Slice:
    end: float
    attempts: int = 0
    failures: int = 0


class Breaker:
    """Says when an attempt may be made, and learns from how it ended.

    ``changed`` is told each new state with a sentence for people. All times are seconds of one clock.
    """

    def __init__(self, config: CircuitConfig, changed: Callable[[Circuit, str], None]) -> None:
        self._config = config
        self._changed = changed
        self._slices: deque[_Slice] = deque()
        self._slice_seconds = config.window / SLICES
        self._probes = 0
        self._successes = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._ended = False
        self.state = Circuit.CLOSED
        self.opens_at = 0.0
        """When the next probe may be made, while it is open."""

    async def permit(self) -> bool:
        """Wait until an attempt may be made; return whether it is a probe. Every permit ends with :meth:`record`."""
        while self.state is not Circuit.CLOSED:
            if self.state is Circuit.HALF_OPEN and self._probes < self._config.probes:
                self._probes += 1
                return True
            await self._wait()
        return False

    def spares(self) -> bool:
        """Return whether another request would only wait.

        A half-open circuit needs some to ask with: without any under way or waiting it would stay so for ever.
        """
        if self.state is Circuit.HALF_OPEN:
            return self._probes >= self._config.probes or bool(self._waiters)
        return self.state is Circuit.OPEN

    def record(self, now: float, *, failed: bool | None, probe: bool, wish: float = 0.0) -> None:
        """Learn how a permitted attempt ended; ``failed`` is ``None`` where it says nothing about the destination.

        ``wish`` is how long the destination wants to be left alone.
        """
        if not self._config.enabled or self._ended:
            return
        if probe:
            self._judge_probe(now, failed=failed, wish=wish)
        elif self.state is Circuit.CLOSED and failed is not None:
            self._count(now, failed=failed)
            if failed:
                attempts, failures = self._sums()
                if attempts >= self._config.min_requests and failures >= self._config.failure_ratio * attempts:
                    self._open(now, wish, f"{failures} of the last {attempts} requests failed")

    def close(self) -> None:
        """Let everybody through from now on, for the end: whoever waits makes its last attempt."""
        self._ended = True
        self.state = Circuit.CLOSED
        if self._timer is not None:
            self._timer.cancel()
        self._wake(len(self._waiters))

    def _count(self, now: float, *, failed: bool) -> None:
        slices = self._slices
        if not slices or now >= slices[-1].end:
            while slices and slices[0].end <= now - self._config.window + self._slice_seconds:
                slices.popleft()
            slices.append(_Slice(now + self._slice_seconds))
        slices[-1].attempts += 1
        slices[-1].failures += failed

    def _sums(self) -> tuple[int, int]:
        return sum(one.attempts for one in self._slices), sum(one.failures for one in self._slices)

    def _judge_probe(self, now: float, *, failed: bool | None, wish: float) -> None:
        self._probes -= 1
        if self.state is not Circuit.HALF_OPEN:
            return
        if failed:
            self._open(now, wish, "a probe failed")
            return
        self._successes += failed is False
        if self._successes >= self._config.probes:
            self._slices.clear()
            self._become(Circuit.CLOSED, "the probe succeeded")
            self._wake(len(self._waiters))
        else:
            self._wake(1)

    def _open(self, now: float, wish: float, why: str) -> None:
        seconds = max(self._config.open_duration, wish)
        self.opens_at = now + seconds
        self._timer = asyncio.get_running_loop().call_later(seconds, self._half_open)
        self._become(Circuit.OPEN, f"{why}; no requests for {seconds:g} s")

    def _half_open(self) -> None:
        self._successes = 0
        self._become(Circuit.HALF_OPEN, "probed with the next request")
        self._wake(self._config.probes)

    def _become(self, state: Circuit, why: str) -> None:
        self.state = state
        self._changed(state, why)

    async def _wait(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._wake(1)  # it had the turn, and passes it on
            raise

    def _wake(self, number: int) -> None:
        while self._waiters and number > 0:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                number -= 1
