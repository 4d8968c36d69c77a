"""Both wheels, installed into a clean environment of each other Python: one abi3 wheel serves them all.

``make wheel-check`` builds the wheels and names their directory in ``UNTRACE_WHEELS``; without it these tests skip.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import orjson
import pytest

from tests.support.peers import Daemon
from tests.support.wait import wait_until
from untrace_pipeline.data import Signal
from untrace_pipeline.testing import make_request

ROOT = Path(__file__).resolve().parents[2]
WHEELS = os.environ.get("UNTRACE_WHEELS", "")
OLDEST = (3, 11)
NO_WHEEL = re.compile(r"ERROR: No matching distribution found for (\S+)")

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not WHEELS, reason="no wheels were built: make wheel-check"),
]

CHAIN = {
    "receivers": {
        "otlp": {"protocols": {"http": {"endpoint": "127.0.0.1:${env:FIRST_PORT}"}}},
        "otlp/grpc": {"protocols": {"grpc": {"endpoint": "127.0.0.1:${env:GRPC_PORT}"}}},
        "otlp/http": {"protocols": {"http": {"endpoint": "127.0.0.1:${env:HTTP_PORT}"}}},
    },
    "processors": {"attributes": {"actions": [{"key": "seen", "value": True, "action": "insert"}]}},
    "exporters": {
        "otlp_grpc": {"endpoint": "127.0.0.1:${env:GRPC_PORT}", "tls": {"insecure": True}},
        "otlp_http": {"endpoint": "http://127.0.0.1:${env:HTTP_PORT}", "compression": "zstd"},
        "file": {"path": "out.jsonl", "flush_interval": "20ms"},
    },
    "service": {
        "pipelines": {
            "traces/1": {"receivers": ["otlp"], "processors": ["attributes"], "exporters": ["otlp_grpc"]},
            "traces/2": {"receivers": ["otlp/grpc"], "exporters": ["otlp_http"]},
            "traces/3": {"receivers": ["otlp/http"], "exporters": ["file"]},
        },
    },
}
"""HTTP in, an edit, gRPC out and in, HTTP out and in, JSON into a file."""


def pythons() -> dict[str, Path]:
    """Return the other Pythons of this machine that are new enough, by version: on PATH, and those of pyenv."""
    found: dict[str, Path] = {}
    places = [Path(place) for place in os.environ.get("PATH", "").split(os.pathsep)]
    places += sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob("versions/*/bin"))
    for path in [path for place in places for path in sorted(place.glob("python3.*"))]:
        if not re.fullmatch(r"python3\.\d+", path.name):
            continue
        code = "import sys; print(*sys.version_info[:2], sep='.')"
        done = subprocess.run([path, "-c", code], capture_output=True, text=True, timeout=60, check=False)
        version = done.stdout.strip()
        if done.returncode == 0 and tuple(map(int, version.split("."))) >= OLDEST:
            found.setdefault(version, path)
    found.pop(f"{sys.version_info.major}.{sys.version_info.minor}", None)
    return found


PYTHONS = pythons() if WHEELS else {}


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    argv = [str(part) for part in command]
    return subprocess.run(argv, capture_output=True, text=True, timeout=500, check=False)


def install(python: Path, directory: Path) -> Path:
    """Return the ``bin`` of a new environment with both wheels; skips where the index has no wheel of a dependency."""
    made = run(python, "-m", "venv", directory)
    assert made.returncode == 0, made.stderr
    pip = [directory / "bin" / "python", "-m", "pip", "install", "--only-binary", ":all:"]
    wheels = sorted(Path(WHEELS).glob("untrace_pipeline*.whl"))
    assert len(wheels) == 2, f"one wheel of each distribution, found: {wheels}"
    done = run(*pip, "--constraint", ROOT / "constraints.txt", *wheels)
    if missing := NO_WHEEL.search(done.stderr):
        pytest.skip(f"the package index has no wheel of {missing.group(1)} for this Python")
    assert done.returncode == 0, done.stdout + done.stderr
    return directory / "bin"


def test_another_python_is_there() -> None:
    """Says so where the check has nothing to check with."""
    if not PYTHONS:
        pytest.skip("no other Python of 3.11 or newer, neither on PATH nor in ~/.pyenv")


@pytest.mark.parametrize("version", PYTHONS)
def test_wheels_work_in_a_clean_environment(version: str, tmp_path: Path) -> None:
    """Codec, ingress and egress are native, and a request passes through all of them."""
    binaries = install(PYTHONS[version], tmp_path / "venv")

    class Installed(Daemon):
        def command(self, config: Path) -> list[str]:
            return [str(binaries / "untrace-pipeline"), "run", "--config", str(config)]

    forced = dict.fromkeys([f"UNTRACE_PIPELINE_{part}" for part in ("CODEC", "INGRESS", "EGRESS")], "native")
    body = make_request(Signal.TRACES, 3).SerializeToString()
    output = tmp_path / "daemon" / "out.jsonl"
    with Installed(CHAIN, directory=tmp_path / "daemon", env={**forced, "PYTHONPATH": ""}) as daemon:
        url = f"http://{daemon.endpoint('FIRST_PORT')}/v1/traces"
        request = urllib.request.Request(url, body, {"Content-Type": "application/x-protobuf"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert answer.status == 200
        line = wait_until(lambda: output.read_bytes().rpartition(b"\n")[0] if output.exists() else b"", daemon)
    spans = orjson.loads(line.splitlines()[0])["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert all({"key": "seen", "value": {"boolValue": True}} in span["attributes"] for span in spans)
    for part in ("codec", "ingress", "egress"):
        assert f"{part} native" in daemon.log
    assert daemon.returncode == 0
