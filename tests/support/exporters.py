"""A running exporter for tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from untrace_pipeline.api import ExporterFactory, Kind
from untrace_pipeline.data import Signal
from untrace_pipeline.testing import RecordingMeter, StubHost, make_settings

QUICK_RETRY = {"initial_interval": "20ms", "max_interval": "100ms"}
"""Retries of tests against real servers, which cannot use a clock that jumps."""


class Running:
    """An exporter between ``start`` and ``shutdown``."""

    def __init__(
        self, factory: ExporterFactory[Any], options: dict[str, Any], signals: Iterable[Signal], **extensions: Any
    ) -> None:
        self.meter = RecordingMeter()
        self.host = StubHost(extensions)
        settings = make_settings(Kind.EXPORTER, f"{factory.type_name}/test", signals=signals, meter=self.meter)
        self.exporter: Any = factory.create(factory.config.model_validate(options), settings)

    async def consume(self, batch: Any) -> None:
        await self.exporter.consume(batch)

    async def until_idle(self, timeout: float = 10.0) -> None:
        await self.until(lambda: not self.exporter.pending_items(), timeout)

    async def until(self, holds: Callable[[], bool], timeout: float = 10.0) -> None:
        async with asyncio.timeout(timeout):
            while not holds():
                await asyncio.sleep(0.002)

    @property
    def dropped(self) -> dict[str, int]:
        reasons = ("queue_full", "expired", "permanent", "too_large", "shutdown")
        counts = {reason: int(self.meter.value("dropped_items", reason=reason)) for reason in reasons}
        return {reason: count for reason, count in counts.items() if count}


class NoGraves:
    """An extension that keeps dead letters, for tests in which there are none."""

    async def start(self, host: Any) -> None: ...

    async def shutdown(self) -> None: ...

    def dead_letters(self) -> object:
        return self


@asynccontextmanager
async def running(
    factory: ExporterFactory[Any],
    options: dict[str, Any],
    *,
    signals: Iterable[Signal] = tuple(Signal),
    **extensions: Any,
) -> AsyncIterator[Running]:
    """Start an exporter, stop it at the end, and check that it leaves no task behind."""
    made = Running(factory, options, signals, **extensions)
    await made.exporter.start(made.host)
    try:
        yield made
    finally:
        async with asyncio.timeout(10):
            await made.exporter.shutdown()
    assert all(task.done() for task in made.host.tasks)
