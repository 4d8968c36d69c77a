"""The daemon on a machine that has neither the extension nor anything of cargo."""

from __future__ import annotations

import os
import shutil
import urllib.request
from pathlib import Path

import orjson
import pytest

from tests.support.peers import Daemon
from tests.support.peers.process import PeerProcessError
from tests.support.wait import wait_until
from untrace_pipeline.data import Signal
from untrace_pipeline.testing import make_request

pytestmark = pytest.mark.e2e

REASON = "untrace-pipeline-native is not installed"
BLOCKER = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "untrace_pipeline_native":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
"""
"""Python runs it before anything else, as ``sitecustomize``: the extension is not there, installed or not."""

CONFIG = {
    "receivers": {"otlp": {"protocols": {"http": {"endpoint": "127.0.0.1:${env:HTTP_PORT}"}}}},
    "exporters": {
        "otlp_grpc": {"endpoint": "127.0.0.1:${env:NEXT_PORT}", "tls": {"insecure": True}},
        "file": {"path": "out.jsonl", "flush_interval": "20ms"},
    },
    "service": {
        "telemetry": {
            "metrics": {
                "readers": [
                    {"pull": {"exporter": {"prometheus": {"host": "127.0.0.1", "port": "${env:METRICS_PORT}"}}}}
                ]
            }
        },
        "pipelines": {
            "traces/in": {"receivers": ["otlp"], "exporters": ["otlp_grpc"]},
            "traces/out": {"receivers": ["otlp/next"], "exporters": ["file"]},
        },
    },
}
CONFIG["receivers"]["otlp/next"] = {"protocols": {"grpc": {"endpoint": "127.0.0.1:${env:NEXT_PORT}"}}}


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the environment of such a machine."""
    for name in [name for name in os.environ if name.startswith(("UNTRACE_PIPELINE_", "CARGO", "RUST"))]:
        monkeypatch.delenv(name)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(BLOCKER)
    (tmp_path / "path").mkdir()
    environment = {"PATH": str(tmp_path / "path"), "PYTHONPATH": str(tmp_path / "site")}
    assert not any(shutil.which(tool, path=environment["PATH"]) for tool in ("cargo", "rustc", "maturin"))
    return environment


def test_everything_works_and_the_reason_is_told(bare: dict[str, str], tmp_path: Path) -> None:
    """A request goes in, over gRPC, and out; log, status and metric say that it was Python's doing, and why."""
    body = make_request(Signal.TRACES, 3).SerializeToString()
    output = tmp_path / "daemon" / "out.jsonl"
    with Daemon(CONFIG, directory=tmp_path / "daemon", env=bare) as daemon:
        url = f"http://{daemon.endpoint('HTTP_PORT')}/v1/traces"
        request = urllib.request.Request(url, body, {"Content-Type": "application/x-protobuf"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert answer.status == 200
        line = wait_until(lambda: output.read_bytes().rpartition(b"\n")[0] if output.exists() else b"", daemon)
        with urllib.request.urlopen(f"http://{daemon.endpoint('METRICS_PORT')}/metrics", timeout=20) as answer:
            metrics = answer.read().decode()
        with urllib.request.urlopen(f"http://{daemon.endpoint('HEALTH_PORT')}/status", timeout=20) as answer:
            status = orjson.loads(answer.read())
    assert orjson.loads(line.splitlines()[0])["resourceSpans"]
    summary = f"codec upb, ingress python, egress python ({REASON})"
    assert f"runtime: {summary}\n" in daemon.log
    assert status["runtime"]["message"] == summary
    assert f'untrace_runtime_info{{implementation="upb",part="codec",reason="{REASON}"}} 1' in metrics
    assert daemon.returncode == 0


def test_forcing_what_is_not_there_is_told_at_once(bare: dict[str, str], tmp_path: Path) -> None:
    """The daemon does not start; the message names the variable, the distribution and what mends it."""
    environment = {**bare, "UNTRACE_PIPELINE_INGRESS": "native"}
    daemon = Daemon(CONFIG, directory=tmp_path / "daemon", env=environment)
    with pytest.raises(PeerProcessError):
        daemon.start()
    assert "UNTRACE_PIPELINE_INGRESS asks for the native ingress, but untrace-pipeline-native is" in daemon.log
    assert "pip install 'untrace-pipeline[native]'" in daemon.log
    assert "Traceback" not in daemon.log
