"""A running receiver for tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from untrace_pipeline.api import Kind, ReceiverFactory
from untrace_pipeline.data import Signal
from untrace_pipeline.testing import RecordingMeter, Sink, StubHost, make_settings

__all__ = ["Receiving", "receiving"]


class Receiving:
    """A receiver between ``start`` and ``shutdown``, and what it hands on."""

    def __init__(
        self,
        factory: ReceiverFactory[Any],
        options: dict[str, Any],
        signals: Iterable[Signal],
        sink: Any,
        extensions: Mapping[str, Any] | None = None,
    ) -> None:
        self.sink = sink
        self.meter = RecordingMeter()
        self.host = StubHost(extensions)
        settings = make_settings(Kind.RECEIVER, f"{factory.type_name}/test", signals=signals, meter=self.meter)
        self.receiver: Any = factory.create(factory.config.model_validate(options), settings, sink)

    async def until(self, holds: Callable[[], object], timeout: float = 20.0) -> None:
        async with asyncio.timeout(timeout):
            while not holds():
                await asyncio.sleep(0.005)


@asynccontextmanager
async def receiving(
    factory: ReceiverFactory[Any],
    options: dict[str, Any],
    *,
    signals: Iterable[Signal] = tuple(Signal),
    sink: Any = None,
    extensions: Mapping[str, Any] | None = None,
) -> AsyncIterator[Receiving]:
    """Start a receiver, stop it at the end, twice, and check that it leaves no task behind."""
    made = Receiving(factory, options, signals, sink or Sink(), extensions)
    await made.receiver.start(made.host)
    try:
        yield made
    finally:
        async with asyncio.timeout(30):
            await made.receiver.shutdown()
            await made.receiver.shutdown()
    assert all(task.done() for task in made.host.tasks)
