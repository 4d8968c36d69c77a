"""What the page shows, when, and to whom. Sameness with the Collector: integration tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.support.prometheus_text import ACCEPT, canonical_page
from untrace_pipeline.api import Kind, RetryableError
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.errors import DecodeError
from untrace_pipeline.testing import RecordingMeter, StubHost, make_settings
from untrace_pipeline.testing.generate import to_any_value
from untrace_plugins.exporters.prometheus import FACTORY
from untrace_plugins.exporters.prometheus.config import PrometheusConfig
from untrace_plugins.exporters.prometheus.exporter import PrometheusExporter
from untrace_plugins.exporters.prometheus.negotiation import Escaping, Form, Wish
from untrace_plugins.exporters.prometheus.protobuf import render_protobuf
from untrace_plugins.exporters.prometheus.store import Store
from untrace_plugins.exporters.prometheus.text import render_text
from untrace_plugins.prometheus.points import Histogram

DELTA, CUMULATIVE = 1, 2


def metric(name: str, kind: str = "sum", temporality: int = CUMULATIVE, **data: Any) -> Any:
    """Return a request with one metric without points, and the list of its points."""
    request = ExportMetricsServiceRequest()
    one = request.resource_metrics.add().scope_metrics.add().metrics.add(name=name)
    target = getattr(one, kind)
    if kind == "sum":
        target.is_monotonic = True
    if kind in {"sum", "histogram", "exponential_histogram"}:
        target.aggregation_temporality = temporality
    for key, value in data.items():
        setattr(target, key, value)
    return request, target.data_points


def number(name: str, value: float, start: int, end: int, temporality: int = CUMULATIVE, **attributes: Any) -> bytes:
    request, points = metric(name, temporality=temporality)
    point = points.add(as_double=value, start_time_unix_nano=start, time_unix_nano=end)
    for key, one in attributes.items():
        point.attributes.add(key=key, value=to_any_value(one))
    return request.SerializeToString()


def config(**options: Any) -> PrometheusConfig:
    return PrometheusConfig.model_validate({"endpoint": "127.0.0.1:0", "without_scope_info": True, **options})


def values(store: Store, now: float = 0.0) -> dict[str, float]:
    """Return what is shown, by name and labels."""
    return {
        f"{family.name}{dict(labels) or ''}": sample.point.value  # type: ignore[attr-defined]
        for family in store.families(now)
        for labels, sample in family.series.items()
    }


def taken(store: Store, requests: Iterable[bytes], now: float = 0.0) -> list[dict[str, int]]:
    return [{k: v for k, v in store.take(one, now).items() if v} for one in requests]


def test_deltas_add_up_and_retries_do_not() -> None:
    """Deltas become one growing sum, also over gaps; one that ends no later than the last was sent twice."""
    store = Store(config())
    steps = [(1, 0, 10), (2, 10, 20), (2, 10, 20), (4, 30, 40)]
    dropped = taken(store, [number("calls", value, start, end, DELTA) for value, start, end in steps])
    assert values(store) == {"calls_total": 7}
    assert dropped == [{}, {}, {"stale": 1}, {}]


def test_later_points_win() -> None:
    """A cumulative point that is older than what is shown is dropped."""
    store = Store(config())
    assert taken(store, [number("calls", 5, 0, 20), number("calls", 3, 0, 10)]) == [{}, {"stale": 1}]
    assert values(store) == {"calls_total": 5}


def test_what_is_not_told_expires() -> None:
    """After the time without points a series goes, and its family with it."""
    store = Store(config(metric_expiration="1m"))
    store.take(number("old", 1, 0, 1), 0.0)
    store.take(number("new", 1, 0, 1), 50.0)
    assert set(values(store, 61.0)) == {"new_total"}
    assert store.series_count == 1


def test_what_nobody_scrapes_does_not_pile_up() -> None:
    """Series go after their time whether anybody looks at the page or not."""
    store = Store(config(metric_expiration="1m"))
    for second in range(0, 600, 10):
        store.take(number("calls", 1, 0, 1, second=second), float(second))
    assert store.series_count <= 13


def test_a_series_that_ends() -> None:
    """The flag "no recorded value" takes a series away at once."""
    store = Store(config())
    store.take(number("calls", 1, 0, 1), 0.0)
    request, points = metric("calls")
    points.add(flags=1, time_unix_nano=2)
    store.take(request.SerializeToString(), 0.0)
    assert values(store) == {}


def test_what_cannot_be_shown_is_counted() -> None:
    """Each kind of point that Prometheus has no place for has its reason."""
    store = Store(config())
    gauge, points = metric("calls.total", "gauge")
    points.add(as_int=1)
    falling, points = metric("falling", temporality=DELTA, is_monotonic=False)
    points.add(as_int=1)
    none, points = metric("none", temporality=0)
    points.add(as_int=1)
    nameless, points = metric("...", "gauge")
    points.add(as_int=1)
    coarse, points = metric("coarse", "exponential_histogram")
    points.add(scale=-5)
    torn, points = metric("torn", "histogram")
    points.add(explicit_bounds=[1, 2], bucket_counts=[1])
    store.take(number("calls", 1, 0, 1), 0.0)
    requests = [one.SerializeToString() for one in (gauge, falling, none, nameless, coarse, torn)]
    reasons = ["type_conflict", "temporality", "temporality", "name", "scale", "malformed"]
    assert taken(store, requests) == [{reason: 1} for reason in reasons]


def test_labels_that_become_the_same_are_joined() -> None:
    """No value is lost; a constant label wins over an attribute."""
    store = Store(config(const_labels={"zone": "eu"}))
    store.take(number("calls", 1, 0, 1, **{"a.b": 1, "a_b": "x", "zone": "us", "é": 1}), 0.0)
    assert values(store) == {"calls_total{'a_b': '1;x', 'zone': 'eu'}": 1}


def test_delta_histograms() -> None:
    """Bucket by bucket; with other bounds they begin anew. Exponential ones meet at the coarser scale."""
    store = Store(config())
    for place, (bounds, counts) in enumerate([([1, 2], [1, 2, 3]), ([1, 2], [1, 0, 1]), ([5], [1, 1])]):
        request, points = metric("h", "histogram", DELTA)
        points.add(
            start_time_unix_nano=place,
            time_unix_nano=place + 1,
            count=sum(counts),
            sum=1,
            explicit_bounds=bounds,
            bucket_counts=counts,
        )
        store.take(request.SerializeToString(), 0.0)
        (family,) = store.families(0.0)
        (sample,) = family.series.values()
        assert isinstance(sample.point, Histogram)
        if place == 1:
            assert (sample.point.counts, sample.point.count, sample.point.sum) == ((2, 2, 4), 8, 2)
    assert (sample.point.bounds, sample.point.counts) == ((5,), (1, 1))
    for place, (scale, offset) in enumerate([(2, 4), (1, 2)]):
        request, points = metric("n", "exponential_histogram", DELTA)
        point = points.add(start_time_unix_nano=place, time_unix_nano=place + 1, count=2, scale=scale)
        point.positive.offset = offset
        point.positive.bucket_counts.extend([1, 1])
        store.take(request.SerializeToString(), 0.0)
    native = next(iter(store.families(0.0)[1].series.values())).point
    assert (native.scale, native.count, dict(native.positive)) == (1, 4, {2: 3, 3: 1})  # type: ignore[attr-defined]


def test_absurd_counts_are_shown() -> None:
    """Counts at the end of what OTLP can say, twice as large after two deltas, fail no page."""
    store = Store(config())
    for place in range(2):
        request, points = metric("n", "exponential_histogram", DELTA)
        point = points.add(time_unix_nano=place + 1, count=2**64 - 1, zero_count=2**64 - 1, scale=8, sum=1e308)
        point.positive.bucket_counts.extend([2**64 - 1, 0, 2**63])
        point.positive.offset = 2**31 - 1 if place else -(2**31)
        store.take(request.SerializeToString(), 0.0)
        request, points = metric("h", "histogram", DELTA)
        points.add(time_unix_nano=place + 1, count=2**64 - 1, bucket_counts=[2**64 - 1] * 2, explicit_bounds=[1])
        store.take(request.SerializeToString(), 0.0)
    families = store.families(0.0)
    assert len(canonical_page(render_protobuf(families, Escaping.ALLOW, timestamps=True), "protobuf")) == 4
    assert b"h_count 36893488147419103230\n" in render_text(families, Wish(Form.TEXT, Escaping.ALLOW), timestamps=False)


def test_resources_that_look_the_same_are_noticed() -> None:
    """The last one told is shown, and how often another had to make room is counted."""
    store = Store(config())
    for place, (pid, value) in enumerate([(1, 5), (2, 7), (2, 8), (1, 6)]):
        request, points = metric("calls")
        points.add(as_int=value, time_unix_nano=place)
        request.resource_metrics[0].resource.attributes.add(key="process.pid").value.int_value = pid
        store.take(request.SerializeToString(), 0.0)
    assert values(store) == {"calls_total": 6}
    assert store.replaced == 2


# ------------------------------------------------------------------------- page


@asynccontextmanager
async def running(meter: RecordingMeter | None = None, **options: Any) -> AsyncIterator[PrometheusExporter]:
    exporter = PrometheusExporter(config(**options), make_settings(Kind.EXPORTER, "prometheus", meter=meter))
    await exporter.start(StubHost(options.pop("extensions", None)))
    try:
        yield exporter
    finally:
        await exporter.shutdown()


async def scrape(exporter: PrometheusExporter, path: str = "/metrics", **headers: str) -> tuple[int, str, str]:
    url = f"http://{exporter.endpoint}{path}"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as got:
        return got.status, got.headers["content-type"], await got.text()


async def test_page() -> None:
    """What was accepted is on the page, with help, type and labels; nothing else is served."""
    meter = RecordingMeter()
    async with running(meter) as exporter:
        await exporter.consume(Batch(Signal.METRICS, number("calls", 1.5, 0, 1, model='a"b\n\\')))
        status, content_type, text = await scrape(exporter)
        assert status == 200
        assert content_type == "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
        assert text == '# HELP calls_total \n# TYPE calls_total counter\ncalls_total{model="a\\"b\\n\\\\"} 1.5\n'
        assert (await scrape(exporter, "/"))[0] == 404
        assert meter.value("exporter_sent_metric_points") == 1
        assert meter.value("exporter_prometheus_series") == 1


async def test_open_metrics_has_exemplars() -> None:
    """Only scrapers that ask for it get it, and only where it is enabled."""
    request, points = metric("calls")
    points.add(as_int=3, time_unix_nano=1).exemplars.add(
        as_double=0.5, trace_id=b"\x01" * 16, span_id=b"\x02" * 8, time_unix_nano=1_500_000_000
    )
    batch = Batch(Signal.METRICS, request.SerializeToString())
    async with running(enable_open_metrics=True) as exporter:
        await exporter.consume(batch.copy())
        _, content_type, text = await scrape(exporter, accept=ACCEPT["openmetrics"])
        assert content_type.startswith("application/openmetrics-text; version=1.0.0")
        exemplar = f'# {{span_id="{"02" * 8}",trace_id="{"01" * 16}"}} 0.5 1.5'
        assert f"# TYPE calls counter\ncalls_total 3.0 {exemplar}\n# EOF\n" in text
        assert "#  {" not in (await scrape(exporter))[2]
    async with running() as exporter:
        await exporter.consume(batch)
        assert "span_id" not in (await scrape(exporter, accept=ACCEPT["openmetrics"]))[2]


async def test_large_pages_are_packed() -> None:
    """Scrapers that take gzip get it."""
    async with running() as exporter:
        await exporter.consume(Batch(Signal.METRICS, number("calls", 1, 0, 1, label="x" * 5000)))
        assert "x" * 5000 in (await scrape(exporter, **{"accept-encoding": "gzip"}))[2]


async def test_refuses_what_is_no_request_and_what_comes_too_late() -> None:
    """Garbage is a permanent error; after shutdown senders are to try again."""
    async with running() as exporter:
        with pytest.raises(DecodeError):
            await exporter.consume(Batch(Signal.METRICS, b"\xff"))
    with pytest.raises(RetryableError):
        await exporter.consume(Batch(Signal.METRICS, b""))


async def test_scrapes_while_points_come() -> None:
    """Each page is of one moment: two series of one request are always told together."""
    async with running() as exporter:

        async def feed() -> None:
            for value in range(200):
                one, other = number("one", value, 0, value), number("other", value, 0, value)
                await exporter.consume(Batch(Signal.METRICS, one + other))
                await asyncio.sleep(0)

        task = asyncio.create_task(feed())
        while not task.done():
            lines = [line.split() for line in (await scrape(exporter))[2].splitlines() if not line.startswith("#")]
            assert len({value for _, value in lines}) <= 1
        await task


def test_runs_in_one_worker() -> None:
    """The engine is told that there is one page for all."""
    assert FACTORY.once
    assert config(endpoint="unix:///x", transport="unix").unshared() == {}
