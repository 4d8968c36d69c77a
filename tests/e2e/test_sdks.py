"""Real OpenTelemetry SDKs of two languages, every protocol they have, all three signals, through the daemon."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support import node_sdk
from tests.support.peers import Collector, Daemon, peer_or_skip
from tests.support.wait import wait_until

HERE = Path(__file__).parent
SIGNALS = ("traces", "logs", "metrics")

BACKEND = {
    "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": "127.0.0.1:${env:GRPC_PORT}"}}}},
    "exporters": {"file": {"path": "out.jsonl", "flush_interval": "100ms"}},
    "service": {"pipelines": {signal: {"receivers": ["otlp"], "exporters": ["file"]} for signal in SIGNALS}},
}


def front(backend: str) -> dict[str, Any]:
    """Return the config of the daemon under test: OTLP in, redaction and an edit, OTLP out."""
    pipeline = {"receivers": ["otlp"], "processors": ["attributes", "batch"], "exporters": ["otlp"]}
    return {
        "receivers": {
            "otlp": {
                "protocols": {
                    "grpc": {"endpoint": "127.0.0.1:${env:GRPC_PORT}"},
                    "http": {"endpoint": "127.0.0.1:${env:HTTP_PORT}"},
                }
            }
        },
        "processors": {
            "attributes": {"actions": [{"key": "seen.by", "value": "untrace", "action": "insert"}]},
            "batch": {"timeout": "50ms"},
        },
        "exporters": {"otlp": {"endpoint": backend, "tls": {"insecure": True}}},
        "service": {"pipelines": dict.fromkeys(SIGNALS, pipeline)},
    }


@pytest.fixture(scope="module", params=["daemon", "collector"])
def chain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Daemon, Path]]:
    """Yield the daemon under test, and the file that the backend behind it writes."""
    directory = tmp_path_factory.mktemp(request.param)
    backend_type = {"daemon": Daemon, "collector": Collector}[request.param]
    with peer_or_skip():
        backend = backend_type(BACKEND, directory=directory / "backend")
        backend.start()
    try:
        with Daemon(front(backend.endpoint("GRPC_PORT")), directory=directory / "front") as daemon:
            yield daemon, directory / "backend" / "out.jsonl"
    finally:
        backend.stop()


def command(language: str, protocol: str, daemon: Daemon) -> tuple[list[str], Path]:
    """Return the command that sends, and the directory to run it in."""
    endpoint = "http://" + daemon.endpoint("GRPC_PORT" if protocol == "grpc" else "HTTP_PORT")
    if language == "python":
        return [sys.executable, str(HERE / "python_sdk.py"), protocol, endpoint], HERE
    with peer_or_skip():
        return ["node", str(HERE / "node" / "send.mjs"), protocol, endpoint], node_sdk.install()


def arrived(path: Path, service: str) -> dict[str, dict[str, Any]]:
    """Return what the backend wrote for a service: signal -> the resource group."""
    found = {}
    for line in path.read_bytes().rpartition(b"\n")[0].splitlines() if path.exists() else ():
        for signal, key in (("traces", "resourceSpans"), ("logs", "resourceLogs"), ("metrics", "resourceMetrics")):
            for group in orjson.loads(line).get(key, ()):
                if plain(group["resource"]["attributes"]).get("service.name") == service:
                    found[signal] = group
    return found


def plain(attributes: list[dict[str, Any]]) -> dict[str, Any]:
    """Return OTLP JSON attributes as Python values."""
    return {entry["key"]: _value(entry["value"]) for entry in attributes}


def _value(value: dict[str, Any]) -> Any:
    ((kind, content),) = value.items()
    if kind == "intValue":
        return int(content)
    return [_value(v) for v in content["values"]] if kind == "arrayValue" else content


@pytest.mark.e2e
@pytest.mark.peer
@pytest.mark.parametrize(
    ("language", "protocol"),
    [("python", "grpc"), ("python", "proto"), ("node", "grpc"), ("node", "proto"), ("node", "json")],
)
def test_everything_arrives_unchanged(chain: tuple[Daemon, Path], language: str, protocol: str) -> None:
    """What an unmodified SDK sends arrives behind the daemon with equal attributes, plus what the config adds."""
    daemon, output = chain
    argv, directory = command(language, protocol, daemon)
    sent = subprocess.run(argv, cwd=directory, capture_output=True, text=True, timeout=60, check=False)
    assert sent.returncode == 0, sent.stderr
    groups = wait_until(lambda: len(found := arrived(output, f"{language}-{protocol}")) == 3 and found, daemon)

    expected = {
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 1234,
        "gen_ai.request.temperature": 0.25,
        "gen_ai.response.finish_reasons": ["stop", "length"],
        "cached": True,
        "seen.by": "untrace",
    }
    (scope,) = groups["traces"]["scopeSpans"]
    (span,) = scope["spans"]
    attributes = plain(span["attributes"])
    assert "Grüße, 世界 🌍" in attributes.pop("gen_ai.input.messages")
    assert attributes == expected
    assert (scope["scope"]["name"], scope["scope"]["version"]) == ("e2e", "1.2.3")
    assert (span["name"], span["kind"], span["status"]) == ("chat gpt-4o", 3, {"code": 2, "message": "rate limited"})
    assert plain(span["events"][0]["attributes"]) == {"index": 0}

    (record,) = groups["logs"]["scopeLogs"][0]["logRecords"]
    assert (record["body"], record["severityNumber"]) == ({"stringValue": "model called"}, 9)
    attributes = plain(record["attributes"])
    assert "Grüße, 世界 🌍" in attributes.pop("gen_ai.input.messages")
    assert attributes == expected

    (metric,) = groups["metrics"]["scopeMetrics"][0]["metrics"]
    (point,) = metric["histogram"]["dataPoints"]
    assert (metric["name"], int(point["count"]), point["sum"]) == ("gen_ai.client.token.usage", 1, 1234)
    assert plain(point["attributes"]) == {"cached": True, "seen.by": "untrace"}
