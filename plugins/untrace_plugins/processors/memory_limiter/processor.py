"""Decides whether data may enter, from resident memory and what was admitted since it was measured."""

from __future__ import annotations

import asyncio
import math

from untrace_pipeline.api import Consumer, Host, RetryableError, Settings, StartError, Status
from untrace_pipeline.data import Batch
from untrace_pipeline.machine import total_memory
from untrace_plugins.processors.memory_limiter.config import MemoryLimiterConfig
from untrace_plugins.processors.memory_limiter.sampler import Sampler

__all__ = ["MemoryLimiter"]

_MIB = 1024 * 1024
_GROWTH = 3
"""Bytes of memory that one byte of a request may take: body, decompressed request, decoded form."""
_EFFECTIVE = 0.95
"""A collection that leaves more than this part of the memory brought nothing back."""
_PATIENCE = 10.0
"""Seconds of refusing with nothing in flight after which one small request may pass, again and again: what is still
resident then is held by queues or is the process itself, and refusing for ever would not bring it back."""
_PROBE_BYTES = _MIB


class MemoryLimiter:
    """Refuses with :class:`RetryableError` above the soft limit; implements ``Admission``."""

    def __init__(
        self, config: MemoryLimiterConfig, settings: Settings, next: Consumer, sampler: Sampler | None = None
    ) -> None:
        self._config = config
        self._id = settings.id
        self._logger = settings.logger
        self._next = next
        self._sampler = sampler
        self._host: Host | None = None
        self.interval = config.check_interval
        self.limited = False
        self._soft = self._hard = math.inf
        self._headroom = math.inf
        """Bytes of requests that may still come before memory must be measured again."""
        self._in_flight = 0
        self._next_probe = 0.0
        self._collected_at = -math.inf
        self._last_resident = 0
        self._backoff = {"soft": 0.0, "hard": 0.0}
        meter = settings.meter
        meter.gauge("processor_memory_limiter_in_flight_bytes").observe_with(lambda: self._in_flight)
        meter.gauge("processor_memory_limiter_limited").observe_with(lambda: float(self.limited))
        self._refused = meter.counter("processor_memory_limiter_refused_requests")
        self._collections = meter.counter("processor_memory_limiter_forced_collections")

    async def start(self, host: Host) -> None:
        """Find the limits and begin to measure. Raises :class:`StartError` if the machine's memory is unknown."""
        self._host = host
        self._find_limits(host.workers.count)
        self._sampler = self._sampler or Sampler.shared()
        resident = self._sampler.resident()
        self._headroom = (self._soft - resident) / _GROWTH
        self._sampler.watch(self)
        if resident >= self._soft:
            self._logger.warning(
                "processor %s: the limit leaves no room: the daemon already uses %d MiB, data is refused above %d MiB",
                self._id,
                resident // _MIB,
                self._soft // _MIB,
            )

    async def shutdown(self) -> None:
        """Stop measuring."""
        if self._sampler is not None:
            self._sampler.unwatch(self)

    def admit(self, byte_size: int) -> None:
        """Raise :class:`RetryableError` if a request of that size would be refused now."""
        if self.limited or byte_size > self._headroom:
            self._examine(byte_size)

    async def consume(self, batch: Batch) -> None:
        """Pass the batch on, or refuse it. Raises :class:`RetryableError` above the soft limit."""
        size = batch.byte_size
        if self.limited or size > self._headroom:
            self._examine(size)
            if self.limited:
                self._next_probe = asyncio.get_running_loop().time() + _PATIENCE
        self._headroom -= size
        self._in_flight += size
        try:
            await self._next.consume(batch)
        finally:
            self._in_flight -= size

    def observe(self, now: float) -> None:
        """Measure, reclaim if memory is short, and enter or leave the limited state. Called by the sampler."""
        assert self._sampler is not None
        resident = self._sampler.resident()
        if resident >= self._soft:
            resident = self._sampler.trim()
        self._ease_backoff(resident)
        if resident >= self._soft:
            resident = self._collect(resident, now)
        self._headroom = (self._soft - resident) / _GROWTH
        if (resident >= self._soft) != self.limited:
            self._turn(resident, now)

    # -------------------------------------------------------------- internal

    def _find_limits(self, workers: int) -> None:
        """Read the limits; of the memory that percentages are of, each worker has an equal part."""
        config = self._config
        if config.limit_mib:
            limit, spike = config.limit_mib * _MIB, config.spike_limit_mib * _MIB
        else:
            try:
                total = total_memory() // workers
            except (OSError, ValueError) as error:
                msg = f"processor {self._id}: memory of this machine is unknown, use limit_mib: {error}"
                raise StartError(msg) from error
            limit, spike = total * config.limit_percentage // 100, total * config.spike_limit_percentage // 100
        self._hard = limit
        self._soft = limit - (spike or limit // 5)
        self._logger.debug("refusing data above %d MiB, limit %d MiB", self._soft // _MIB, limit // _MIB)

    def _examine(self, byte_size: int) -> None:
        """The careful look when the quick one found memory short; returns if the request may pass."""
        assert self._sampler is not None
        now = asyncio.get_running_loop().time()
        if not self.limited:
            resident = self._sampler.resident()
            self._headroom = (self._soft - resident) / _GROWTH
            if resident < self._soft and (byte_size <= self._headroom or not self._in_flight):
                return
            self._sampler.hurry()
            if resident >= self._soft:
                self._turn(resident, now)
        elif not self._in_flight and byte_size <= _PROBE_BYTES and now >= self._next_probe:
            return
        self._refused.add()
        raise RetryableError(
            f"processor {self._id}: data refused due to high memory usage", retry_after=max(1.0, self.interval)
        )

    def _turn(self, resident: int, now: float) -> None:
        """Enter or leave the limited state; say so once."""
        assert self._host is not None
        self.limited = resident >= self._soft
        if not self.limited:
            self._host.report(Status.OK)
            self._logger.info("memory is back at %d MiB, accepting data", resident // _MIB)
            return
        self._next_probe = now + _PATIENCE
        message = (
            f"memory usage of {resident // _MIB} MiB is above the soft limit of {self._soft // _MIB} MiB, "
            f"{self._in_flight / _MIB:.1f} MiB in flight: refusing data"
        )
        self._host.report(Status.RECOVERABLE_ERROR, message)
        self._logger.warning("%s", message)

    # ------------------------------------------------------------ collecting

    def _collect(self, resident: int, now: float) -> int:
        """Force a collection if the last one is long enough ago; return what is resident then."""
        assert self._sampler is not None
        state = "hard" if resident >= self._hard else "soft"
        if now - self._collected_at <= max(self._least(state), self._backoff[state]):
            return resident
        self._collections.add()
        self._collected_at = now
        after = self._sampler.collect()
        if not self._ease_backoff(after):
            for each in self._backoff:
                self._backoff[each] = self._lengthened(each)
        return after

    def _ease_backoff(self, resident: int) -> bool:
        """Forget the backoff when memory came down, whatever the reason; return whether it did."""
        came_down = resident < self._soft or resident <= self._last_resident * _EFFECTIVE
        self._last_resident = resident
        if came_down:
            self._backoff = dict.fromkeys(self._backoff, 0.0)
        return came_down

    def _lengthened(self, state: str) -> float:
        least = self._least(state)
        most: float = getattr(self._config, f"max_gc_interval_when_{state}_limited")
        if most == 0:
            return least
        return min(max(self._backoff[state], least, self.interval) * 2, max(most, least))

    def _least(self, state: str) -> float:
        least: float = getattr(self._config, f"min_gc_interval_when_{state}_limited")
        return least
