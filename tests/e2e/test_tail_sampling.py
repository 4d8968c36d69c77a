"""Whole traces with the daemon as a process: kills while traces wait, and several workers."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.destination import Destination
from tests.support.peers import Daemon
from tests.support.spans import SpanOf, spans_batch, trace_id
from tests.support.wait import wait_until
from untrace_pipeline.data import Batch, Field, Level

pytestmark = pytest.mark.e2e

TRACES, PARTS = 40, 5
POLICIES = [{"name": "whole", "type": "span_count", "span_count": {"min_spans": PARTS}}]


def config(url: str, sampling: dict[str, Any], *, storage: Path | None = None, workers: int = 1) -> dict[str, Any]:
    """Return a config that keeps traces which are complete."""
    extensions = {"file_storage": {"directory": str(storage), "create_directory": True}} if storage else {}
    kept = {"storage": "file_storage"} if storage else {}
    return {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": "127.0.0.1:${env:HTTP_PORT}"}}}},
        "processors": {"tail_sampling": {"policies": POLICIES, **kept, **sampling}},
        "exporters": {"otlp_http": {"endpoint": url}},
        "extensions": extensions,
        "service": {
            "extensions": list(extensions),
            "workers": workers,
            "telemetry": {
                "metrics": {
                    "readers": [
                        {"pull": {"exporter": {"prometheus": {"host": "127.0.0.1", "port": "${env:METRICS_PORT}"}}}}
                    ]
                }
            },
            "pipelines": {
                "traces": {"receivers": ["otlp"], "processors": ["tail_sampling"], "exporters": ["otlp_http"]}
            },
        },
    }


def part(number: int, traces: Iterable[int]) -> Batch:
    """Return a request with one span of each trace, the ids of which differ."""
    given = list(traces)
    batch = spans_batch([SpanOf(trace, f"{trace}.{number}") for trace in given])
    ids = [(trace * 100 + number + 1).to_bytes(8, "big") for trace in given]
    batch.set(Field(Level.ITEM, "span_id"), ids)
    return batch


def span_ids(traces: Iterable[int]) -> set[bytes]:
    return {(trace * 100 + number + 1).to_bytes(8, "big") for trace in traces for number in range(PARTS)}


def post(daemon: Daemon, batch: Batch) -> None:
    """Send one request on a connection of its own; raises unless it is acknowledged."""
    headers = {"Content-Type": "application/x-protobuf"}
    request = urllib.request.Request(f"http://{daemon.endpoint('HTTP_PORT')}/v1/traces", batch.to_otlp(), headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status == 200


def accounts(daemon: Daemon) -> dict[str, dict[str, Any]]:
    """Return the ledger by kind."""
    with urllib.request.urlopen(f"http://{daemon.endpoint('METRICS_PORT')}/ledger", timeout=20) as answer:
        return {one["kind"]: one for one in orjson.loads(answer.read())["ledger"]}


def test_kills_while_traces_wait(tmp_path: Path) -> None:
    """Each part of a trace comes to another process, and each process is killed: all parts arrive together."""
    with Destination() as destination:
        waiting = config(destination.url, {"decide_on": "idle", "idle_time": "1h"}, storage=tmp_path / "storage")
        for number in range(PARTS):
            daemon = Daemon(waiting, directory=tmp_path)
            daemon.start()
            post(daemon, part(number, range(TRACES)))
            held = accounts(daemon)["processor"]
            assert held["held"] == held["accepted"] == (number + 1) * TRACES
            daemon.kill()
        deciding = config(destination.url, {"decision_wait": "1s"}, storage=tmp_path / "storage")
        with Daemon(deciding, directory=tmp_path) as daemon:
            wait_until(lambda: set(destination.taken) == span_ids(range(TRACES)), daemon)
            account = wait_until(lambda: (found := accounts(daemon)["processor"])["held"] == 0 and found, daemon)
            assert account["passed"] == account["accepted"] == TRACES * PARTS
            assert {one["balance"] for one in accounts(daemon).values()} == {0}
        assert daemon.returncode == 0
        assert set(destination.taken.values()) == {1}


def test_workers_see_whole_traces(tmp_path: Path) -> None:
    """Parts that come on many connections meet in one worker, and the ledger of all adds up."""
    with Destination() as destination:
        settings = config(destination.url, {"decision_wait": "10s"}, workers=2)  # longer than all parts take
        with Daemon(settings, directory=tmp_path) as daemon:
            for number in range(PARTS):
                for begin in range(0, TRACES, 10):
                    post(daemon, part(number, range(begin, begin + 10)))
            post(daemon, part(0, range(TRACES, TRACES + 10)))
            wait_until(lambda: len(destination.taken) >= TRACES * PARTS, daemon)
            account = wait_until(lambda: (found := accounts(daemon)["processor"])["held"] == 0 and found, daemon)
            assert (account["passed"], account["sampled"], account["balance"]) == (TRACES * PARTS, 10, 0)
            assert accounts(daemon)["exporter"]["sampled"] == 10
            assert accounts(daemon)["exporter"]["balance"] == 0
        assert set(destination.taken) == span_ids(range(TRACES))
    assert daemon.returncode == 0


def test_shutdown_decides(tmp_path: Path) -> None:
    """Without a storage, SIGTERM decides about what waits, and delivers what is kept."""
    with Destination() as destination:
        with Daemon(config(destination.url, {"decision_wait": "1h"}), directory=tmp_path) as daemon:
            for number in range(PARTS):
                post(daemon, part(number, range(TRACES)))
            post(daemon, part(0, [TRACES]))
        assert set(destination.taken) == span_ids(range(TRACES))
        assert (
            f"processor tail_sampling: accepted {TRACES * PARTS + 1} = {TRACES * PARTS} passed + 1 sampled"
            in daemon.log
        )
        assert trace_id(0).hex() not in daemon.log
    assert daemon.returncode == 0
