"""What must not get out does not: a canary in every header and every place of a body, and all outputs searched for it.

The outputs are spans, logs at the level debug, metrics, pages, dead letters, the printed configuration, the answers of
the proxy itself, and all files of the daemon. What the provider gets is searched for what is ours alone.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.destination import Destination
from tests.support.llm_canaries import CALLS, CREDENTIALS, OPENAI_CONTENTS, OTHERS, canary, found_in, headers, query
from tests.support.llm_proxy import CHAT, ask, proxy_config
from tests.support.llm_upstream import LlmUpstream
from tests.support.peers import Daemon
from tests.support.peers.daemon import daemon_command
from tests.support.service import get, metric
from tests.support.span_sink import SpanSink
from tests.support.wait import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.once]

OURS = ("x-untrace-key", "helicone-auth", "proxy-authorization")
"""What no provider gets."""
FAULTS = (
    "",
    "status_401",
    "quotes",
    "status_500",
    "html",
    "hang",
    "reset",
    "reset_mid",
    "garbage",
    "invalid_json",
    "stream_error",
)


@pytest.fixture(params=["metadata", "full", "none"])
def told(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Make every call with every fault, and yield the mode with all outputs by their names."""
    mode = str(request.param)
    with LlmUpstream() as upstream, SpanSink() as sink, Destination(status=400, body="no") as refusing:
        config = _config(upstream, sink, refusing, mode)
        with Daemon(config, directory=tmp_path, env={"LLM_KEY": canary("config.api_key")}) as daemon:
            answers, calls = _call_all(daemon, mode)
            sink.wait(calls, daemon)
            wait_until(lambda: metric(daemon, "untrace_exporter_dead_lettered_items_total") >= calls, daemon)
            outputs = _outputs(daemon, tmp_path)
        outputs |= {"spans": b"".join(sink.raw), "answers of the proxy": b"".join(answers)}
        outputs |= {"files": b"".join(_files(tmp_path)), "output.log": daemon.log.encode()}
        asked = [f"{name}: {value}" for request in upstream.requests for name, value in request.headers]
        yield mode, outputs | {"what the provider got": "\n".join(asked).encode()}


def _config(upstream: LlmUpstream, sink: SpanSink, refusing: Destination, mode: str) -> dict[str, Any]:
    config = proxy_config(upstream.url, sink.url, capture=mode)
    receiver = config["receivers"]["llm_proxy"]
    receiver["upstreams"]["openai"] |= {"first_byte_timeout": "300ms"}
    receiver["upstreams"]["openai/keyed"] = {
        "base_url": upstream.url,
        "api_key": "${env:LLM_KEY}",
        "headers": {"x-own": canary("config.headers")},
    }
    receiver["upstreams"]["openai/nobody"] = {"base_url": "http://127.0.0.1:1"}
    receiver["limits"] = [{"window": "1h", "requests": 100_000, "tokens": 10_000_000}] if mode != "none" else []
    config["exporters"]["otlp_http/refused"] = {
        "endpoint": refusing.url,
        "compression": "none",
        "dead_letter_queue": {"storage": "file_storage"},
    }
    config["exporters"]["debug"] = {"verbosity": "detailed"}
    config["extensions"] = {"file_storage": {"directory": "storage", "create_directory": True}}
    config["service"]["extensions"] = ["file_storage"]
    config["service"]["pipelines"]["traces"]["exporters"] += ["otlp_http/refused", "debug"]
    config["service"]["telemetry"]["logs"] = {"level": "debug"}
    return config


def _call_all(daemon: Daemon, mode: str) -> tuple[list[bytes], int]:
    """Return what the proxy itself answered, and how many calls were made."""
    answers: list[bytes] = []
    calls = 0
    places = [
        f"{path}?{query()}"
        for path in ("/v1/proxy/openai/keyed/v1/chat/completions", f"/passthrough/openai/nobody{CHAT}")
    ]
    made = [(f"{path}?{query()}", contents, rest) for path, contents, rest in CALLS]
    made += [(place, CALLS[0][1], CALLS[0][2]) for place in places]
    for fault in FAULTS:
        for path, contents, rest in made:
            if fault == "hang" and path.partition("?")[0] != CHAT:
                continue
            body = (contents if mode != "full" else {"model": "m", "messages": []}) | rest
            answer = ask(daemon.endpoint("PROXY_PORT"), body, path=path, fault=fault, headers=headers())
            calls += 1
            if "x-untrace-error" in answer.headers:
                answers.append(repr(answer.headers).encode() + answer.body)
    broken = ask(daemon.endpoint("PROXY_PORT"), {}, path=f"/v1/proxy/unknown/x?{query()}", headers=headers())
    answers.append(repr(broken.headers).encode() + broken.body)
    return answers, calls


def _outputs(daemon: Daemon, directory: Path) -> dict[str, bytes]:
    pages = {path: get(daemon, "HEALTH_PORT", path)[1] for path in ("/", "/ready", "/status", "/metrics")}
    commands = {"print-config": [], "dlq list": ["--json"], "dlq show": ["1", "--payload"], "components": []}
    return {
        "/metrics": get(daemon, "METRICS_PORT", "/metrics")[1],
        **{f"page {path}": body for path, body in pages.items()},
        **{name: _run(name, arguments, daemon, directory) for name, arguments in commands.items()},
    }


def _run(command: str, arguments: list[str], daemon: Daemon, directory: Path) -> bytes:
    line = [daemon_command(), *command.split()]
    line += [] if command == "components" else ["--config", str(directory / "config.yaml")]
    env = {name: str(port) for name, port in daemon.ports.items()} | {
        "LLM_KEY": canary("config.api_key"),
        "PATH": "/usr/bin",
    }
    done = subprocess.run([*line, *arguments], cwd=directory, env=env, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def _files(directory: Path) -> Iterable[bytes]:
    """Yield all that the daemon keeps, but for its configuration."""
    return (path.read_bytes() for path in directory.rglob("*") if path.is_file() and path.name != "config.yaml")


@pytest.mark.timeout(300)
def test_no_canary_gets_out(told: tuple[str, dict[str, bytes]]) -> None:
    """In no mode, of no place that is not content told on purpose; and nothing of ours reaches a provider."""
    mode, outputs = told
    provider = outputs.pop("what the provider got")
    assert found_in(outputs) == {}, mode
    assert {place for place in OURS if canary(place).encode() in provider} == set()
    assert canary("config.api_key").encode() in provider
    assert len(outputs["spans"]) > 10_000
    assert b"/v1/messages" in outputs["output.log"]
    assert b"url.path" in outputs["dlq show"]


def test_the_search_finds_what_is_told_on_purpose(upstream: LlmUpstream, sink: SpanSink, proxy: Daemon) -> None:
    """With `full` the contents are in the span: the canaries can be seen where they are."""
    sink.clear()
    ask(proxy.endpoint("PROXY_PORT"), {"model": "gpt-4o-mini", **OPENAI_CONTENTS}, headers=headers())
    sink.wait(1, proxy)
    places = found_in({"spans": b"".join(sink.raw)})["spans"]
    assert {"system", "text", "arguments", "tool.result", "last"} <= places
    assert not places & {*CREDENTIALS, *OTHERS}
