"""The same points, the same options, our daemon and the real Collector: the same page. Cases: `prometheus.yaml`."""

from __future__ import annotations

import functools
import random
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from tests.integration.collector.harness import METHODS, OneOfMany
from tests.integration.collector.inputs import attributes
from tests.support.peers import Collector, ConfiguredProcess, Daemon
from tests.support.prometheus_text import ACCEPT, canonical_page

pytestmark = [
    pytest.mark.peer,
    pytest.mark.usefixtures("both_daemons"),
    pytest.mark.timeout(240),
    pytest.mark.xdist_group("prometheus"),
]

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
DELTA, CUMULATIVE = 1, 2


@dataclass(frozen=True)
class Case(OneOfMany):
    """Options of one exporter, and how its page is asked for."""

    name: str
    options: Mapping[str, Any]
    accept: Sequence[str] = ("text",)
    known_difference: str = ""


CASES = [
    Case(name, **fields)
    for name, fields in yaml.safe_load(Path(__file__).with_name("prometheus.yaml").read_text()).items()
]
SUBJECTS: Mapping[str, type[ConfiguredProcess]] = {"ours": Daemon, "theirs": Collector}

# ------------------------------------------------------------------------ input


def _point(step: int, **more: Any) -> dict[str, Any]:
    values = {"gen_ai.request.model": "gpt-4o", "http.status_code": 200, "1st": True, "_own": 1.5, "empty": "", **more}
    return {
        "attributes": attributes(values),
        "start_time_unix_nano": START + step * 10 * SECOND,
        "time_unix_nano": START + (step + 1) * 10 * SECOND,
    }


def _exemplars(*values: float) -> list[dict[str, Any]]:
    rng = random.Random(int(sum(values)))
    return [
        {
            "time_unix_nano": START + SECOND,
            "as_double": value,
            "trace_id": rng.randbytes(16),
            "span_id": rng.randbytes(8),
        }
        for value in values
    ]


def _sums(step: int) -> list[Metric]:
    names = {
        "llm.requests": "{request}",
        "http.server.duration.total": "ms",
        "disk.io": "By/s",
        "1.starts-with_digit": "1",
        "already_seconds": "s",
        "ünïcode.größe": "%",
        "per.day": "{x}/d",
        "a__b.c": "custom.unit",
        "colon:name": "m/m",
    }
    metrics = []
    for number, (name, unit) in enumerate(names.items()):
        for falling, temporality in ((False, CUMULATIVE), (True, CUMULATIVE), (False, DELTA)):
            metric = Metric(name=f"{name}{'.up' if falling else '.d' if temporality == DELTA else ''}", unit=unit)
            metric.description = f'{name} "said"\\\n twice'
            metric.sum.is_monotonic, metric.sum.aggregation_temporality = not falling, temporality  # type: ignore[assignment]
            metric.sum.data_points.add(as_int=number + 5, exemplars=_exemplars(1.5, 2.5), **_point(step))
            metric.sum.data_points.add(as_double=1e21 + number, **_point(step, kind="d"))
            metrics.append(metric)
    return metrics


def _gauges(step: int) -> list[Metric]:
    metrics = []
    for name, unit, value in (
        ("ratio", "1", 0.25),
        ("temperature", "Cel", -1.5),
        ("size", "MiBy", 2**53),
        ("nan", "", float("nan")),
        ("up.inf", "", float("inf")),
    ):
        metric = Metric(name=name, unit=unit, description="a gauge")
        metric.gauge.data_points.add(as_double=value, exemplars=_exemplars(1.0), **_point(step))
        metrics.append(metric)
    return metrics


def _histograms(step: int) -> list[Metric]:
    metrics = []
    for temporality in (CUMULATIVE, DELTA):
        name = "delta" if temporality == DELTA else "cumulative"
        classic = Metric(name=f"duration.{name}", unit="s", description="durations")
        classic.histogram.aggregation_temporality = temporality  # type: ignore[assignment]
        more = {"exemplars": _exemplars(0.05, 0.07, 3.0, 99.0)} if temporality == CUMULATIVE else {}
        classic.histogram.data_points.add(
            count=10, sum=12.5, bucket_counts=[1, 2, 3, 4], explicit_bounds=[0.1, 1, 2000000], **more, **_point(step)
        )
        classic.histogram.data_points.add(count=3, sum=1, **_point(step, none="x"))
        native = Metric(name=f"native.{name}", unit="s", description="exponential")
        native.exponential_histogram.aggregation_temporality = temporality  # type: ignore[assignment]
        for scale in (10, 3, 0, -4):
            point = native.exponential_histogram.data_points.add(
                count=17, sum=20, scale=scale, zero_count=2, zero_threshold=0.001, **_point(step, scale=scale)
            )
            point.positive.offset, point.negative.offset = -7, 3
            point.positive.bucket_counts.extend([1, 0, 2, 0, 0, 0, 0, 3, 4])
            point.negative.bucket_counts.extend([5])
        metrics += [classic, native]
    return metrics


def _others(step: int) -> list[Metric]:
    summary = Metric(name="quantiles", unit="s", description="a summary")
    point = summary.summary.data_points.add(count=7, sum=3.5, **_point(step))
    point.quantile_values.add(quantile=0.5, value=0.25)
    point.quantile_values.add(quantile=0.99, value=1)
    falling = Metric(name="refused.delta", unit="1")
    falling.sum.aggregation_temporality = DELTA  # type: ignore[assignment]
    falling.sum.data_points.add(as_int=1, **_point(step))
    nameless = Metric(name="___")
    nameless.gauge.data_points.add(as_int=1, **_point(step))
    gone = Metric(name="gone")
    gone.gauge.data_points.add(as_int=1, flags=step, **_point(step))
    return [summary, falling, nameless, gone]


RESOURCES = (
    {
        "service.name": "shop",
        "service.namespace": "eu",
        "service.instance.id": "i-1",
        "host.name": "h",
        "a.b": 1,
        "k": [1, "x"],
    },
    {"service.name": "batch", "process.pid": 7},
)


def requests() -> list[ExportMetricsServiceRequest]:
    """Answer two requests, the second of which goes on where the first ended."""
    found = []
    for step in (0, 1):
        request = ExportMetricsServiceRequest()
        for resource in RESOURCES:
            group = request.resource_metrics.add(resource=Resource(attributes=attributes(resource)))
            inner = group.scope_metrics.add(schema_url="https://opentelemetry.io/schemas/1.41.0")
            inner.scope.name, inner.scope.version = "meter", "1.0"
            inner.scope.attributes.extend(attributes({"library.kind": "llm", "name": "reserved"}))
            inner.metrics.extend([*_sums(step), *_gauges(step), *_histograms(step), *_others(step)])
        found.append(request)
    return found


# ---------------------------------------------------------------------- running


def _config() -> dict[str, Any]:
    protocols = {"grpc": {"endpoint": "127.0.0.1:${env:GRPC_PORT}"}}
    exporters = {
        f"prometheus/{case.slug}": {"endpoint": f"127.0.0.1:${{env:{case.port}}}", **case.options} for case in CASES
    }
    pipeline = {"receivers": ["otlp"], "exporters": list(exporters)}
    return {
        "receivers": {"otlp": {"protocols": protocols}},
        "exporters": exporters,
        "service": {"pipelines": {"metrics": pipeline}},
    }


@functools.cache
def pages(subject: str) -> dict[tuple[str, str], Counter[Any]]:
    """Answer all pages in canonical form, by case and form."""
    with tempfile.TemporaryDirectory() as name, SUBJECTS[subject](_config(), directory=Path(name)) as process:
        with grpc.insecure_channel(process.endpoint("GRPC_PORT")) as channel:
            call = channel.unary_unary(METHODS["metrics"], lambda message: message.SerializeToString(), None)
            for request in requests():
                call(request, timeout=30)
        return {
            (case.name, form): canonical_page(_scrape(process.endpoint(case.port), form), form)
            for case in CASES
            for form in case.accept
        }


def _scrape(address: str, form: str) -> bytes:
    request = urllib.request.Request(f"http://{address}/metrics", headers={"Accept": ACCEPT[form]})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read()


def _parameters() -> list[Any]:
    return [
        pytest.param(case, form, id=f"{case.slug}-{form}", marks=case.marks) for case in CASES for form in case.accept
    ]


@pytest.mark.parametrize(("case", "form"), _parameters())
def test_equal_pages(case: Case, form: str) -> None:
    """Families with names, help and types, series with labels, values, exemplars and times."""
    ours, theirs = (pages(subject)[case.name, form] for subject in ("ours", "theirs"))
    assert len(theirs) > 50
    assert sorted(map(str, (ours - theirs).elements())) == sorted(map(str, (theirs - ours).elements()))
