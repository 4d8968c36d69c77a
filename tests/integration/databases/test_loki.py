"""The exporter ``loki_push`` against a real Loki: what is found by labels and metadata, and what it refuses."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from tests.support.exporters import QUICK_RETRY, Running, running
from tests.support.peers import Loki, loki_binary, peer_or_skip
from tests.support.wait import wait_until
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.data.compose import NewLog, NewSpan, Scope, compose_logs, compose_spans
from untrace_plugins.exporters.loki_push import FACTORY

pytestmark = [pytest.mark.once, pytest.mark.peer, pytest.mark.timeout(240), pytest.mark.xdist_group("loki")]

TRACE, SPAN = bytes(range(16)), bytes(range(8))
DAY = 86_400


@pytest.fixture(scope="module")
def loki() -> Iterator[Loki]:
    with peer_or_skip():
        loki_binary(build=False)
    with Loki(max_line_size="20KB", max_line_size_truncate=False) as server:
        yield server


def pushing(server: Loki, **options: Any) -> AbstractAsyncContextManager[Running]:
    given = {"endpoint": server.url, "retry_on_failure": QUICK_RETRY, **options}
    return running(FACTORY, given, signals=[Signal.LOGS, Signal.TRACES])


def logs(service: str, *bodies: str, seconds: float = 10, **attributes: Any) -> Batch:
    """Return records of a service, a nanosecond apart, so many seconds ago."""
    start = time.time_ns() - int(seconds * 1e9)
    made = [
        NewLog(
            start + number, body, attributes, severity_number=17, severity_text="Error", trace_id=TRACE, span_id=SPAN
        )
        for number, body in enumerate(bodies)
    ]
    return Batch(Signal.LOGS, compose_logs({"service.name": service, "host.name": "a"}, Scope("tests"), made))


def found(server: Loki, query: str, count: int) -> list[tuple[dict[str, str], str, str]]:
    """Return what a query finds, once there is as much as there should be."""

    def enough() -> bool:
        try:
            return len(server.query(query)) >= count
        except OSError:  # it takes pushes long before it answers queries
            return False

    wait_until(enough, server, seconds=60)
    return server.query(query)


@pytest.mark.parametrize("encoding", ["json", "protobuf"])
async def test_records_are_read_back(loki: Loki, encoding: str) -> None:
    """By labels and by metadata; the line has all of it, the time all its nanoseconds."""
    service, batch = f"records-{encoding}", logs(f"records-{encoding}", "one", "two", "three", model="gpt-4o")
    async with pushing(loki, encoding=encoding, labels={"cluster": "c1"}) as r:
        await r.consume(batch)
        await r.until_idle(30)
        assert r.dropped == {}
        assert [one.ok for one in await r.exporter.probe()] == [True, True]
    lines = found(loki, f'{{service_name="{service}", cluster="c1", level="error"}} | trace_id="{TRACE.hex()}"', 3)
    assert [json.loads(line)["body"] for _, _, line in lines] == ["one", "two", "three"]
    times = [int(nanos) for _, nanos, _ in lines]
    assert times == [times[0], times[0] + 1, times[0] + 2]
    labels = lines[0][0]
    assert (labels["model"], labels["host_name"], labels["span_id"]) == ("gpt-4o", "a", SPAN.hex())
    assert len(found(loki, f'{{service_name="{service}"}} | json | attributes_model="gpt-4o"', 3)) == 3


async def test_spans_are_lines(loki: Loki) -> None:
    """Found by how long they took."""
    now = time.time_ns()
    span = NewSpan(TRACE, SPAN, "chat", now - 7 * 10**9, now, kind=3, attributes={"gen_ai.request.model": "gpt-4o"})
    async with pushing(loki) as r:
        await r.consume(Batch(Signal.TRACES, compose_spans({"service.name": "spans"}, Scope("tests"), [span])))
        await r.until_idle(30)
    query = '{service_name="spans", signal="traces"} | gen_ai_request_model="gpt-4o" | json | duration_ms > 5000'
    [(_, _, line)] = found(loki, query, 1)
    assert (json.loads(line)["name"], json.loads(line)["kind"]) == ("chat", "Client")


async def test_only_what_is_too_old_is_refused(loki: Loki) -> None:
    """Loki takes the others of the same push, and we count as it does."""
    batch = Batch.merge([logs("old", "a", "b", seconds=30 * DAY), logs("old", "c", "d", "e")])
    async with pushing(loki) as r:
        await r.consume(batch)
        await r.until_idle(30)
        assert r.meter.value("exporter_rejected_log_records") == 2
        assert r.meter.value("exporter_sent_log_records") == 3
    assert [json.loads(line)["body"] for _, _, line in found(loki, '{service_name="old"}', 3)] == ["c", "d", "e"]


async def test_all_too_old_is_given_up(loki: Loki) -> None:
    """Nothing was taken: a dead letter, where they are kept."""
    async with pushing(loki) as r:
        await r.consume(logs("older", "a", "b", seconds=30 * DAY))
        await r.until_idle(30)
        assert r.dropped == {"permanent": 2}


async def test_a_long_line_is_cut_or_refused_alone(loki: Loki) -> None:
    """With our limit, its attributes are cut; without, Loki refuses it, and takes the others."""
    for longest, service, rejected in (("20KB", "cut", 0), ("1MB", "long", 1)):
        batch = Batch.merge([logs(service, "a", "b"), logs(service, "c", seconds=5, prompt="x" * 50_000)])
        async with pushing(loki, max_line_bytes=longest, oversize="truncate") as r:
            await r.consume(batch)
            await r.until_idle(30)
            assert r.meter.value("exporter_rejected_log_records") == rejected
            assert r.dropped == {}
        lines = found(loki, f'{{service_name="{service}"}}', 3 - rejected)
        assert [json.loads(line)["body"] for _, _, line in lines] == ["a", "b", "c"][: 3 - rejected]


async def test_a_tenant_and_its_limits() -> None:
    """Without one: 401, for good. Above the rate: 429, tried again until it passes."""
    with peer_or_skip():
        loki_binary(build=False)
    with Loki(tenants=True, ingestion_rate_mb=0.01, ingestion_burst_size_mb=0.02) as server:
        async with pushing(server) as r:
            await r.consume(logs("nobody", "a"))
            await r.until_idle(30)
            assert r.dropped == {"permanent": 1}
        options = {"tenant": "acme", "sending_queue": {"batch": None, "num_consumers": 1}}
        async with pushing(server, circuit_breaker={"enabled": False}, **options) as r:
            for _ in range(4):
                await r.consume(logs("acme", "x" * 9000))
            await r.until_idle(60)
            assert r.dropped == {}
            assert r.meter.value("exporter_retries") > 0
            assert r.meter.value("exporter_sent_log_records") == 4
