"""Real databases: OpenSearch and Loki in processes of their own, ClickHouse's engine behind its HTTP interface."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import yaml

from tests.support.peers.cache import (
    BUILD_TIMEOUT_SECONDS,
    PeerUnavailable,
    build_go_programs,
    build_once,
    build_python_environment,
)
from tests.support.peers.process import free_port
from tests.support.peers.server import PeerServer

__all__ = ["ClickHouse", "Loki", "OpenSearch", "clickhouse_environment", "loki_binary", "opensearch_directory"]

RECIPES = Path(__file__).parent


def opensearch_directory(*, build: bool = True) -> Path:
    """Answer the directory with OpenSearch's jars and our main class; `UNTRACE_PEER_OPENSEARCH` names another one."""
    if shutil.which("javac") is None:
        raise PeerUnavailable("opensearch: no javac on PATH; install a JDK of version 11 to 21")
    return build_once("opensearch", RECIPES / "opensearch", _make_opensearch, "UNTRACE_PEER_OPENSEARCH", build=build)


def clickhouse_environment(*, build: bool = True) -> Path:
    """Answer the virtual environment of chdb; `UNTRACE_PEER_CLICKHOUSE` names another one."""
    return build_python_environment("clickhouse", RECIPES / "clickhouse", "UNTRACE_PEER_CLICKHOUSE", build=build)


def loki_binary(*, build: bool = True) -> Path:
    """Answer the program of Loki; `UNTRACE_PEER_LOKI` names another one."""
    package = "github.com/grafana/loki/v3/cmd/loki"
    return build_go_programs("loki", RECIPES / "loki", (package,), "UNTRACE_PEER_LOKI", build=build)


def _make_opensearch(recipe: Path, target: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise PeerUnavailable("opensearch: no mvn on PATH; install Maven or name a ready directory")
    scratch = target.with_suffix(".new")
    libraries = scratch / "libs"
    with tempfile.TemporaryDirectory() as directory:
        for path in recipe.iterdir():
            shutil.copy(path, directory)
        fetch = [maven, "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={libraries}"]
        compile_ = ["javac", "-cp", f"{libraries}/*", "-d", str(scratch / "classes"), "OpenSearchPeer.java"]
        for command in (fetch, compile_):
            done = subprocess.run(
                command, cwd=directory, capture_output=True, text=True, timeout=BUILD_TIMEOUT_SECONDS, check=False
            )
            if done.returncode != 0:
                raise PeerUnavailable(f"opensearch: {command[0]} failed: {(done.stdout + done.stderr).strip()[-2000:]}")
    scratch.rename(target)


class OpenSearch(PeerServer):
    """One node without security; `settings` are those of `opensearch.yml`."""

    name: ClassVar[str] = "opensearch"

    def __init__(self, *settings: str) -> None:
        super().__init__()
        self._settings = settings

    def command(self) -> Sequence[str]:
        """Run the node."""
        built = opensearch_directory(build=False)
        java = ["java", "-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        home = str(self.directory / "home")
        return [
            *java,
            "-cp",
            f"{built}/libs/*:{built}/classes",
            "OpenSearchPeer",
            home,
            str(self.port),
            *self._settings,
        ]

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Answer the JSON of a call."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def documents(self, index: str) -> list[dict[str, Any]]:
        """Answer all documents of indices or data streams, as `_id`, `_index` and `_source`."""
        self.ask("POST", f"/{index}/_refresh")
        found: dict[str, Any] = self.ask("POST", f"/{index}/_search", {"size": 10_000, "query": {"match_all": {}}})
        return list(found["hits"]["hits"])


class ClickHouse(PeerServer):
    """The engine of ClickHouse with its HTTP interface, as far as inserts and queries need it."""

    name: ClassVar[str] = "clickhouse"
    ready_path: ClassVar[str] = "/ping"

    def command(self) -> Sequence[str]:
        """Run the handler in the environment that has chdb."""
        python = clickhouse_environment(build=False) / "bin" / "python"
        return [str(python), str(RECIPES / "clickhouse" / "serve.py"), str(self.port), str(self.directory / "data")]

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Answer the rows of a query."""
        return [json.loads(line) for line in self.query_only(f"{sql} FORMAT JSONEachRow").splitlines()]

    def query_only(self, sql: str) -> bytes:
        """Run a statement, and answer what the server does."""
        url = f"{self.url}/?{urllib.parse.urlencode({'query': sql})}"
        with urllib.request.urlopen(url, b"", timeout=60) as answer:
            return bytes(answer.read())


class Loki(PeerServer):
    """Loki in one process, with files; `limits` are its `limits_config`. It takes pushes long before it is ready."""

    name: ClassVar[str] = "loki"
    ready_path: ClassVar[str] = "/ready"

    def __init__(self, *, tenants: bool = False, **limits: Any) -> None:
        super().__init__()
        self._tenants = tenants
        self._limits = limits

    def command(self) -> Sequence[str]:
        """Write the configuration for the port, and run the server."""
        path = self.directory / "loki.yaml"
        path.write_text(yaml.safe_dump(self._config()))
        return [str(loki_binary(build=False)), f"-config.file={path}"]

    def query(self, expression: str, since: str = "1h") -> list[tuple[dict[str, str], str, str]]:
        """Answer labels and metadata, time in nanoseconds and line of all that a query finds, oldest first."""
        parameters = {"query": expression, "since": since, "limit": "5000", "direction": "forward"}
        url = f"{self.url}/loki/api/v1/query_range?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            result = json.load(answer)["data"]["result"]
        found = [(stream["stream"], value[0], value[1]) for stream in result for value in stream["values"]]
        return sorted(found, key=lambda one: int(one[1]))

    def _config(self) -> dict[str, Any]:
        files = {"chunks_directory": "chunks", "rules_directory": "rules"}
        return {
            "auth_enabled": self._tenants,
            "server": {
                "http_listen_address": "127.0.0.1",
                "http_listen_port": self.port,
                "grpc_listen_address": "127.0.0.1",
                "grpc_listen_port": free_port(),
                "log_level": "warn",
            },
            "common": {
                "instance_addr": "127.0.0.1",
                "path_prefix": str(self.directory / "data"),
                "replication_factor": 1,
                "ring": {"kvstore": {"store": "inmemory"}},
                "storage": {"filesystem": {name: str(self.directory / value) for name, value in files.items()}},
            },
            "schema_config": {
                "configs": [
                    {
                        "from": "2024-01-01",
                        "store": "tsdb",
                        "object_store": "filesystem",
                        "schema": "v13",
                        "index": {"prefix": "index_", "period": "24h"},
                    }
                ]
            },
            "limits_config": {"allow_structured_metadata": True, **self._limits},
            "ingester": {"lifecycler": {"min_ready_duration": "0s"}},
            "analytics": {"reporting_enabled": False},
        }
