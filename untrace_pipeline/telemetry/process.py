"""Metrics of the process itself: uptime, CPU, memory, and how late the event loop is."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from untrace_pipeline.telemetry.metrics import Metrics

__all__ = ["ProcessMetrics", "seconds_since_start"]

LAG_INTERVAL = 0.5
"""Seconds between two measurements: often enough to see a stall, too seldom to cost anything."""

_IMPORTED = time.monotonic()


def seconds_since_start() -> float:
    """Return how long the process has been running; Python's own start included where the system tells."""
    try:
        fields = Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return time.clock_gettime(time.CLOCK_BOOTTIME) - started
    except (OSError, AttributeError, ValueError, IndexError):
        return time.monotonic() - _IMPORTED


def resident_bytes() -> int:
    """Return the resident memory of the process."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, AttributeError):
        import resource  # noqa: PLC0415  not on every platform

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


class ProcessMetrics:
    """Brings the process metrics up to date at each scrape, and measures the event loop in between."""

    def __init__(self, metrics: Metrics) -> None:
        meter = metrics.meter()
        self._uptime = meter.counter("process_uptime")
        self._cpu = meter.counter("process_cpu_seconds")
        self._rss = meter.gauge("process_memory_rss")
        self._lag = meter.histogram("event_loop_lag_seconds")
        self._max_lag_gauge = meter.gauge("event_loop_lag_max_seconds")
        self._max_lag = 0.0
        metrics.before_scrape(self.update)

    def update(self) -> None:
        """Read uptime, CPU time and memory; called before each scrape."""
        self._uptime.value = seconds_since_start()
        self._cpu.value = time.process_time()
        self._rss.set(resident_bytes())
        self._max_lag_gauge.set(self._max_lag)
        self._max_lag = 0.0

    async def watch_loop(self) -> None:
        """Measure, until cancelled, how late the event loop wakes a timer."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_INTERVAL
            await asyncio.sleep(LAG_INTERVAL)
            lag = max(0.0, loop.time() - due)
            self._lag.record(lag)
            self._max_lag = max(self._max_lag, lag)
