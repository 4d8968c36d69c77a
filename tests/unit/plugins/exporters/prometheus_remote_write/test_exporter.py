"""The exporter ``prometheus_remote_write``: what is written, and what it makes of answers."""

from __future__ import annotations

import math
import struct
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from cramjam import snappy
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from pydantic import ValidationError

from tests.support.exporters import QUICK_RETRY, Running, running
from tests.support.http_peer import Asked, HttpPeer, Reply
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.testing import make_batch
from untrace_pipeline.testing.generate import to_any_value
from untrace_plugins.exporters.prometheus_remote_write import FACTORY
from untrace_plugins.exporters.prometheus_remote_write.encoding import classes_v1, classes_v2
from untrace_plugins.exporters.prometheus_remote_write.series import Series, Writing
from untrace_plugins.exporters.prometheus_remote_write.translate import Translator, format_number

V1, V2 = "prometheus.WriteRequest", "io.prometheus.write.v2.Request"
NOW = 1_760_000_000_123_456_789
MILLIS = NOW // 1_000_000
STALE_BITS = 0x7FF0000000000002
Request = Any


def config_of(**options: Any) -> Any:
    return FACTORY.config.model_validate({"endpoint": "http://localhost:9090/api/v1/write", **options})


def request_of(**resource: Any) -> tuple[Request, Any]:
    """Return a request of one resource and scope, and the scope to add metrics to."""
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    for key, value in resource.items():
        group.resource.attributes.add(key=key.replace("_", "."), value=to_any_value(value))
    return request, group.scope_metrics.add()


def batch_of(request: Request) -> Batch:
    return Batch(Signal.METRICS, request.SerializeToString())


def translated(request: Request, **options: Any) -> Writing:
    return Translator(config_of(**options)).translate(batch_of(request))


def named(series: Series) -> str:
    labels = dict(series.labels)
    name = labels.pop("__name__")
    return name + ("{" + ",".join(f"{key}={value}" for key, value in labels.items()) + "}" if labels else "")


def sums(*values: tuple[int, float], temporality: int = 2) -> Request:
    """Return a request with one counter; values with their offsets in milliseconds."""
    request, scope = request_of()
    metric = scope.metrics.add(name="tokens")
    metric.sum.aggregation_temporality, metric.sum.is_monotonic = temporality, True
    for offset, value in values:
        metric.sum.data_points.add(time_unix_nano=NOW + offset * 1_000_000, as_double=value, start_time_unix_nano=NOW)
    return request


# --------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"endpoint": ""}, "at least 1"),
        ({"compression": "gzip"}, "compressed with snappy"),
        ({"headers": {"Content-Encoding": "gzip"}}, "the protocol says what content-encoding is"),
        ({"protobuf_message": "v2"}, "WriteRequest"),
    ],
)
def test_what_cannot_work_is_refused(options: dict[str, Any], message: str) -> None:
    """With the reason."""
    with pytest.raises(ValidationError, match=message):
        config_of(**options)


def test_one_request_is_under_way_at_a_time() -> None:
    """Unless somebody wants otherwise: samples of a series come in order."""
    assert config_of().sending_queue.num_consumers == 1


# ----------------------------------------------------------------- translation


def test_samples_of_a_series_are_in_order_and_each_moment_once() -> None:
    """Of several values for one moment, the last counts."""
    [series] = translated(sums((5, 2.0), (0, 1.0), (5, 3.0))).series
    assert named(series) == "tokens_total"
    assert [(sample.time, sample.value) for sample in series.samples] == [(MILLIS, 1.0), (MILLIS + 5, 3.0)]


def test_labels_are_sorted_and_external_ones_give_way() -> None:
    """By name, as the protocol wants it; what a series says itself is stronger."""
    request, scope = request_of(service_name="shop", service_namespace="prod", region="eu")
    scope.scope.name = "tests"
    point = scope.metrics.add(name="queue.size").gauge.data_points.add(as_double=1, time_unix_nano=NOW)
    point.attributes.add(key="zone-a", value=to_any_value("1"))
    point.attributes.add(key="cluster", value=to_any_value("own"))
    writing = translated(request, external_labels={"cluster": "external", "env": "test"})
    assert [named(series) for series in writing.series] == [
        "queue_size{cluster=own,env=test,job=prod/shop,otel_scope_name=tests,zone_a=1}",
        "target_info{cluster=external,env=test,job=prod/shop,region=eu}",
    ]
    assert [list(series.labels) for series in writing.series] == [sorted(series.labels) for series in writing.series]
    plain = translated(request, target_info={"enabled": False}, without_scope_info=True, namespace="llm")
    assert [named(series) for series in plain.series] == ["llm_queue_size{cluster=own,job=prod/shop,zone_a=1}"]
    converted = translated(request, resource_to_telemetry_conversion={"enabled": True})
    assert dict(converted.series[0].labels)["region"] == "eu"


def test_a_histogram_is_cumulative_buckets_a_count_and_a_sum_if_it_has_one() -> None:
    """Exemplars lie in the bucket that holds their value."""
    request, scope = request_of()
    metric = scope.metrics.add(name="latency", unit="s")
    metric.histogram.aggregation_temporality = 2
    point = metric.histogram.data_points.add(
        count=6, bucket_counts=[1, 2, 3], explicit_bounds=[0.5, 1e21], time_unix_nano=NOW
    )
    point.exemplars.add(as_double=0.7, time_unix_nano=NOW, trace_id=b"t" * 16)
    found = {named(series): series for series in translated(request).series}
    assert {name: series.samples[0].value for name, series in found.items()} == {
        "latency_seconds_count": 6,
        "latency_seconds_bucket{le=0.5}": 1,
        "latency_seconds_bucket{le=1000000000000000000000}": 3,
        "latency_seconds_bucket{le=+Inf}": 6,
    }
    assert [name for name, series in found.items() if series.exemplars] == [
        "latency_seconds_bucket{le=1000000000000000000000}"
    ]
    point.sum = 4.5
    assert "latency_seconds_sum" in {named(series) for series in translated(request).series}


def test_what_prometheus_has_no_form_for_is_told_by_item() -> None:
    """Deltas, exponential histograms that are too coarse, histograms whose parts do not fit together."""
    request, scope = request_of()
    delta = scope.metrics.add(name="delta")
    delta.sum.aggregation_temporality = 1
    delta.sum.data_points.add(time_unix_nano=NOW)
    coarse = scope.metrics.add(name="coarse")
    coarse.exponential_histogram.aggregation_temporality = 2
    coarse.exponential_histogram.data_points.add(time_unix_nano=NOW, scale=-5)
    odd = scope.metrics.add(name="odd")
    odd.histogram.aggregation_temporality = 2
    odd.histogram.data_points.add(time_unix_nano=NOW, bucket_counts=[1], explicit_bounds=[1.0])
    scope.metrics.add(name="fine").gauge.data_points.add(time_unix_nano=NOW, as_int=1)
    writing = translated(request)
    assert writing.refused == {0: "temporality", 1: "scale", 2: "malformed"}
    assert [named(series) for series in writing.series] == ["fine"]


@pytest.mark.parametrize("kind", ["gauge", "sum", "histogram", "exponential_histogram", "summary"])
def test_the_end_of_a_series_is_the_stale_marker(kind: str) -> None:
    """Bit for bit: any other NaN would be a value."""
    request, scope = request_of()
    data = getattr(scope.metrics.add(name="m"), kind)
    if kind not in {"gauge", "summary"}:
        data.aggregation_temporality = 2
    data.data_points.add(time_unix_nano=NOW, flags=1)
    for series in translated(request).series:
        assert all(struct.pack("<d", one.value) == struct.pack("<Q", STALE_BITS) for one in series.samples)
        assert all(one.histogram is None for one in series.histograms)
        assert series.samples or series.histograms


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1"), (0.5, "0.5"), (1e-7, "0.0000001"), (2.5e16, "25000000000000000"), (math.inf, "+Inf")],
)
def test_bounds_are_written_without_exponents(value: float, text: str) -> None:
    """As the Collector writes them, so that series are the same ones."""
    assert format_number(value) == text


# --------------------------------------------------------------------- sending


def writing_to(url: str, **options: Any) -> AbstractAsyncContextManager[Running]:
    plain = {"retry_on_failure": QUICK_RETRY, "sending_queue": {"batch": None, "num_consumers": 1}}
    return running(FACTORY, {"endpoint": f"{url}/api/v1/write", **plain, **options}, signals=[Signal.METRICS])


def message_of(asked: Asked, kind: Any) -> Any:
    return kind.FromString(bytes(snappy.decompress_raw(asked.body)))


async def test_version_1_on_the_wire() -> None:
    """Headers, a tenant, snappy, labels and milliseconds."""
    options = {"headers": {"X-Scope-OrgID": "acme"}, "send_metadata": True}
    async with HttpPeer(Reply(204)) as server, writing_to(server.url, **options) as r:
        await r.consume(batch_of(sums((0, 7.0))))
        await r.until_idle()
    [asked] = server.asked
    wanted = {
        "content-type": "application/x-protobuf",
        "content-encoding": "snappy",
        "x-prometheus-remote-write-version": "0.1.0",
        "x-scope-orgid": "acme",
    }
    assert {name: asked.headers[name] for name in wanted} == wanted
    assert asked.headers["user-agent"].startswith("untrace-pipeline")
    message = message_of(asked, classes_v1()["WriteRequest"])
    [series] = message.timeseries
    assert [(label.name, label.value) for label in series.labels] == [("__name__", "tokens_total")]
    assert [(sample.timestamp, sample.value) for sample in series.samples] == [(MILLIS, 7.0)]
    assert [(one.metric_family_name, one.type) for one in message.metadata] == [("tokens_total", 1)]


async def test_version_2_on_the_wire() -> None:
    """Texts once, the first of them empty; beginnings and metadata with each series."""
    written = {"X-Prometheus-Remote-Write-Samples-Written": "1"}
    async with HttpPeer(Reply(204, headers=written)) as server, writing_to(server.url, protobuf_message=V2) as r:
        await r.consume(batch_of(sums((5, 7.0))))
        await r.until_idle()
    [asked] = server.asked
    assert asked.headers["content-type"] == f"application/x-protobuf;proto={V2}"
    assert asked.headers["x-prometheus-remote-write-version"] == "2.0.0"
    message = message_of(asked, classes_v2()["Request"])
    assert message.symbols[0] == ""
    assert len(set(message.symbols)) == len(message.symbols)
    [series] = message.timeseries
    assert [message.symbols[reference] for reference in series.labels_refs] == ["__name__", "tokens_total"]
    assert (series.samples[0].timestamp, series.samples[0].start_timestamp) == (MILLIS + 5, MILLIS)
    assert series.metadata.type == 1


@pytest.mark.parametrize("answer", [Reply(415), Reply(204)])
async def test_who_takes_no_version_2_gets_version_1(answer: Reply, caplog: pytest.LogCaptureFixture) -> None:
    """415, or a success that does not say what was written, because nothing was: the same data at once, and from then
    on."""
    async with HttpPeer(answer) as server, writing_to(server.url, protobuf_message=V2) as r:
        for value in (1.0, 2.0):
            await r.consume(batch_of(sums((int(value), value))))
            await r.until_idle()
        assert r.meter.value("exporter_retries") == 0
        assert r.meter.value("exporter_sent_metric_points") == 2
    versions = [asked.headers["x-prometheus-remote-write-version"] for asked in server.asked]
    assert versions == ["2.0.0", "0.1.0", "0.1.0"]
    values = [
        message_of(asked, classes_v1()["WriteRequest"]).timeseries[0].samples[0].value for asked in server.asked[1:]
    ]
    assert values == [1.0, 2.0]
    assert "does not take Remote-Write 2.0" in caplog.text


@pytest.mark.parametrize(("status", "attempts"), [(500, 2), (503, 2), (429, 2), (400, 1), (404, 1), (401, 1)])
async def test_which_answers_are_tried_again(status: int, attempts: int) -> None:
    """5xx and 429 are; what was refused is never repeated."""
    async with HttpPeer(Reply(status)) as server, writing_to(server.url) as r:
        await r.consume(batch_of(sums((0, 7.0))))
        await r.until_idle()
        assert r.dropped == ({} if attempts == 2 else {"permanent": 1})
    assert len(server.asked) == attempts


async def test_points_without_a_form_do_not_hold_up_the_others() -> None:
    """They are given up with the reason, the rest is written."""
    async with HttpPeer() as server, writing_to(server.url) as r:
        await r.consume(make_batch(Signal.METRICS, 10))  # two histograms of each kind are deltas
        await r.until_idle()
        assert r.dropped == {"permanent": 4}
        assert r.meter.value("exporter_sent_metric_points") == 6
    assert len(server.asked) == 1


async def test_a_request_without_any_form_is_not_sent() -> None:
    """Nothing to write: no request."""
    async with HttpPeer() as server, writing_to(server.url) as r:
        await r.consume(batch_of(sums((0, 1.0), temporality=1)))
        await r.until_idle()
        assert r.dropped == {"permanent": 1}
    assert server.asked == []


async def test_what_is_too_large_is_halved() -> None:
    """413, until it fits."""
    taken: list[int] = []

    def strict(asked: Asked) -> Reply:
        series = message_of(asked, classes_v1()["WriteRequest"]).timeseries
        count = sum(len(one.samples) for one in series)
        if count > 3:
            return Reply(413)
        taken.append(count)
        return Reply()

    async with HttpPeer(rule=strict) as server, writing_to(server.url) as r:
        await r.consume(batch_of(sums(*[(number, float(number)) for number in range(8)])))
        await r.until_idle()
        assert r.dropped == {}
    assert sum(taken) == 8
