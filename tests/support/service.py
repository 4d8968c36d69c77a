"""A daemon of one traces pipeline as a process: load for it, what it says of itself, what it has written."""

from __future__ import annotations

import http.client
import itertools
import os
import signal
import subprocess
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from prometheus_client.parser import text_string_to_metric_families

from tests.support.peers import Daemon
from tests.support.peers.daemon import daemon_command
from tests.support.wait import wait_until
from untrace_pipeline.data import Signal
from untrace_pipeline.testing import make_request

__all__ = [
    "WORKER",
    "Load",
    "change",
    "children",
    "config",
    "delivered",
    "get",
    "metric",
    "outputs",
    "ready",
    "reloads",
    "run_to_end",
    "spans",
]

WORKER = "${env:UNTRACE_PIPELINE_WORKER}"
OUTPUT = {"path": f"out-{WORKER}.jsonl", "append": True}


def config(workers: int = 2, **exporters: Any) -> dict[str, Any]:
    """Return a config of one traces pipeline, OTLP/HTTP in, into a file per worker, with metrics on `METRICS_PORT`."""
    exporters = exporters or {"file": OUTPUT}
    return {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": "127.0.0.1:${env:HTTP_PORT}"}}}},
        "exporters": exporters,
        "service": {
            "workers": workers,
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": list(exporters)}},
            "telemetry": {"metrics": {"address": "127.0.0.1:${env:METRICS_PORT}"}},
        },
    }


def get(daemon: Daemon, port: str, path: str) -> tuple[int, bytes]:
    """Return status and body."""
    try:
        with urllib.request.urlopen(f"http://{daemon.endpoint(port)}{path}", timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def ready(daemon: Daemon) -> tuple[int, list[str]]:
    """Return what ``/ready`` says, with its reasons."""
    code, body = get(daemon, "HEALTH_PORT", "/ready")
    return code, orjson.loads(body).get("reasons", [])


def metric(daemon: Daemon, name: str, **labels: str) -> float:
    """Return the sum of the series of a metric that have some labels."""
    text = get(daemon, "METRICS_PORT", "/metrics")[1].decode()
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def children(daemon: Daemon) -> list[int]:
    """Return the process ids of the workers."""
    return [int(pid) for pid in Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()]


def outputs(directory: Path) -> list[Path]:
    """Return the files that workers have written, by number."""
    return sorted(directory.glob("out-*.jsonl"))


def delivered(directory: Path) -> Counter[str]:
    """Count the ids of all spans in all files."""
    return Counter(span["spanId"] for path in outputs(directory) for span in spans(path))


HEADERS = {"Content-Type": "application/x-protobuf"}
_RUNS = itertools.count()
"""So that no two loads of a test send the same ids."""


class Load:
    """Clients with a connection each that send for as long as a block lasts, and know what was acknowledged."""

    def __init__(self, daemon: Daemon, clients: int = 4, items: int = 5, traces: int = 0) -> None:
        """Spans belong to so many traces in all, whoever sends them; 0 = those of the generator."""
        self._address = daemon.endpoint("HTTP_PORT")
        self._items = items
        self._traces = traces
        self._run = next(_RUNS)
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._client, args=(number,)) for number in range(clients)]
        self.acknowledged = 0
        """Spans that were accepted."""
        self.ids: set[str] = set()
        """Their ids."""
        self.failed = 0
        """Requests that were refused, or got no answer."""

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, spans: int, daemon: Daemon) -> None:
        """Wait until so many more spans were acknowledged."""
        wanted = self.acknowledged + spans
        wait_until(lambda: self.acknowledged >= wanted, daemon)

    def _client(self, number: int) -> None:
        connection, sent = self._connect(), 0
        while not self._over.is_set():
            sent += 1
            request = self._request(number, sent)
            try:
                connection.request("POST", "/v1/traces", request.SerializeToString(), HEADERS)
                answer = connection.getresponse()
                answer.read()
                accepted = answer.status == 200
            except (OSError, http.client.HTTPException):
                connection.close()
                connection, accepted = self._connect(), False
            self._count(request, accepted=accepted)
        connection.close()

    def _request(self, client: int, sent: int) -> Any:
        seed = (self._run * 100 + client) * 1_000_000 + sent
        request: Any = make_request(Signal.TRACES, self._items, seed=seed)
        spans = [span for group in request.resource_spans for scope in group.scope_spans for span in scope.spans]
        for number, span in enumerate(spans if self._traces else ()):
            span.trace_id = ((seed + number) % self._traces + 1).to_bytes(16, "big")
        return request

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._address, timeout=30)

    def _count(self, request: Any, *, accepted: bool) -> None:
        with self._lock:
            if not accepted:
                self.failed += 1
                return
            self.acknowledged += self._items
            scopes = (scope for resource in request.resource_spans for scope in resource.scope_spans)
            self.ids |= {span.span_id.hex() for scope in scopes for span in scope.spans}


def spans(path: Path) -> list[dict[str, Any]]:
    """Return the spans in a file of OTLP JSON lines; a line that is still being written does not count yet."""
    if not path.exists():
        return []
    return [
        span
        for line in path.read_bytes().rpartition(b"\n")[0].splitlines()
        for group in orjson.loads(line)["resourceSpans"]
        for scope in group["scopeSpans"]
        for span in scope["spans"]
    ]


def run_to_end(*arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command until it ends by itself."""
    return subprocess.run(
        [daemon_command(), *arguments],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def change(daemon: Daemon, old: str, new: str) -> None:
    """Edit the configuration and let the daemon reload it."""
    path = daemon.directory / "config.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    os.kill(daemon.pid, signal.SIGHUP)


def reloads(daemon: Daemon, outcome: str) -> float:
    """Return how many reloads ended so."""
    return metric(daemon, "untrace_config_reloads_total", outcome=outcome)
