"""The exporter ``prometheus_remote_write`` against a real Prometheus: both versions, read back by queries."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.support.exporters import QUICK_RETRY, Running, running
from tests.support.peers import Prometheus, peer_or_skip, prometheus_binaries
from tests.support.wait import wait_until
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.testing.generate import to_any_value
from untrace_plugins.exporters.prometheus_remote_write import FACTORY

pytestmark = [pytest.mark.once, pytest.mark.peer, pytest.mark.timeout(120), pytest.mark.xdist_group("prometheus_write")]

V1, V2 = "prometheus.WriteRequest", "io.prometheus.write.v2.Request"
CONFIG: dict[str, Any] = {"storage": {"exemplars": {"max_exemplars": 1000}}}


@pytest.fixture(scope="module")
def prometheus() -> Iterator[Prometheus]:
    with peer_or_skip():
        prometheus_binaries(build=False)
    flags = (
        "--web.enable-remote-write-receiver",
        "--enable-feature=native-histograms,exemplar-storage,metadata-wal-records",
    )
    with Prometheus(CONFIG, *flags) as server:
        wait_until(lambda: server.ask("status/buildinfo"), server, seconds=30)
        yield server


def writing(server: Prometheus, **options: Any) -> AbstractAsyncContextManager[Running]:
    given = {"endpoint": f"{server.url}/api/v1/write", "retry_on_failure": QUICK_RETRY, **options}
    return running(FACTORY, given, signals=[Signal.METRICS])


def points(test: str, seconds: int, *, flags: int = 0, n: int = 1) -> Batch:
    """Return one point of each kind, so many seconds ago."""
    now = time.time_ns() - seconds * 10**9
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    for key, value in {"service.name": test, "service.instance.id": "one", "region": "eu"}.items():
        group.resource.attributes.add(key=key, value=to_any_value(value))
    scope = group.scope_metrics.add()
    scope.scope.name = "tests"
    common: dict[str, Any] = {"time_unix_nano": now, "start_time_unix_nano": now - 60 * 10**9, "flags": flags}
    gauge = scope.metrics.add(name=f"{test}.queue", unit="1").gauge.data_points.add(as_double=0.25 * n, **common)
    gauge.attributes.add(key="gen_ai.request.model", value=to_any_value("gpt-4o"))
    counter = scope.metrics.add(name=f"{test}.tokens", unit="{token}", description="Tokens.")
    counter.sum.aggregation_temporality, counter.sum.is_monotonic = 2, True
    counted = counter.sum.data_points.add(as_int=7 * n, **common)
    counted.exemplars.add(as_int=3, time_unix_nano=now, trace_id=b"t" * 16, span_id=b"s" * 8)
    histogram = scope.metrics.add(name=f"{test}.latency", unit="s")
    histogram.histogram.aggregation_temporality = 2
    histogram.histogram.data_points.add(
        count=6 * n, sum=4.5 * n, bucket_counts=[1 * n, 2 * n, 3 * n], explicit_bounds=[0.5, 1.0], **common
    )
    native = scope.metrics.add(name=f"{test}.native", unit="s")
    native.exponential_histogram.aggregation_temporality = 2
    held = native.exponential_histogram.data_points.add(count=5 * n, sum=9.0 * n, scale=1, zero_count=n, **common)
    held.positive.offset, held.positive.bucket_counts[:] = 2, [n, 0, 0, 0, 3 * n]
    summary = scope.metrics.add(name=f"{test}.summary").summary.data_points.add(count=2 * n, sum=3.0 * n, **common)
    summary.quantile_values.add(quantile=0.99, value=2.5)
    return Batch(Signal.METRICS, request.SerializeToString())


def value(server: Prometheus, query: str) -> float:
    [found] = wait_until(lambda: server.query(query), server, seconds=20) or server.query(query)
    return float(found["value"][1])


@pytest.mark.parametrize(("version", "test"), [(V1, "one"), (V2, "two")])
async def test_points_of_all_kinds_are_read_back(prometheus: Prometheus, version: str, test: str) -> None:
    """Values, buckets, native histograms, exemplars, targets and labels, by queries."""
    more = {"external_labels": {"cluster": "c1", "job": "not this"}, "send_metadata": True}
    async with writing(prometheus, protobuf_message=version, **more) as r:
        for seconds, n in ((20, 1), (10, 2), (1, 3)):
            await r.consume(points(test, seconds, n=n))
        await r.until_idle(30)
        assert r.dropped == {}
        assert r.meter.value("exporter_sent_metric_points") == 15
        assert r.exporter._message == version, "the real one takes it"
        assert [one.ok for one in await r.exporter.probe()] == [True, True]
    labels = f'job="{test}",instance="one",cluster="c1",otel_scope_name="tests"'
    assert value(prometheus, f'{test}_queue_ratio{{gen_ai_request_model="gpt-4o",{labels}}}') == 0.75
    assert value(prometheus, f"{test}_tokens_total{{{labels}}}") == 21
    assert value(prometheus, f"increase({test}_tokens_total[1m])") > 0
    assert value(prometheus, f'{test}_latency_seconds_bucket{{le="0.5"}}') == 3
    assert value(prometheus, f'{test}_latency_seconds_bucket{{le="1"}}') == 9
    assert value(prometheus, f'{test}_latency_seconds_bucket{{le="+Inf"}}') == 18
    assert value(prometheus, f"{test}_latency_seconds_sum") == 13.5
    assert value(prometheus, f"histogram_count({test}_native_seconds)") == 15
    assert value(prometheus, f"histogram_sum({test}_native_seconds)") == 27
    # Buckets at scale 1 of indices 2 and 6: (2, 2.83] and (8, 11.31].
    assert value(prometheus, f"histogram_fraction(2, 2.8284271247461903, {test}_native_seconds)") == pytest.approx(0.2)
    assert value(prometheus, f"histogram_fraction(8, 11.32, {test}_native_seconds)") == pytest.approx(0.6)
    assert value(prometheus, f'{test}_summary{{quantile="0.99"}}') == 2.5
    assert value(prometheus, f"{test}_summary_count") == 6
    assert value(prometheus, f'target_info{{job="{test}",instance="one",region="eu",cluster="c1"}}') == 1
    around = {"start": str(time.time() - 60), "end": str(time.time())}
    [found] = prometheus.ask("query_exemplars", query=f"{test}_tokens_total", **around)
    assert found["exemplars"][0]["labels"] == {"span_id": (b"s" * 8).hex(), "trace_id": (b"t" * 16).hex()}


async def test_a_series_that_has_ended_is_stale(prometheus: Prometheus) -> None:
    """Queries do not show its last value any more."""
    async with writing(prometheus) as r:
        await r.consume(points("ended", 10))
        await r.until_idle(30)
        assert value(prometheus, "ended_tokens_total") == 7
        await r.consume(points("ended", 1, flags=1))
        await r.until_idle(30)
    for name in ("ended_queue_ratio", "ended_tokens_total", "ended_latency_seconds_count", "ended_native_seconds"):
        assert prometheus.query(name) == []


async def test_what_is_too_old_is_refused_for_good(prometheus: Prometheus) -> None:
    """400: no use to repeat it."""
    async with writing(prometheus) as r:
        await r.consume(points("old", 40 * 86_400))
        await r.until_idle(30)
        assert r.dropped == {"permanent": 5}
        assert r.meter.value("exporter_retries") == 0


async def test_requests_come_in_order(prometheus: Prometheus) -> None:
    """Many batches, each younger: none is out of order, though they wait in a queue."""
    async with writing(prometheus, sending_queue={"num_consumers": 1}) as r:
        for seconds in range(60, 0, -1):
            await r.consume(points("ordered", seconds, n=61 - seconds))
        await r.until_idle(60)
        assert r.dropped == {}
    assert value(prometheus, "count_over_time(ordered_tokens_total[2m])") == 60
