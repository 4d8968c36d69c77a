"""The daemon as a process: start, stop, reload, faults at its edges."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.peers import Daemon
from tests.support.peers.daemon import daemon_command
from tests.support.peers.process import free_port
from tests.support.service import run_to_end, spans
from tests.support.wait import wait_until
from untrace_pipeline.data import Signal
from untrace_pipeline.testing import make_request

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.e2e

RECEIVER = {"otlp": {"protocols": {"http": {"endpoint": "127.0.0.1:${env:HTTP_PORT}"}}}}
SLOW_TO_GIVE_UP = {"initial_interval": "20ms", "max_interval": "50ms", "max_elapsed_time": "0s"}


def config(exporters: dict[str, Any], processors: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a config of one traces pipeline, OTLP/HTTP in."""
    return {
        "receivers": RECEIVER,
        "processors": processors or {},
        "exporters": exporters,
        "service": {
            "pipelines": {
                "traces": {"receivers": ["otlp"], "processors": list(processors or {}), "exporters": list(exporters)}
            }
        },
    }


def post(daemon: Daemon, items: int = 10, seed: int = 0) -> None:
    """Send one request of spans; raises unless it is acknowledged."""
    body = make_request(Signal.TRACES, items, seed=seed).SerializeToString()
    request = urllib.request.Request(
        f"http://{daemon.endpoint('HTTP_PORT')}/v1/traces", body, {"Content-Type": "application/x-protobuf"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status == 200


def test_quickstart_shows_the_demo_masked(tmp_path: Path) -> None:
    """The quickstart config shows what the demo sends on the console and in the file, with personal data masked."""
    quickstart = yaml.safe_load((ROOT / "configs/quickstart.yaml").read_text())
    protocols = quickstart["receivers"]["otlp"]["protocols"]
    protocols["grpc"]["endpoint"] = "localhost:${env:GRPC_PORT}"
    protocols["http"]["endpoint"] = "localhost:${env:HTTP_PORT}"
    quickstart["extensions"]["health_check"]["endpoint"] = "localhost:${env:HEALTH_PORT}"
    output = tmp_path / "out" / "telemetry.jsonl"
    with Daemon(quickstart, directory=tmp_path) as daemon:
        environment = os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://localhost:{daemon.ports['GRPC_PORT']}"}
        demo = [sys.executable, str(ROOT / "examples/demo.py")]
        subprocess.run(demo, env=environment, check=True, timeout=60, capture_output=True)
        text = wait_until(
            lambda: (t := output.read_text() if output.exists() else "").count("chat ") >= 4 and t, daemon
        )
        wait_until(lambda: "chat gpt-4o-mini" in daemon.log, daemon)
    for secret in ("jane.roe@example.org", "078-05-1120"):
        assert secret not in text
        assert secret not in daemon.log
    assert daemon.returncode == 0


def test_run_is_the_default_command(tmp_path: Path) -> None:
    """``untrace-pipeline --config=…`` runs, as the Collector's Helm chart and Operator call it."""

    class Bare(Daemon):
        def command(self, path: Path) -> list[str]:
            return [daemon_command(), f"--config={path}"]

    with Bare(config({"file": {"path": "out.jsonl"}}), directory=tmp_path) as daemon:
        post(daemon)
    assert daemon.returncode == 0
    assert len(spans(tmp_path / "out.jsonl")) == 10


def test_sigterm_delivers_what_was_accepted(tmp_path: Path) -> None:
    """Everything that was acknowledged before SIGTERM is delivered before the process ends."""
    exporter = {"path": "out.jsonl", "flush_interval": "10s"}
    with Daemon(config({"file": exporter}), directory=tmp_path) as daemon:
        for seed in range(20):
            post(daemon, seed=seed)
    assert daemon.returncode == 0
    assert len(spans(tmp_path / "out.jsonl")) == 200


def test_sigterm_says_what_was_left(tmp_path: Path) -> None:
    """With a dead destination the daemon ends within its deadline and says how much was not delivered."""
    exporter = {"endpoint": f"127.0.0.1:{free_port()}", "tls": {"insecure": True}}
    settings = config({"otlp_grpc": exporter})
    settings["service"]["shutdown_timeout"] = "1s"
    with Daemon(settings, directory=tmp_path) as daemon:
        post(daemon, items=7)
    assert "otlp_grpc" in daemon.log
    assert "7 " in daemon.log.split("127.0.0.1", 1)[-1] or "7 spans" in daemon.log


def test_destination_that_comes_later_gets_everything(tmp_path: Path) -> None:
    """A destination that is down at the start gets everything that was accepted once it is up, and nothing twice."""
    port = free_port()
    exporter = {"endpoint": f"127.0.0.1:{port}", "tls": {"insecure": True}, "retry_on_failure": SLOW_TO_GIVE_UP}
    backend = {
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": f"127.0.0.1:{port}"}}}},
        "exporters": {"file": {"path": "out.jsonl"}},
        "service": {"pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["file"]}}},
    }
    with Daemon(config({"otlp_grpc": exporter}), directory=tmp_path / "front") as daemon:
        for seed in range(5):
            post(daemon, seed=seed)
        with Daemon(backend, directory=tmp_path / "backend"):
            wait_until(lambda: len(spans(tmp_path / "backend" / "out.jsonl")) >= 50, daemon)
    counts = Counter(span["spanId"] for span in spans(tmp_path / "backend" / "out.jsonl"))
    assert len(counts) == 50
    assert set(counts.values()) == {1}


def test_dead_destination_disturbs_nobody(tmp_path: Path) -> None:
    """With one destination down and its queue full, the other gets everything, once, and the sender is acknowledged."""
    dead = {
        "endpoint": f"127.0.0.1:{free_port()}",
        "tls": {"insecure": True},
        "sending_queue": {"queue_size": 2, "num_consumers": 1},
        "retry_on_failure": SLOW_TO_GIVE_UP,
    }
    settings = config({"otlp_grpc/dead": dead, "file": {"path": "out.jsonl", "flush_interval": "20ms"}})
    settings["service"]["shutdown_timeout"] = "1s"
    settings["service"]["telemetry"] = {
        "metrics": {"readers": [{"pull": {"exporter": {"prometheus": {"host": "127.0.0.1", "port": free_port()}}}}]}
    }
    address = settings["service"]["telemetry"]["metrics"]["readers"][0]["pull"]["exporter"]["prometheus"]
    with Daemon(settings, directory=tmp_path) as daemon:
        for seed in range(30):
            post(daemon, seed=seed)
        wait_until(lambda: len(spans(tmp_path / "out.jsonl")) == 300, daemon)
        with urllib.request.urlopen(f"http://127.0.0.1:{address['port']}/metrics", timeout=5) as answer:
            metrics = answer.read().decode()
    counts = Counter(span["spanId"] for span in spans(tmp_path / "out.jsonl"))
    assert len(counts) == 300
    assert set(counts.values()) == {1}
    dropped = [line for line in metrics.splitlines() if "dropped_items_total{" in line and "queue_full" in line]
    assert dropped
    assert float(dropped[0].rsplit(" ", 1)[1]) >= 250


def test_sighup_applies_a_changed_config(tmp_path: Path) -> None:
    """SIGHUP applies the changed file without closing the receiver's port; nothing in flight is lost."""
    action = {"key": "version", "value": "one", "action": "insert"}
    settings = config({"file": {"path": "out.jsonl", "flush_interval": "20ms"}}, {"attributes": {"actions": [action]}})
    with Daemon(settings, directory=tmp_path) as daemon:
        post(daemon, seed=1)
        path = tmp_path / "config.yaml"
        path.write_text(path.read_text().replace("value: one", "value: two"))
        os.kill(daemon.pid, signal.SIGHUP)
        wait_until(lambda: "reload" in daemon.log.lower(), daemon)

        def second_version() -> bool:
            post(daemon, items=1, seed=2)
            return "two" in versions(tmp_path / "out.jsonl")

        wait_until(second_version, daemon)
    assert versions(tmp_path / "out.jsonl")["one"] >= 10


def versions(path: Path) -> Counter[str]:
    """Count the values of the attribute ``version``."""
    return Counter(
        attribute["value"]["stringValue"]
        for span in spans(path)
        for attribute in span["attributes"]
        if attribute["key"] == "version"
    )


def test_sighup_with_a_broken_config_changes_nothing(tmp_path: Path) -> None:
    """A reload of a broken file is refused with the problem and its place, and the old pipelines go on."""
    with Daemon(config({"file": {"path": "out.jsonl"}}), directory=tmp_path) as daemon:
        path = tmp_path / "config.yaml"
        path.write_text(path.read_text().replace("path: out.jsonl", "pth: out.jsonl"))
        os.kill(daemon.pid, signal.SIGHUP)
        wait_until(lambda: "did you mean: path?" in daemon.log, daemon)
        post(daemon)
    assert daemon.returncode == 0
    assert len(spans(tmp_path / "out.jsonl")) == 10


def test_port_in_use_is_named(tmp_path: Path) -> None:
    """A taken port ends the start with exit code 1 and names the component and the address."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = config({"debug": {}})
        settings["receivers"] = {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}}
        settings["service"]["telemetry"] = {"metrics": {"level": "none"}}
        (tmp_path / "c.yaml").write_text(yaml.safe_dump(settings))
        ended = run_to_end("run", "--config", "c.yaml", cwd=tmp_path)
    assert ended.returncode == 1
    assert "otlp" in ended.stderr
    assert str(port) in ended.stderr
    assert "Traceback" not in ended.stderr


def test_unwritable_file_is_named(tmp_path: Path) -> None:
    """An output that cannot be opened ends the start with exit code 1 and names the component and the path."""
    settings = config({"file": {"path": str(tmp_path / "no" / "such" / "out.jsonl")}})
    settings["receivers"] = {"otlp": {"protocols": {"http": {"endpoint": "127.0.0.1:0"}}}}
    settings["service"]["telemetry"] = {"metrics": {"level": "none"}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(settings))
    ended = run_to_end("run", "--config", "c.yaml", cwd=tmp_path)
    assert ended.returncode == 1
    assert "file" in ended.stderr
    assert "no/such" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_bad_config_is_exit_code_2(tmp_path: Path) -> None:
    """A wrong configuration ends with exit code 2 and every problem at its place."""
    (tmp_path / "c.yaml").write_text("receivers: {otlp: {protcols: {}}}\nexporters: {debug: {verbosty: x}}\n")
    ended = run_to_end("validate", "--config", "c.yaml", cwd=tmp_path)
    assert ended.returncode == 2
    assert "c.yaml:1:" in ended.stderr
    assert "did you mean: protocols?" in ended.stderr
    assert "did you mean: verbosity?" in ended.stderr
