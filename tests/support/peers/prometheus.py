"""The real Prometheus and its promtool, built from the Go module pinned in `prometheus/go.mod`."""

from __future__ import annotations

import json
import subprocess
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from tests.support.peers.cache import build_go_programs
from tests.support.peers.process import free_port

__all__ = ["PROMETHEUS_RECIPE", "Prometheus", "prometheus_binaries"]

PROMETHEUS_RECIPE = Path(__file__).parent / "prometheus"
PROMETHEUS_OVERRIDE = "UNTRACE_PEER_PROMETHEUS"
PACKAGES = ("github.com/prometheus/prometheus/cmd/prometheus", "github.com/prometheus/prometheus/cmd/promtool")
WITHOUT_DISCOVERY = "remove_all_sd"
"""Leaves out the clients of all clouds, which take most of the time to build."""


def prometheus_binaries(*, build: bool = True) -> Path:
    """Answer the directory with `prometheus` and `promtool`; `UNTRACE_PEER_PROMETHEUS` names another one.

    Raises `PeerUnavailable` with the reason; with `build=False` also when they are not built yet.
    """
    return build_go_programs(
        "prometheus", PROMETHEUS_RECIPE, PACKAGES, PROMETHEUS_OVERRIDE, tags=WITHOUT_DISCOVERY, build=build
    )


STOP_SECONDS = 20.0


class Prometheus:
    """A running Prometheus: `with Prometheus(config) as server: server.query("up")`."""

    def __init__(self, config: Mapping[str, Any], *arguments: str) -> None:
        self._binary = prometheus_binaries(build=False) / "prometheus"
        self._config = config
        self._arguments = arguments
        self._directory = tempfile.TemporaryDirectory(prefix="prometheus-")
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it serves, without a slash at the end."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def log(self) -> str:
        """All that it has written so far."""
        path = Path(self._directory.name, "output.log")
        return path.read_text(errors="replace") if path.exists() else ""

    def ask(self, path: str, **parameters: str) -> Any:
        """Answer `data` of an API call; `None` while it does not answer, or with an error."""
        url = f"http://127.0.0.1:{self._port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except (OSError, KeyError):
            return None

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Answer the samples of an instant query, without those that are no number."""
        data = self.ask("query", query=expression)
        return [one for one in (data or {}).get("result", []) if one.get("value", [0, ""])[1] != "NaN"]

    def __enter__(self) -> Self:
        directory = Path(self._directory.name)
        (directory / "prometheus.yaml").write_text(yaml.safe_dump(dict(self._config)))
        self._port = free_port()
        command = [
            str(self._binary),
            "--config.file=prometheus.yaml",
            "--storage.tsdb.path=data",
            f"--web.listen-address=127.0.0.1:{self._port}",
            "--enable-feature=exemplar-storage",
            *self._arguments,
        ]
        with (directory / "output.log").open("wb") as log:
            self._process = subprocess.Popen(command, cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._directory.cleanup()
