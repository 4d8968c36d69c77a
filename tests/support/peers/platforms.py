"""Real LLM platforms: Phoenix, MLflow, and Datadog's agent for tests."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from tests.support.peers.cache import build_python_environment
from tests.support.peers.process import free_port
from tests.support.peers.server import PeerServer

__all__ = ["DatadogAgent", "MlFlow", "Phoenix", "ddapm_environment", "mlflow_environment", "phoenix_environment"]

RECIPES = Path(__file__).parent


def phoenix_environment(*, build: bool = True) -> Path:
    """Answer the virtual environment of Phoenix; `UNTRACE_PEER_PHOENIX` names another one."""
    return build_python_environment("phoenix", RECIPES / "phoenix", "UNTRACE_PEER_PHOENIX", build=build)


def mlflow_environment(*, build: bool = True) -> Path:
    """Answer the virtual environment of MLflow; `UNTRACE_PEER_MLFLOW` names another one."""
    return build_python_environment("mlflow", RECIPES / "mlflow", "UNTRACE_PEER_MLFLOW", build=build)


def ddapm_environment(*, build: bool = True) -> Path:
    """Answer the virtual environment of Datadog's test agent; `UNTRACE_PEER_DDAPM` names another one."""
    return build_python_environment("ddapm", RECIPES / "ddapm", "UNTRACE_PEER_DDAPM", build=build)


class _Platform(PeerServer):
    """A server that is asked with JSON."""

    start_seconds: ClassVar[float] = 240.0

    def ask(self, path: str, body: Any = None) -> Any:
        """Answer the JSON of a call: GET, or POST of a body."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)


class Phoenix(_Platform):
    """Arize Phoenix with its database in memory. Its gRPC port listens on all interfaces, whatever it is told."""

    name: ClassVar[str] = "phoenix"
    ready_path: ClassVar[str] = "/readyz"

    def command(self) -> Sequence[str]:
        """Run the server."""
        environment = phoenix_environment(build=False)
        return [str(environment / "bin" / "python"), str(environment / "bin" / "phoenix"), "serve"]

    def environment(self) -> Mapping[str, str]:
        """Nothing that asks others."""
        return {
            "PHOENIX_WORKING_DIR": str(self.directory / "data"),
            "PHOENIX_SQL_DATABASE_URL": "sqlite:///:memory:",
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": str(self.port),
            "PHOENIX_GRPC_PORT": str(free_port()),
            "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
            "PHOENIX_TELEMETRY_ENABLED": "false",
            "PHOENIX_DISABLE_AGENT_ASSISTANT": "true",
            "PHOENIX_ENABLE_MCP_SERVER": "false",
        }


class MlFlow(_Platform):
    """An MLflow server with SQLite."""

    name: ClassVar[str] = "mlflow"
    ready_path: ClassVar[str] = "/health"

    def command(self) -> Sequence[str]:
        """Run the server with one worker."""
        environment = mlflow_environment(build=False)
        store = ["--backend-store-uri", f"sqlite:///{self.directory}/mlflow.db"]
        files = ["--artifacts-destination", str(self.directory / "artifacts")]
        place = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        return [str(environment / "bin" / "python"), "-m", "mlflow", "server", *store, *files, *place]

    def environment(self) -> Mapping[str, str]:
        """Nothing that asks others, and no jobs."""
        path = f"{mlflow_environment(build=False) / 'bin'}:/usr/bin:/bin"
        quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
        return {**quiet, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PATH": path}

    def experiment(self, name: str) -> str:
        """Make an experiment and answer its id."""
        return str(self.ask("/api/2.0/mlflow/experiments/create", {"name": name})["experiment_id"])


class DatadogAgent(_Platform):
    """Datadog's agent for tests: traces, LLM Observability, and OTLP at `otlp_url`."""

    name: ClassVar[str] = "ddapm"
    ready_path: ClassVar[str] = "/info"

    def __init__(self) -> None:
        super().__init__()
        self._otlp_port = 0

    @property
    def otlp_url(self) -> str:
        """Where it takes OTLP over HTTP, and tells what it got: `/test/session/{traces,logs,metrics}`."""
        return f"http://127.0.0.1:{self._otlp_port}"

    def command(self) -> Sequence[str]:
        """Run it, without passing anything on."""
        environment = ddapm_environment(build=False)
        self._otlp_port = free_port()
        otlp = ["--otlp-http-port", str(self._otlp_port), "--otlp-grpc-port", str(free_port())]
        program = [str(environment / "bin" / "python"), str(environment / "bin" / "ddapm-test-agent")]
        place = ["--port", str(self.port), *otlp, "--snapshot-dir", str(self.directory)]
        return [*program, *place, "--disable-llmobs-data-forwarding"]
