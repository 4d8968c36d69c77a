"""The means by which peers are built and run: what the other tests and the benchmarks stand on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.peers import ConfiguredProcess, PeerProcessError, PeerUnavailable, build_go_program
from tests.support.peers.process import prepare_config

SERVER = """
import http.server, os, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(os.environ["HEALTH_PORT"])), Answer).serve_forever()
"""
FAKE_GO = """#!/bin/sh
echo built >> "$BUILDS"
while [ "$1" != "-o" ]; do shift; done
printf 'program' > "$2"
"""


class _Scripted(ConfiguredProcess):
    """A process that runs a Python program instead of a daemon."""

    name = "scripted"
    program = SERVER

    def command(self, config: Path) -> Sequence[str]:
        return [sys.executable, "-c", self.program]


class _FailsOnce(_Scripted):
    """Finds its port taken at the first start."""

    program = "import os, sys, pathlib\nflag = pathlib.Path('started')\n"
    program += "first = not flag.exists()\nflag.touch()\n"
    program += "if first: sys.exit('listen tcp: bind: address already in use')\n" + SERVER


class _Fails(_Scripted):
    program = "raise SystemExit('bad config: line 1')"


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe, and a `go` that counts its builds in `builds`."""
    directory = tmp_path / "recipe"
    directory.mkdir()
    (directory / "go.mod").write_text("module program\n")
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "go").write_text(FAKE_GO)
    (tools / "go").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("BUILDS", str(tmp_path / "builds"))
    monkeypatch.setenv("UNTRACE_PEERS_DIR", str(tmp_path / "cache"))
    return directory


def _builds(tmp_path: Path) -> int:
    return len((tmp_path / "builds").read_text().split())


def test_builds_once_and_again_for_a_changed_recipe(recipe: Path, tmp_path: Path) -> None:
    """The same recipe is built once; another one has another place."""
    first = build_go_program("program", recipe)
    assert build_go_program("program", recipe) == first
    assert _builds(tmp_path) == 1
    (recipe / "go.mod").write_text("module changed\n")
    assert build_go_program("program", recipe) != first
    assert _builds(tmp_path) == 2


def test_parallel_callers_build_once(recipe: Path, tmp_path: Path) -> None:
    """Callers in several processes wait for one build."""
    code = "import sys, pathlib; from tests.support.peers import build_go_program as build;"
    code += "print(build('program', pathlib.Path(sys.argv[1])))"
    command = [sys.executable, "-c", code, str(recipe)]
    callers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert len({caller.communicate()[0] for caller in callers}) == 1
    assert all(caller.returncode == 0 for caller in callers)
    assert _builds(tmp_path) == 1


def test_no_toolchain_is_a_reason(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Go the caller learns that Go is missing."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PeerUnavailable, match="no Go toolchain"):
        build_go_program("program", recipe)


def test_failed_build_is_a_reason(recipe: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The reason quotes what the build said, and nothing half-built stays."""
    (tmp_path / "tools" / "go").write_text("#!/bin/sh\necho 'module: 403 Forbidden' >&2\nexit 1\n")
    with pytest.raises(PeerUnavailable, match="403 Forbidden"):
        build_go_program("program", recipe)
    assert not list((tmp_path / "cache").glob("*/program"))


def test_not_built_is_a_reason(recipe: Path, tmp_path: Path) -> None:
    """Tests do not start long builds by themselves."""
    with pytest.raises(PeerUnavailable, match="make peers"):
        build_go_program("program", recipe, build=False)
    assert not (tmp_path / "builds").exists()


def test_override_names_a_binary(recipe: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A ready binary is taken as it is; a wrong path is a reason."""
    monkeypatch.setenv("PROGRAM", sys.executable)
    assert build_go_program("program", recipe, "PROGRAM") == Path(sys.executable)
    monkeypatch.setenv("PROGRAM", str(tmp_path / "missing"))
    with pytest.raises(PeerUnavailable, match="does not exist"):
        build_go_program("program", recipe, "PROGRAM")


def test_config_gets_health_check_and_no_metrics_port() -> None:
    """Any config can be waited for, and two daemons do not fight for a port."""
    prepared = prepare_config("receivers: {otlp: {endpoint: '127.0.0.1:${env:GRPC_PORT}'}}")
    assert prepared["extensions"]["health_check"]["endpoint"] == "127.0.0.1:${env:HEALTH_PORT}"
    assert prepared["service"]["extensions"] == ["health_check"]
    assert prepared["service"]["telemetry"]["metrics"]["level"] == "none"


async def test_process_is_ready_inside_and_ended_outside(tmp_path: Path) -> None:
    """Inside the block it answers, with a port for every variable; after it, it has ended."""
    config = {"receivers": {"otlp": {"endpoint": "127.0.0.1:${env:GRPC_PORT}"}}}
    async with _Scripted(config, directory=tmp_path) as process:
        assert set(process.ports) == {"GRPC_PORT", "HEALTH_PORT"}
        assert process.ready_seconds > 0
    assert process.returncode == -15


def test_taken_port_is_retried(tmp_path: Path) -> None:
    """Somebody else took the port first: start again with others."""
    with _FailsOnce({}, directory=tmp_path) as process:
        assert process.pid


def test_failure_to_start_quotes_the_log(tmp_path: Path) -> None:
    """The error has what the process said."""
    with pytest.raises(PeerProcessError, match="bad config: line 1"), _Fails({}, directory=tmp_path):
        pass
