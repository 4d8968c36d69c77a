"""Metrics of LLM calls, from spans over OTLP to the page that Prometheus scrapes, with one process and with several."""

from __future__ import annotations

import http.client
import os
import signal
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.llm_spans import llm_request
from tests.support.peers import Daemon
from tests.support.service import children, get, metric, ready, reloads
from tests.support.wait import wait_until

pytestmark = pytest.mark.e2e

CALLS = 30


def settings(workers: int) -> dict[str, Any]:
    """Return a config: OTLP/HTTP in, both connectors, one page."""
    return {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": "127.0.0.1:${env:HTTP_PORT}"}}}},
        "connectors": {
            "llm_metrics": {"metrics_flush_interval": "200ms", "exclude_dimensions": ["collector.instance.id"]},
            "span_metrics": {"metrics_flush_interval": "200ms"},
        },
        "exporters": {"prometheus": {"endpoint": "127.0.0.1:${env:PAGE_PORT}"}},
        "service": {
            "workers": workers,
            "pipelines": {
                "traces": {"receivers": ["otlp"], "exporters": ["llm_metrics", "span_metrics"]},
                "metrics": {"receivers": ["llm_metrics", "span_metrics"], "exporters": ["prometheus"]},
            },
            "telemetry": {"metrics": {"address": "127.0.0.1:${env:METRICS_PORT}"}},
        },
    }


def send(daemon: Daemon, connections: int) -> int:
    """Send a request over each of many connections; return how many calls that were."""
    for seed in range(connections):
        connection = http.client.HTTPConnection(daemon.endpoint("HTTP_PORT"), timeout=10)
        connection.request("POST", "/v1/traces", llm_request(CALLS, seed), {"content-type": "application/x-protobuf"})
        assert connection.getresponse().status == 200
        connection.close()
    return connections * CALLS


def page(daemon: Daemon) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Return all samples of the page by name and labels."""
    found: dict[str, dict[Any, float]] = defaultdict(dict)
    for family in text_string_to_metric_families(get(daemon, "PAGE_PORT", "/metrics")[1].decode()):
        for sample in family.samples:
            labels = tuple(sorted(sample.labels.items()))
            assert labels not in found[sample.name], "a series is there twice"
            found[sample.name][labels] = sample.value
    return found


def total(daemon: Daemon, name: str) -> float:
    return sum(page(daemon)[name].values())


@pytest.mark.parametrize("workers", [1, 2])
def test_all_calls_are_on_one_page(tmp_path: Path, workers: int) -> None:
    """Whichever worker a connection reaches, its calls are counted once, and one page shows those of all."""
    with Daemon(settings(workers), directory=tmp_path) as daemon:
        calls = send(daemon, 24)
        wait_until(lambda: total(daemon, "llm_requests_total") == calls, daemon)
        wait_until(lambda: total(daemon, "traces_span_metrics_calls_total") == calls, daemon)
        shown = page(daemon)
        assert sum(shown["llm_errors_total"].values()) == calls // 10
        assert sum(shown["gen_ai_client_operation_duration_seconds_count"].values()) == calls
        spans = shown["traces_span_metrics_calls_total"]
        assert len({dict(labels)["collector_instance_id"] for labels in spans}) == workers
        assert any("collector_instance_id" in dict(labels) for labels in shown["llm_requests_total"]) == (workers > 1)
        assert (metric(daemon, "untrace_hop_items_total", way="sent") > 0) == (workers > 1)
    assert daemon.returncode == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_reload_changes_the_page(tmp_path: Path, workers: int) -> None:
    """Another name on the same port: the new page shows what was counted before, because nobody forgot it."""
    with Daemon(settings(workers), directory=tmp_path) as daemon:
        calls = send(daemon, 12)
        wait_until(lambda: total(daemon, "llm_requests_total") == calls, daemon)
        path = tmp_path / "config.yaml"
        path.write_text(path.read_text().replace("PAGE_PORT}", "PAGE_PORT}\n    namespace: ns"))
        os.kill(daemon.pid, signal.SIGHUP)
        wait_until(lambda: shown(daemon, "ns_llm_requests_total") == calls, daemon)
        assert reloads(daemon, "failure") == 0


def test_the_page_survives_its_worker(tmp_path: Path) -> None:
    """When the worker with the page dies, the next one shows what the others counted, all of it."""
    with Daemon(settings(2), directory=tmp_path) as daemon:
        send(daemon, 24)
        wait_until(lambda: len(children(daemon)) == 2, daemon)
        wait_until(lambda: total(daemon, "llm_requests_total") == 24 * CALLS, daemon)
        by_instance: dict[str, float] = defaultdict(float)
        for labels, value in page(daemon)["llm_requests_total"].items():
            by_instance[dict(labels)["collector_instance_id"]] += value
        (first,) = (pid for pid in children(daemon) if listens(pid, daemon.ports["PAGE_PORT"]))
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: ready(daemon)[0] == 200 and listens_again(daemon, first), daemon, seconds=30)
        wait_until(lambda: total(daemon, "llm_requests_total") in by_instance.values(), daemon, seconds=30)


def shown(daemon: Daemon, name: str) -> float | None:
    """Return the total of a metric; ``None`` where the page does not answer, as while it is exchanged."""
    try:
        return total(daemon, name)
    except OSError:
        return None


def listens(pid: int, port: int) -> bool:
    """Return whether a process has a socket that listens on a port."""
    inodes = {
        fields[9]
        for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
        if (fields := line.split())[3] == "0A" and int(fields[1].partition(":")[2], 16) == port
    }
    links = (os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd"))
    return any(link == f"socket:[{inode}]" for link in links for inode in inodes)


def listens_again(daemon: Daemon, before: int) -> bool:
    return any(listens(pid, daemon.ports["PAGE_PORT"]) for pid in children(daemon) if pid != before)
