"""Metrics of the process, and the lag of the event loop."""

from __future__ import annotations

import asyncio

from untrace_pipeline.telemetry.metrics import Metrics
from untrace_pipeline.telemetry.process import LAG_INTERVAL, ProcessMetrics, resident_bytes, seconds_since_start
from untrace_pipeline.testing import run_with_fake_clock


def test_process_metrics_are_read_at_each_scrape() -> None:
    """CPU time, memory and uptime are those of this process."""
    metrics = Metrics()
    ProcessMetrics(metrics)
    values = {spec.name: samples[0].value for spec, samples in metrics.snapshot()}
    assert 0 < values["process_cpu_seconds"] < 3600
    assert 0 < values["process_uptime"] <= seconds_since_start()
    assert abs(values["process_memory_rss"] - resident_bytes()) < 64 * 2**20


def test_lag_is_how_late_a_timer_fires() -> None:
    """A loop on time has none; one that was blocked shows by how much, until the next scrape."""

    async def main() -> tuple[float, float, list[int]]:
        metrics = Metrics()
        process = ProcessMetrics(metrics)
        watch = asyncio.create_task(process.watch_loop())
        loop = asyncio.get_running_loop()
        await asyncio.sleep(LAG_INTERVAL * 2.5)
        loop._jumping.now += 1.0  # type: ignore[attr-defined]  the loop is blocked
        await asyncio.sleep(LAG_INTERVAL)
        watch.cancel()
        first = {spec.name: samples for spec, samples in metrics.snapshot()}
        second = {spec.name: samples for spec, samples in metrics.snapshot()}
        lags = first["event_loop_lag_seconds"][0]
        return (
            first["event_loop_lag_max_seconds"][0].value,
            second["event_loop_lag_max_seconds"][0].value,
            list(lags.counts),
        )

    greatest, afterwards, counts = run_with_fake_clock(main())
    assert 0.5 <= greatest <= 1.0
    assert afterwards == 0
    assert counts[0] >= 2
    assert sum(counts) >= 3
