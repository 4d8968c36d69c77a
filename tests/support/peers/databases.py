"""Real databases: OpenSearch in a process of its own, and ClickHouse's engine behind its HTTP interface."""

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

from tests.support.peers.cache import BUILD_TIMEOUT_SECONDS, PeerUnavailable, build_once, build_python_environment
from tests.support.peers.server import PeerServer

__all__ = ["ClickHouse", "OpenSearch", "clickhouse_environment", "opensearch_directory"]

RECIPES = Path(__file__).parent


def opensearch_directory(*, build: bool = True) -> Path:
    """Answer the directory with OpenSearch's jars and our main class; `UNTRACE_PEER_OPENSEARCH` names another one."""
    if shutil.which("javac") is None:
        raise PeerUnavailable("opensearch: no javac on PATH; install a JDK of version 11 to 21")
    return build_once("opensearch", RECIPES / "opensearch", _make_opensearch, "UNTRACE_PEER_OPENSEARCH", build=build)


def clickhouse_environment(*, build: bool = True) -> Path:
    """Answer the virtual environment of chdb; `UNTRACE_PEER_CLICKHOUSE` names another one."""
    return build_python_environment("clickhouse", RECIPES / "clickhouse", "UNTRACE_PEER_CLICKHOUSE", build=build)


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
