"""The same backends, the same data, our daemon and the real Collector: every item goes to the same backend."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
import pytest

from tests.integration.collector.inputs import INPUTS
from tests.support.otlp_servers import GrpcServer
from tests.support.peers import Collector, ConfiguredProcess, Daemon
from tests.support.peers.canonical import SignalName, canonical_items, describe_difference, parse_proto
from untrace_pipeline.data import Batch, Field, Level, Signal, attribute
from untrace_pipeline.testing import make_request

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240), pytest.mark.xdist_group("load_balancing")]

BACKENDS = 5
POINT = (
    attribute("service.name", Level.RESOURCE),
    Field(Level.METRIC, "name"),
    attribute("n"),
    Field(Level.ITEM, "time_unix_nano"),
)
METHODS: Mapping[SignalName, str] = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}


@dataclass(frozen=True)
class Case:
    """One way of routing one signal."""

    signal: SignalName
    routing_key: str = ""
    attributes: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Part of component ids, and the header by which backends tell the cases apart."""
        return "_".join(filter(None, (self.signal, self.routing_key.lower(), *(("queued",) if self.options else ()))))


CASES = [
    Case("traces"),
    Case("traces", "traceID", options={"sending_queue": {"enabled": True}, "retry_on_failure": {"enabled": True}}),
    Case("traces", "service"),
    Case("traces", "attributes", ("service.name", "span.kind", "nothing", "span.name")),
    Case("logs"),
    Case("logs", "traceID"),
    Case("logs", "resource"),
    Case("logs", "attributes", ("log.severity", "service.name", "nothing")),
    Case("metrics"),
    Case("metrics", "metric"),
    Case("metrics", "resource"),
    Case("metrics", "streamID"),
    Case("metrics", "attributes", ("n", "service.name", "nothing")),
]


def requests(case: Case) -> list[Any]:
    """Return what is sent: made-up requests of many resources, and the varied ones of the other comparisons.

    Without those where the Collector has no rule: it drops metrics without a service, and logs without a trace go
    anywhere.
    """
    made = [make_request(Signal(case.signal), 60, resources=6, seed=seed) for seed in range(5)]
    ruled = case.signal == "traces" or (case.signal == "logs" and case.routing_key != "traceID")
    return [*made, *(INPUTS["varied"]()[case.signal] if ruled else ())]


def exporter(case: Case, endpoints: list[str]) -> dict[str, Any]:
    """Return the options of one exporter."""
    key: dict[str, Any] = {"routing_key": case.routing_key} if case.routing_key else {}
    names = {"routing_attributes": list(case.attributes)} if case.attributes else {}
    otlp = {"tls": {"insecure": True}, "compression": "none", "headers": {"x-case": case.name}}
    resolver = {"static": {"hostnames": endpoints}}
    return {**key, **names, **case.options, "protocol": {"otlp": otlp}, "resolver": resolver}


def config(endpoints: list[str]) -> dict[str, Any]:
    """Return one config with all cases beside each other."""
    found: dict[str, Any] = {"receivers": {}, "exporters": {}, "service": {"pipelines": {}}}
    for case in CASES:
        listen = f"127.0.0.1:${{env:{case.name.upper()}_PORT}}"
        found["receivers"][f"otlp/{case.name}"] = {"protocols": {"grpc": {"endpoint": listen}}}
        found["exporters"][f"load_balancing/{case.name}"] = exporter(case, endpoints)
        found["service"]["pipelines"][f"{case.signal}/{case.name}"] = {
            "receivers": [f"otlp/{case.name}"],
            "exporters": [f"load_balancing/{case.name}"],
        }
    return found


@asynccontextmanager
async def backends() -> AsyncIterator[list[GrpcServer]]:
    """Run the backends, the same for both subjects: their addresses are what is hashed."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(GrpcServer()) for _ in range(BACKENDS)]


async def dealt(subject: type[ConfiguredProcess], servers: list[GrpcServer]) -> dict[tuple[str, int], Counter[Any]]:
    """Send everything through a subject; return what each backend got of each case."""
    for server in servers:
        server.accepted.clear()
    async with subject(config([server.address for server in servers])) as process:
        for case in CASES:
            async with grpc.aio.insecure_channel(process.endpoint(f"{case.name.upper()}_PORT")) as channel:
                call = channel.unary_unary(METHODS[case.signal], request_serializer=lambda one: one.SerializeToString())
                for request in requests(case):
                    await call(request, timeout=30)
    found: dict[tuple[str, int], Counter[Any]] = {}
    for case in CASES:
        for number, server in enumerate(servers):
            bodies = [one.batch.to_otlp() for one in server.accepted if one.headers.get("x-case") == case.name]
            found[case.name, number] = contents(case, bodies)
    return found


def contents(case: Case, bodies: Iterable[bytes]) -> Counter[Any]:
    """Return the items of some requests; of metrics the single points, since the Collector joins equal metrics."""
    if case.signal == "metrics":
        return Counter(point for body in bodies for point in _points(Batch(Signal.METRICS, body)))
    return canonical_items(case.signal, [parse_proto(case.signal, body) for body in bodies])


def _points(batch: Batch) -> Iterator[tuple[Any, ...]]:
    return zip(*batch.columns(POINT, Level.ITEM), strict=True)


@pytest.mark.usefixtures("both_daemons")
async def test_every_item_goes_to_the_same_backend() -> None:
    """For every routing key of every signal, with all that the item carries."""
    async with backends() as servers:
        ours = await dealt(Daemon, servers)
        theirs = await dealt(Collector, servers)
    differences = {}
    for case in CASES:
        places = [(case.name, number) for number in range(BACKENDS)]
        assert sum(bool(theirs[place]) for place in places) > 1, f"{case.name} shows nothing"
        expected = contents(case, [request.SerializeToString() for request in requests(case)])
        assert sum((ours[place] for place in places), Counter()) == expected, f"{case.name}: something is missing"
        for place in places:
            if difference := describe_difference(ours[place], theirs[place]):
                differences[place] = difference
    assert not differences
