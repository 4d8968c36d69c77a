"""The road from outside: a separate distribution, built and installed into a clean environment, runs in a pipeline."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

import orjson
import pytest

from tests.support.peers import Daemon
from tests.support.wait import wait_until
from untrace_pipeline.data import Signal
from untrace_pipeline.testing import make_batch

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, timeout: float = 300) -> str:
    """Run a command to its end and return what it printed; a failure shows both streams."""
    argv = [str(part) for part in command]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the ``bin`` of a fresh environment with both wheels and nothing of the checkout."""
    directory = tmp_path_factory.mktemp("clean")
    wheels = directory / "wheels"
    for source in (ROOT, ROOT / "plugins" / "example"):
        run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", wheels, source)
    venv.create(directory / "venv", with_pip=True)
    binaries = directory / "venv" / "bin"
    install = [binaries / "python", "-m", "pip", "install", "-q", "--constraint", ROOT / "constraints.txt"]
    run(*install, *sorted(wheels.glob("*.whl")))
    return binaries


@pytest.mark.e2e
@pytest.mark.timeout(400)
def test_plugin_is_listed_with_its_package(environment: Path) -> None:
    """``components`` shows the plugin, its version and the package that brought it."""
    listed = json.loads(run(environment / "untrace-pipeline", "components", "--json"))
    (found,) = [one for one in listed if one["type"] == "text_length"]
    assert (found["kind"], found["package"], found["version"]) == ("processors", "untrace-pipeline-example", "0.1.0")


@pytest.mark.e2e
@pytest.mark.timeout(400)
def test_plugin_runs_in_a_pipeline(environment: Path, tmp_path: Path) -> None:
    """The installed daemon runs the stranger's processor between its own receiver and exporter."""

    class Installed(Daemon):
        def command(self, config: Path) -> list[str]:
            return [str(environment / "untrace-pipeline"), "run", "--config", str(config)]

    source = tmp_path / "in.jsonl"
    source.write_text(make_batch(Signal.TRACES, 2, attributes={"question": "why?"}).to_json().decode() + "\n")
    config = {
        "receivers": {"otlp_json_file": {"include": [str(source)], "start_at": "beginning"}},
        "processors": {"text_length": {"attributes": ["question"]}},
        "exporters": {"file": {"path": str(tmp_path / "out.jsonl"), "flush_interval": "20ms"}},
        "service": {
            "pipelines": {
                "traces": {"receivers": ["otlp_json_file"], "processors": ["text_length"], "exporters": ["file"]}
            }
        },
    }
    output = tmp_path / "out.jsonl"
    with Installed(config, directory=tmp_path / "daemon") as daemon:
        line = wait_until(lambda: output.read_bytes().rpartition(b"\n")[0] if output.exists() else b"", daemon)
    spans = orjson.loads(line.splitlines()[0])["resourceSpans"][0]["scopeSpans"][0]["spans"]
    lengths = [a["value"] for span in spans for a in span["attributes"] if a["key"] == "question.length"]
    assert lengths == [{"intValue": "4"}, {"intValue": "4"}]
