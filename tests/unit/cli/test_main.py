"""The command line itself: commands, exit codes, hints, lazy imports."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Run
from untrace_pipeline.engine import service

COMMANDS = ["run", "validate", "print-config", "components", "schema", "test", "dlq", "replay"]
COMMANDS += ["dlq list", "dlq show", "dlq export", "dlq purge"]


def in_new_process(code: str) -> str:
    """Run Python code in a fresh interpreter and return what it prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


def test_version(run: Run) -> None:
    """``--version`` names the program and its version."""
    outcome = run("--version")
    assert (outcome.code, outcome.out.split()[0]) == (0, "untrace-pipeline")
    assert outcome.out.split()[1][0].isdigit()


def test_module_is_the_command() -> None:
    """``python -m untrace_pipeline`` is the same program."""
    done = subprocess.run(
        [sys.executable, "-m", "untrace_pipeline", "--version"], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.startswith("untrace-pipeline ")


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_exists(run: Run, command: str) -> None:
    """Every command explains itself."""
    outcome = run(*command.split(), "--help")
    assert outcome.code == 0
    assert "usage: untrace-pipeline" in outcome.out
    assert len(outcome.out) > 200


def test_unknown_command(run: Run) -> None:
    """A mistyped command is bad usage and names what was probably meant."""
    outcome = run("vaildate", "--config", "x.yaml")
    assert outcome.code == 2
    assert "unknown command 'vaildate'" in outcome.err
    assert "did you mean: validate?" in outcome.err


def test_unknown_option(run: Run) -> None:
    """A mistyped option is bad usage and names what was probably meant."""
    outcome = run("validate", "--config", "x.yaml", "--environmnet")
    assert outcome.code == 2
    assert "did you mean: --environment?" in outcome.err


def test_mistyped_required_option(run: Run) -> None:
    """A required option that was mistyped is not said to be missing."""
    outcome = run("run", "--confg=x.yaml")
    assert outcome.code == 2
    assert "unrecognized arguments: --confg=x.yaml" in outcome.err
    assert "did you mean: --config?" in outcome.err
    assert "are required: -c/--config" in run("run").err


@pytest.mark.parametrize("arguments", [["run"], ["validate"], ["test"], []])
def test_no_config(run: Run, arguments: list[str]) -> None:
    """A command that needs a configuration says so."""
    outcome = run(*arguments)
    assert outcome.code == 2
    assert "--config" in outcome.err


@pytest.mark.parametrize("form", ["--config={}", "--config {}", "-c {}", "run --config {}", "run --config=file:{}"])
def test_run_is_the_default_command(run: Run, good: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """The Collector's ways of calling it run the service, with its exit code."""
    seen: list[Any] = []

    async def run_service(loaded: Any, reload: Any, *, watch: bool) -> int:
        seen.extend([loaded, reload(), watch])
        return 7

    monkeypatch.setattr(service, "run_service", run_service)
    outcome = run(*form.format(good).split(), "--watch", "--feature-gates=+a.b", "--set", "exporters.send.retries=1")
    assert outcome.code == 7
    loaded, again, watch = seen
    assert watch is True
    assert loaded.files == (good,)
    exporter = next(one for one in loaded.spec.components.values() if str(one.id) == "send")
    assert exporter.config.retries == 1
    assert again.spec.components == loaded.spec.components
    assert "--feature-gates" in outcome.err


def test_file_names_need_not_be_text() -> None:
    """A file name of any bytes can be named in messages, in JSON too."""
    command = [
        sys.executable.encode(),
        b"-m",
        b"untrace_pipeline",
        b"validate",
        b"--json",
        b"--config",
        b"caf\xe9.yaml",
    ]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert done.returncode == 2
    assert json.loads(done.stdout.replace(b"\\udce9", b"?"))["problems"][0]["code"] == "unreadable-source"
    assert b"Traceback" not in done.stderr


def test_reader_may_leave() -> None:
    """A pipe whose reader has gone ends a command quietly."""
    command = f"{sys.executable} -m untrace_pipeline schema | head -c 10"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == ""


def test_run_refuses_a_wrong_configuration(run: Run, tmp_path: Path) -> None:
    """Nothing is started with a wrong file: code 2 and all problems."""
    (tmp_path / "wrong.yaml").write_text("receivers:\n  lisen:\nexporter:\n")
    outcome = run("--config", tmp_path / "wrong.yaml")
    assert outcome.code == 2
    assert "did you mean: listen?" in outcome.err
    assert "did you mean: exporters?" in outcome.err
    assert "3 problems; nothing was started" in outcome.err


def test_version_imports_no_networking() -> None:
    """``--version`` and ``validate`` are quick: neither loads grpc, aiohttp, protobuf or the native extension."""
    code = """
import sys
from untrace_pipeline.cli import main
main({arguments})
heavy = ("grpc", "aiohttp", "google.protobuf", "uvloop", "hyperscan", "untrace_pipeline_native")
print([name for name in heavy if name in sys.modules])
"""
    assert in_new_process(code.format(arguments=["--version"])).endswith("[]\n")
    quickstart = str(Path(__file__).resolve().parents[3] / "configs" / "quickstart.yaml")
    assert in_new_process(code.format(arguments=["validate", "--config", quickstart])).endswith("[]\n")
