"""What is counted, what is told when, and what becomes of metrics that are refused. Sameness: integration tests."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.metric_bench import Bench, run
from tests.support.metric_points import SpanSketch, span_batch
from untrace_pipeline.api import ConsumeError, PermanentError, RetryableError
from untrace_pipeline.testing import FailingSink, Sink
from untrace_plugins.connectors.span_metrics import FACTORY

DELTA = "AGGREGATION_TEMPORALITY_DELTA"


def make(sink: Sink | None = None, workers: int = 1, **options: Any) -> Bench:
    return Bench(FACTORY, sink, workers, **options)


def counts(bench: Bench) -> list[tuple[str, float]]:
    """Return names of spans and counts of the last flush."""
    points = bench.last("traces.span.metrics.calls")
    return sorted((str(point.attributes.get("span.name")), point.value) for point in points)


def test_tells_zero_first_and_then_what_was_counted() -> None:
    """The first flush of a series says zero, the next one the count; both have the same start."""

    async def steps(bench: Bench) -> None:
        await bench.connector.consume(span_batch(SpanSketch(), SpanSketch()))
        await asyncio.sleep(121)

    bench = run(make(), steps)
    calls = [point for point in bench.points() if point.metric.endswith("calls")]
    assert [point.value for point in calls] == [0, 2, 2]
    assert len({point.data.start_time_unix_nano for point in calls}) == 1
    assert not bench.meter.value("connector_lost_points")


def test_last_flush_tells_all() -> None:
    """What was counted since the last flush is told at shutdown, and not as zero."""

    async def steps(bench: Bench) -> None:
        await bench.connector.consume(span_batch(SpanSketch("a"), SpanSketch("b"), SpanSketch("a")))

    assert counts(run(make(), steps)) == [("a", 2), ("b", 1)]


def test_delta_reaches_from_flush_to_flush() -> None:
    """Each point begins where the one before it ended, and counts only what came since."""

    async def steps(bench: Bench) -> None:
        for count in (1, 2):
            await bench.connector.consume(span_batch(*[SpanSketch()] * count))
            await asyncio.sleep(61)

    bench = run(make(aggregation_temporality=DELTA), steps)
    first, second = (point for point in bench.points() if point.metric.endswith("calls"))
    assert (first.value, second.value) == (1, 2)
    assert second.data.start_time_unix_nano == first.data.time_unix_nano


def test_refused_delta_waits() -> None:
    """Delta metrics that are refused for now are sent with the next flush, and nothing is lost."""

    async def steps(bench: Bench) -> None:
        for _ in range(3):
            await bench.connector.consume(span_batch(SpanSketch()))
            await asyncio.sleep(61)

    bench = run(make(FailingSink([RetryableError("later")] * 2), aggregation_temporality=DELTA), steps)
    assert [point.value for point in bench.points() if point.metric.endswith("calls")] == [1, 1, 1]
    assert bench.meter.value("connector_lost_points") == 0


@pytest.mark.parametrize("error", [PermanentError("never"), RetryableError("later")])
def test_delta_refused_for_good_is_counted(error: ConsumeError) -> None:
    """What is never taken is counted point by point."""

    async def steps(bench: Bench) -> None:
        await bench.connector.consume(span_batch(SpanSketch()))
        await asyncio.sleep(61)

    bench = run(make(FailingSink(error), aggregation_temporality=DELTA), steps)
    assert bench.meter.value("connector_lost_points") == 2


def test_refused_cumulative_is_told_anew() -> None:
    """Nothing is lost where the next flush says everything."""

    async def steps(bench: Bench) -> None:
        await bench.connector.consume(span_batch(SpanSketch()))
        await asyncio.sleep(130)

    bench = run(make(FailingSink([RetryableError("later")])), steps)
    assert counts(bench) == [("chat", 1)]
    assert bench.meter.value("connector_lost_points") == 0


def test_series_and_resources_expire() -> None:
    """What was not seen for the time is not told any more, and begins anew when it comes again."""

    async def steps(bench: Bench) -> None:
        await bench.connector.consume(span_batch(SpanSketch("old"), SpanSketch("kept")))
        for _ in range(4):
            await asyncio.sleep(30)
            await bench.connector.consume(span_batch(SpanSketch("kept")))

    bench = run(make(series_expiration="50s", metrics_flush_interval="20s"), steps)
    assert counts(bench) == [("kept", 5)]

    async def silent(bench: Bench) -> None:
        await bench.connector.consume(span_batch(SpanSketch()))
        await asyncio.sleep(200)

    bench = run(make(metrics_expiration="50s", metrics_flush_interval="20s"), silent)
    assert 2 <= len([point for point in bench.points() if point.metric.endswith("calls")]) <= 4


def test_evicted_resource_is_told_once_more() -> None:
    """A resource that has to go is told with what it counted, then forgotten."""

    async def steps(bench: Bench) -> None:
        for name in ("a", "b"):
            await bench.connector.consume(span_batch(SpanSketch(name, resource={"service.name": name})))
        await asyncio.sleep(61)

    bench = run(make(resource_metrics_cache_size=1), steps)
    first = [(p.resource["service.name"], p.value) for p in bench.points() if p.metric.endswith("calls")]
    assert first == [("b", 0), ("a", 1), ("b", 1)]


def test_overflow_counts_what_has_no_series() -> None:
    """Beyond the limit one series counts the rest, and so does the daemon's own counter."""

    async def steps(bench: Bench) -> None:
        await bench.connector.consume(span_batch(*[SpanSketch(f"s{number}") for number in range(10)]))

    bench = run(make(aggregation_cardinality_limit=3), steps)
    points = bench.last("traces.span.metrics.calls")
    overflow = [point for point in points if "otel.metric.overflow" in point.attributes]
    assert [(dict(point.attributes), point.value) for point in overflow] == [({"otel.metric.overflow": True}, 7)]
    assert len(points) == 4
    assert bench.meter.value("connector_overflow_spans") == 7


def test_spans_without_service_are_skipped_and_counted() -> None:
    """A resource without a name has no metrics."""

    async def steps(bench: Bench) -> None:
        await bench.connector.consume(span_batch(SpanSketch("a", resource={}), SpanSketch("b")))

    bench = run(make(), steps)
    assert counts(bench) == [("b", 1)]
    assert bench.meter.value("connector_skipped_spans", reason="no_service_name") == 1


def test_several_workers_are_told_apart() -> None:
    """The instance stays a dimension where several processes count, whatever the options exclude."""

    async def steps(bench: Bench) -> None:
        await bench.connector.consume(span_batch(SpanSketch()))

    excluded = {"exclude_dimensions": ["collector.instance.id"]}
    alone, many = (run(make(workers=count, **excluded), steps).points()[0].attributes for count in (1, 2))
    assert "collector.instance.id" not in alone
    assert "collector.instance.id" in many


def test_absurd_spans_are_counted() -> None:
    """Ten megabytes of name, a duration of centuries, one that ends before it starts, and values of all types."""
    long = "x" * 10_000_000
    odd: list[Any] = [1, 1.0, True, "1", [1, {"a": b"x"}], {"k": [None]}, b"\xff", float("nan"), None, long]

    async def steps(bench: Bench) -> None:
        await bench.connector.consume(
            span_batch(
                SpanSketch(long, seconds=1e9),
                SpanSketch(long + "y", seconds=-5),
                SpanSketch(state="ot=th:" + "f" * 14),
                *[SpanSketch("odd", attributes={"d": value}) for value in odd],
            )
        )

    bench = run(make(dimensions=[{"name": "d"}], histogram={"exponential": {}}), steps)
    calls = dict(counts(bench))
    assert calls["x" * 4096] == 2
    assert calls["chat"] == 2**56
    assert sum(len(str(point.attributes)) for point in bench.points()) < 100_000
    texts = {repr(p.attributes.get("d"))[:10] for p in bench.points() if p.attributes["span.name"] == "odd"}
    assert {"1", "True"} <= texts


async def test_empty_batch_is_no_work() -> None:
    """An empty request makes no series."""
    bench = make()
    await bench.connector.start(bench.host)
    await bench.connector.consume(span_batch())
    await bench.connector.shutdown()
    assert bench.sink.batches == []
