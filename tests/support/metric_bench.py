"""A connector that makes metrics, with a sink behind it, on a clock that jumps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tests.support.metric_points import Point, last, points_of
from untrace_pipeline.api import ConnectorFactory, Kind, PipelineId, Workers
from untrace_pipeline.testing import RecordingMeter, Sink, StubHost, make_settings, run_with_fake_clock

__all__ = ["Bench", "run"]

METRICS = PipelineId.parse("metrics")


class Bench:
    """A connector between a test and a sink."""

    def __init__(
        self, factory: ConnectorFactory[Any], sink: Sink | None = None, workers: int = 1, **options: Any
    ) -> None:
        self.meter = RecordingMeter()
        self.sink = sink or Sink()
        self.host = StubHost(workers=Workers(0, workers))
        settings = make_settings(Kind.CONNECTOR, factory.type_name, meter=self.meter)
        self.connector: Any = factory.create(factory.config.model_validate(options), settings, {METRICS: self.sink})

    def points(self) -> list[Point]:
        """Return all points that came out."""
        return points_of(self.sink.batches)

    def last(self, metric: str) -> list[Point]:
        """Return the points of a metric in the last flush."""
        return last(self.sink.batches).get(metric, [])


def run(bench: Bench, steps: Callable[[Bench], Awaitable[None]]) -> Bench:
    """Run steps between start and shutdown."""

    async def whole() -> None:
        await bench.connector.start(bench.host)
        await steps(bench)
        await bench.connector.shutdown()
        await bench.connector.shutdown()

    run_with_fake_clock(whole())
    return bench
