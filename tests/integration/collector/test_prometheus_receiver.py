"""The same targets, scraped by the real Collector and by us, become the same metrics."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Summary
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from tests.support.peers import peer_or_skip
from tests.support.peers.collector import PrometheusCollector, prometheus_collector_binary
from tests.support.receivers import receiving
from tests.support.scrape_target import OPENMETRICS, TEXT, ScrapeTarget
from untrace_pipeline.data import Batch, Signal
from untrace_plugins.receivers.prometheus import FACTORY

pytestmark = pytest.mark.once

DOWN = "down"


def library(*, openmetrics: bool) -> str:
    """Return what the Python library shows of every kind of metric."""
    registry = CollectorRegistry()
    counter = Counter("requests", "Requests.", ["path"], registry=registry)
    counter.labels('/"a"\\').inc(3, exemplar={"trace_id": "0123456789abcdef0123456789abcdef", "x": "y"})
    counter.labels("").inc(0)
    Gauge("temperature_celsius", "Degrees.", registry=registry).set(-0.5)
    latency = Histogram("latency_seconds", "Latency.", ["code"], registry=registry)
    latency.labels("200").observe(0.3, exemplar={"span_id": "0123456789abcdef"})
    latency.labels("500").observe(30)
    Summary("size_bytes", "Size.", registry=registry).observe(7)
    Info("build", "Build.", registry=registry).info({"version": "1.0"})
    Enum("state", "State.", states=["up", "down"], registry=registry).state("down")
    make = generate_openmetrics if openmetrics else generate_latest
    return str(make(registry).decode())


TEXTS = {
    "everything": [library(openmetrics=False)],
    "everything in OpenMetrics": [library(openmetrics=True)],
    "no types": ['a 1\nb_total{x="y"} 2\nc_bucket{le="1"} 3\nd_sum 4\nd_count 5\ne_info 6\n'],
    "odd types": [
        (
            '# TYPE g gauge\ng_total 1\ng{le="1",quantile="2"} 2\n# TYPE h histogram\nh_bucket 1\nh_count 2\nh_sum 3\n'
            "# TYPE s summary\ns 5\ns_count 1\n# TYPE c counter\nc 4\n"
        )
    ],
    "gauge histograms": [
        '# TYPE q gaugehistogram\nq_bucket{le="1"} 1\nq_bucket{le="+Inf"} 2\nq_gcount 2\nq_gsum 3\n# EOF\n'
    ],
    "created": [
        (
            "# TYPE c counter\nc_total 1\nc_created 1600000000.5\n"
            "# TYPE s summary\ns_count 1\ns_sum 2\ns_created 1600000000\n"
            '# TYPE h histogram\nh_bucket{le="+Inf"} 1\nh_count 1\nh_sum 1\nh_created 1600000000\n# EOF\n'
        )
    ],
    "units": ["# TYPE a_seconds gauge\n# UNIT a_seconds seconds\n# HELP a_seconds A \\n b.\na_seconds 1\n# EOF\n"],
    "values": ["a NaN\nb +Inf\nc -Inf\nd 1e300\n# TYPE e counter\ne NaN\n"],
    "resources": [
        (
            'target_info{region="eu"} 1\na{job="other",instance="x:1"} 1\n'
            'otel_scope_info{otel_scope_name="l",z="1"} 1\n'
            'b{otel_scope_name="l",otel_scope_version="2",otel_scope_k="v",c="d"} 1\ne{otel_scope_name="l"} 1\n'
        )
    ],
    "gone": [
        '# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\nh_count 2\nh_sum 3\na{x="1"} 1\na{x="2"} 1\n',
        'a{x="2"} 1\n',
        'a{x="2"} 1\n',
        DOWN,
        'a{x="2"} 1\na{x="3"} 1\n',
    ],
    "broken": ["a 1\n", "b\na 1\n", "a 1\n"],
    "own timestamps": ["a 1 1600000000123\nb 1\n", "b 1\n"],
    "twice": ["a 1\na 2\n"],
}
RULES = [
    {"source_labels": ["__name__"], "regex": "drop_.*", "action": "drop"},
    {"source_labels": ["path"], "regex": "/(.*)", "target_label": "part", "replacement": "${1}-x"},
    {"regex": "secret", "action": "labeldrop"},
    {"source_labels": ["__name__"], "regex": "old_(.*)", "target_label": "__name__", "replacement": "new_$1"},
    {"source_labels": ["part"], "modulus": 7, "action": "hashmod", "target_label": "shard"},
    {"regex": "p(.*)", "action": "labelmap", "replacement": "q$1"},
]
RELABELLED = 'drop_a 1\nold_b{path="/x",secret="s"} 2\n# TYPE c counter\nc{path="none"} 3\n'


class Script(ScrapeTarget):
    """A target that shows one text after the other, and stays with the last."""

    def __init__(self, texts: Sequence[str]) -> None:
        super().__init__()
        self._texts = texts
        self.on_request = self._next

    def _next(self, number: int) -> None:
        self.text = self._texts[min(number, len(self._texts)) - 1]
        self.status = 500 if self.text == DOWN else 200
        self.content_type = OPENMETRICS if self.text.endswith("# EOF\n") else TEXT


def job(target: ScrapeTarget, **options: Any) -> dict[str, Any]:
    """Return a configuration; both sides see the same instance."""
    instance = [{"target_label": "instance", "replacement": "target.example:80"}]
    static = [{"targets": [target.address]}]
    common = {"job_name": "j", "scrape_interval": "300ms", "scrape_timeout": "300ms", "scheme": "http"}
    return {"scrape_configs": [{**common, "static_configs": static, "relabel_configs": instance, **options}]}


async def theirs(texts: Sequence[str], directory: Path, **options: Any) -> list[Any]:
    """Return what the Collector makes of each scrape, as OTLP/JSON."""
    with peer_or_skip():
        prometheus_collector_binary(build=False)
    output = directory / "out.jsonl"
    async with Script(texts) as target:
        scrape = json.loads(json.dumps(job(target, **options)).replace("$", "$$"))
        config = {
            "receivers": {"prometheus": {"config": scrape}},
            "exporters": {"file": {"path": str(output), "flush_interval": "50ms"}},
            "service": {"pipelines": {"metrics": {"receivers": ["prometheus"], "exporters": ["file"]}}},
        }
        async with PrometheusCollector(config, directory=directory), asyncio.timeout(60):
            while len(target.requests) <= len(texts) + 1:
                await asyncio.sleep(0.05)
    return [Batch.from_json(Signal.METRICS, line.encode()) for line in output.read_text().splitlines()]


async def ours(texts: Sequence[str], **options: Any) -> list[Any]:
    """Return what we make of each scrape."""
    async with Script(texts) as target:
        config = {"config": job(target, **options)}
        async with receiving(FACTORY, config, signals=[Signal.METRICS]) as running:
            await running.until(lambda: len(running.sink.batches) >= len(texts), timeout=60)
        found: list[Any] = running.sink.batches
        return found


def said(batch: Batch) -> dict[Any, Any]:
    """Return what a request says, without times and the order of things."""
    found: dict[Any, Any] = {}
    for group in ExportMetricsServiceRequest.FromString(batch.to_otlp()).resource_metrics:
        for scope in group.scope_metrics:
            own = not scope.scope.name.endswith(("prometheusreceiver", "untrace-pipeline/prometheus"))
            named = (scope.scope.name, scope.scope.version, _pairs(scope.scope.attributes)) if own else ()
            for metric in scope.metrics:
                place = (_pairs(group.resource.attributes), named, metric.name)
                found.setdefault(place, []).append(_metric(metric))
    return found


def _metric(metric: Metric) -> Any:
    kind = str(metric.WhichOneof("data"))
    data: Any = getattr(metric, kind)
    points = sorted(map(_point, data.data_points), key=repr)
    if metric.name == "scrape_duration_seconds":
        points = []
    about = (metric.unit, metric.description, _pairs(metric.metadata))
    return (kind, getattr(data, "is_monotonic", None), getattr(data, "aggregation_temporality", None), *about, points)


def _point(point: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"attributes": _pairs(point.attributes), "flags": point.flags}
    for name in ("as_double", "count", "sum"):
        value = getattr(point, name, None)
        found[name] = "NaN" if isinstance(value, float) and math.isnan(value) else value
    for name in ("bucket_counts", "explicit_bounds"):
        found[name] = list(getattr(point, name, ()))
    found["quantiles"] = [(one.quantile, one.value) for one in getattr(point, "quantile_values", ())]
    found["exemplars"] = [
        (one.as_double, one.trace_id, one.span_id, _pairs(one.filtered_attributes))
        for one in getattr(point, "exemplars", ())
    ]
    return found


def _pairs(pairs: Iterable[Any]) -> Any:
    return tuple(sorted((one.key, one.value.string_value) for one in pairs))


@pytest.mark.parametrize("case", TEXTS)
async def test_same_metrics(case: str, tmp_path: Path) -> None:
    """Scrape by scrape: names, kinds, units, resources, scopes, points, exemplars, and what is gone."""
    await _compare(TEXTS[case], tmp_path)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (RELABELLED, {"metric_relabel_configs": RULES}),
        ('a{job="theirs",instance="far:1",x="y"} 1\n', {"honor_labels": True}),
        ('a{job="theirs",exported_job="x"} 1\n', {}),
        ("a 1 1600000000123\n", {"honor_timestamps": False}),
        ("a 1\nb 1\n", {"sample_limit": 1}),
        ('a{b="c",d="e"} 1\n', {"label_limit": 4}),
        ("a 1\n" * 100, {"body_size_limit": "100B"}),
    ],
)
async def test_same_options(text: str, options: dict[str, Any], tmp_path: Path) -> None:
    """Relabelling, labels, timestamps and limits mean the same."""
    await _compare([text, text], tmp_path, **options)


async def _compare(texts: Sequence[str], directory: Path, **options: Any) -> None:
    expected = [said(one) for one in (await theirs(texts, directory, **options))[: len(texts)]]
    found = [said(one) for one in (await ours(texts, **options))[: len(texts)]]
    assert len(expected) == len(texts)
    for number, (one, other) in enumerate(zip(expected, found, strict=True)):
        assert other == one, f"scrape {number + 1}"
