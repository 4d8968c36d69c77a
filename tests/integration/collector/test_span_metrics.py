"""The same spans, the same options, our daemon and the real Collector: the same metrics. Cases: `span_metrics.yaml`."""

from __future__ import annotations

import functools
import random
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.integration.collector.harness import METHODS, OneOfMany
from tests.integration.collector.inputs import INPUTS, START, attributes
from tests.support.peers import Collector, ConfiguredProcess, Daemon
from tests.support.peers.canonical import describe_difference, parse_proto, read_framed
from tests.support.wait import wait_until

pytestmark = [
    pytest.mark.peer,
    pytest.mark.usefixtures("both_daemons"),
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("span_metrics"),
]

INSTANCE = "collector.instance.id"
STATES = {"": 1, "vendor=a": 1, "ot=th:8": 2, "ot=th:c,vendor=a": 4, "ot=rv:ffffffffffffff;th:e": 8, "ot=th:zz": 1}
"""Tracestates, and how many spans each stands for."""


@dataclass(frozen=True)
class Case(OneOfMany):
    """Options of one connector, and how often the spans come."""

    name: str
    options: Mapping[str, Any]
    times: int = 1
    known_difference: str = ""


CASES = [
    Case(name, **fields)
    for name, fields in yaml.safe_load(Path(__file__).with_name("span_metrics.yaml").read_text()).items()
]
SUBJECTS: Mapping[str, type[ConfiguredProcess]] = {"ours": Daemon, "theirs": Collector}


@dataclass
class Outcome:
    """What came out of one case: series by all that identifies them, with their last, or summed, values."""

    points: dict[Any, dict[str, Any]] = field(default_factory=dict)
    first: dict[Any, dict[str, Any]] = field(default_factory=dict)


# ------------------------------------------------------------------------ input


def _span(rng: random.Random, index: int) -> Span:
    """Answer spans that the other inputs do not have: odd times, kinds and tracestates."""
    start = START + index
    end = start + (0, 1, 999, 2_000_000, 3_600_000_000_000, -5, 10**15)[index % 7]
    return Span(
        trace_id=rng.randbytes(16) if index % 5 else b"",
        span_id=rng.randbytes(8) if index % 5 else b"",
        trace_state=list(STATES)[index % len(STATES)],
        name=("odd", "", "ä.b c")[index % 3],
        kind=(3, 9, 0)[index % 3],  # type: ignore[arg-type]
        start_time_unix_nano=start,
        end_time_unix_nano=end,
        attributes=attributes({"user.id": f"u-{index % 3}", "stream": index % 2 == 0, "host.name": "own"}),
        status=Status(code=(0, 1, 2)[index % 3]),  # type: ignore[arg-type]
    )


RESOURCES = (
    {"service.name": "odd", "k8s.pod.name": "p-1", "k8s.pod.label.name": "no", "telemetry.sdk.language": "python"},
    {"service.name": "odd", "k8s.pod.name": "p-2", "team": "a", "telemetry.sdk.language": "python"},
    {"service.name": 7, "deployment.environment": "prod"},
    {"no.service": "x"},
)


@functools.cache
def spans() -> ExportTraceServiceRequest:
    """Answer one request, so that all of it is counted in one flush."""
    request = ExportTraceServiceRequest()
    for each in INPUTS["varied"]()["traces"]:
        request.MergeFrom(each)
    rng = random.Random(6)
    for number, resource in enumerate(RESOURCES):
        group = request.resource_spans.add(resource=Resource(attributes=attributes(resource)))
        inner = group.scope_spans.add()
        inner.spans.extend(_span(rng, number * 50 + index) for index in range(50))
    return request


def _weight() -> int:
    """Answer how many spans those that are counted stand for."""
    return sum(
        STATES[span.trace_state]
        for group in spans().resource_spans
        if any(one.key == "service.name" for one in group.resource.attributes)
        for inner in group.scope_spans
        for span in inner.spans
    )


# ---------------------------------------------------------------------- running


def _config() -> dict[str, Any]:
    config: dict[str, Any] = {"receivers": {}, "connectors": {}, "exporters": {}, "service": {"pipelines": {}}}
    for case in CASES:
        slug, pipelines = case.slug, config["service"]["pipelines"]
        endpoint = f"127.0.0.1:${{env:{case.port}}}"
        config["receivers"][f"otlp/{slug}"] = {"protocols": {"grpc": {"endpoint": endpoint}}}
        config["connectors"][f"span_metrics/{slug}"] = {"metrics_flush_interval": "1s", **case.options}
        config["exporters"][f"file/{slug}"] = {"path": f"{slug}.bin", "format": "proto", "flush_interval": "100ms"}
        pipelines[f"traces/{slug}"] = {"receivers": [f"otlp/{slug}"], "exporters": [f"span_metrics/{slug}"]}
        pipelines[f"metrics/{slug}"] = {"receivers": [f"span_metrics/{slug}"], "exporters": [f"file/{slug}"]}
    return config


def _send(case: Case, process: ConfiguredProcess) -> None:
    with grpc.insecure_channel(process.endpoint(case.port)) as channel:
        call = channel.unary_unary(METHODS["traces"], lambda message: message.SerializeToString(), None)
        for _ in range(case.times):
            call(spans(), timeout=30)


def _run(subject: type[ConfiguredProcess]) -> dict[str, Outcome]:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with subject(_config(), directory=directory) as process:
            for case in CASES:
                _send(case, process)
            outcomes = {}
            for case in CASES:
                outcomes[case.name] = wait_until(lambda case=case: _complete(case, directory), process, seconds=60)
        return outcomes


def _complete(case: Case, directory: Path) -> Outcome | None:
    outcome = _read(directory / f"{case.slug}.bin")
    calls = sum(int(point["asInt"]) for key, point in outcome.points.items() if key[2].endswith("calls"))
    return outcome if calls == _weight() * case.times else None


# ---------------------------------------------------------------------- reading


def _read(path: Path) -> Outcome:
    outcome = Outcome()
    for body in read_framed(path):
        for key, point in _points(parse_proto("metrics", body)):
            known = outcome.points.get(key)
            outcome.first.setdefault(key, point)
            outcome.points[key] = _added(known, point) if known else point
    return outcome


def _points(request: Any) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield data points by resource, scope, metric and attributes; the instance, which is random, is made the same."""
    for group in MessageToDict(request).get("resourceMetrics", []):
        for inner in group["scopeMetrics"]:
            for metric in inner["metrics"]:
                kind = next(name for name in ("sum", "histogram", "exponentialHistogram") if name in metric)
                data = metric.pop(kind)
                points = data.pop("dataPoints", [])
                for point in points:
                    attrs = _frozen(point.pop("attributes", []))
                    point["delta"] = data["aggregationTemporality"].endswith("DELTA")
                    identity = (_frozen(group.get("resource", {}).get("attributes", [])), inner["scope"]["name"])
                    yield (*identity, metric["name"], metric.get("unit"), kind, str(data), attrs), point


def _frozen(pairs: list[dict[str, Any]]) -> Any:
    known = {pair["key"]: repr(pair.get("value")) for pair in pairs}
    if INSTANCE in known:
        known[INSTANCE] = "random"
    return tuple(sorted(known.items()))


def _added(known: dict[str, Any], point: dict[str, Any]) -> dict[str, Any]:
    """Answer the later point, with the exemplars of both; delta points never come twice in these cases."""
    assert not point["delta"], "one request was counted in two flushes"
    return {**point, "exemplars": known.get("exemplars", []) + point.get("exemplars", [])}


def canonical(outcome: Outcome) -> Counter[Any]:
    """Answer all points without their times."""
    found: Counter[Any] = Counter()
    for key, point in outcome.points.items():
        values = {name: repr(value) for name, value in point.items() if "UnixNano" not in name and value != {}}
        exemplars = sorted(
            (one.get("traceId", ""), one.get("spanId", ""), repr(one["asDouble"])) for one in point.get("exemplars", [])
        )
        values["exemplars"] = repr(exemplars)
        found[(tuple(("key", str(part)) for part in key), tuple(sorted(values.items())))] += 1
    return found


@functools.cache
def outcomes(subject: str) -> dict[str, Outcome]:
    return _run(SUBJECTS[subject])


def _parameters() -> list[Any]:
    return [pytest.param(case, id=case.slug, marks=case.marks) for case in CASES]


@pytest.mark.parametrize("case", _parameters())
def test_equal_metrics(case: Case) -> None:
    """Every series with its resource, scope, name, unit, kind, temporality, attributes, values and exemplars."""
    ours, theirs = (canonical(outcomes(subject)[case.name]) for subject in ("ours", "theirs"))
    assert theirs
    difference = describe_difference(ours, theirs)
    assert not difference, difference


def test_sums_begin_at_zero() -> None:
    """A cumulative sum is told as zero first, so that its beginning is seen; delta sums and histograms are not."""
    for subject in SUBJECTS:
        for case in CASES:
            first = outcomes(subject)[case.name].first.items()
            zeros = {point["asInt"] == "0" for key, point in first if key[4] == "sum"}
            assert zeros == {not any(point["delta"] for _, point in first)}, (subject, case.name)
