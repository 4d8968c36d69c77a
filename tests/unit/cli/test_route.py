"""The ``route`` command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from untrace_pipeline.cli import main

CONFIG = """\
receivers:
  otlp: {protocols: {http: {endpoint: "localhost:0", include_metadata: true}}}
processors:
  attributes: {actions: [{key: gen_ai.request.model, value: gpt-4o, action: insert}]}
  batch: {timeout: 1h, metadata_keys: [x-tenant]}
connectors:
  routing:
    rules:
      - id: acme
        priority: 2
        conditions: {all: [{field: 'request["X-Tenant"]', operator: eq, value: acme}]}
        actions: {destinations: [a]}
      - id: gpt
        conditions: {all: [{field: model, operator: eq, value: "gpt-*"}, {field: cost, operator: lt, value: 1}]}
        actions: {destinations: [a, b]}
    default_destinations: [b]
exporters: {debug: }
service:
  pipelines:
    traces/in: {receivers: [otlp], processors: [attributes, batch], exporters: [routing]}
    traces/a: {receivers: [routing], exporters: [debug]}
    traces/b: {receivers: [routing], exporters: [debug]}
    logs: {receivers: [otlp], exporters: [debug]}
"""
CORE: dict[str, Any] = {
    "id": "0af76519-16cd-43dd-8448-eb211c80319c",
    "provider": "openai",
    "model": "gpt-4",
    "request": {"messages": [{"role": "user", "content": "hi"}], "parameters": {"max_tokens": 5}},
    "response": {"content": "ho", "usage": {"promptTokens": 10, "completionTokens": 2}, "finish_reason": "stop"},
    "metadata": {"customerId": "acme"},
    "metrics": {"latency_ms": 1200, "estimatedCost": 0.5, "time_to_first_token_ms": 100},
}
OTLP = {"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "a" * 32, "spanId": "b" * 16, "name": "chat"}]}]}]}


class Route:
    """Runs the command over a file."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._directory = directory
        self._capsys = capsys
        (directory / "config.yaml").write_text(CONFIG)

    def __call__(self, text: str, *arguments: str) -> tuple[int, str, str]:
        file = self._directory / "trace.json"
        file.write_text(text)
        config = str(self._directory / "config.yaml")
        code = main(["route", "--config", config, "--explain", str(file), *arguments])
        out, err = self._capsys.readouterr()
        return code, out, err


@pytest.fixture
def route(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Route:
    """Return the command."""
    return Route(tmp_path, capsys)


def test_core_trace_is_explained(route: Route) -> None:
    """A trace in Untrace's form takes its way, through processors that hold back too, and every rule says why."""
    code, out, _ = route(json.dumps(CORE))
    assert code == 0
    assert out == (
        "connector routing: trace 0af7651916cd43dd8448eb211c80319c (1 item: chat gpt-4)\n"
        "  rule gpt → a, b\n"
        "    rule acme: not matched (span chat gpt-4)\n"
        '      ✗ request["X-Tenant"] eq "acme" — absent\n'
        "    rule gpt: taken (span chat gpt-4)\n"
        '      ✓ model eq "gpt-*" — "gpt-4"\n'
        "      ✓ cost lt 1 — 0.5\n"
        "\n"
    )


def test_header_and_json(route: Route) -> None:
    """Headers of the request count; the JSON says the same."""
    code, out, _ = route(json.dumps(OTLP), "--header", "x-tenant: acme", "--json")
    assert code == 0
    (found,) = json.loads(out)
    assert found["connector"] == "routing"
    (one,) = found["explanations"]
    assert (one["rules"], one["destinations"], one["items"]) == (["acme"], ["a"], ["chat"])


@pytest.mark.parametrize(
    ("text", "traces"),
    [
        (json.dumps([CORE, {**CORE, "id": "b" * 32}]), 2),
        (json.dumps({"traces": [CORE, {**CORE, "id": "c" * 32}]}), 2),
        (f"{json.dumps(OTLP)}\n\n{json.dumps(OTLP)}\n", 2),
        (json.dumps([OTLP, CORE]), 2),
        (json.dumps({**CORE, "id": "not hexadecimal", "error": {"code": 429, "message": "slow"}}), 1),
    ],
)
def test_forms_of_input(route: Route, text: str, traces: int) -> None:
    """Lists, batches, and one request per line are understood."""
    code, out, _ = route(text)
    assert code == 0
    assert out.count("connector routing: trace ") == traces


@pytest.mark.parametrize(
    ("text", "arguments", "words"),
    [
        ("{", (), "is no JSON"),
        ("", (), "is empty"),
        ("[]", (), "is empty"),
        ("3", (), "int is no trace"),
        ('{"a": 1}', (), "no OTLP JSON request"),
        (json.dumps(OTLP), ("--header", "nonsense"), "is no header"),
        (json.dumps(OTLP), ("--pipeline", "traces/x"), "there is no pipeline traces/x"),
        (json.dumps({**CORE, "metrics": {"latency_ms": "soon"}}), (), "no trace that can be read"),
    ],
)
def test_wrong_input_is_told(route: Route, text: str, arguments: tuple[str, ...], words: str) -> None:
    """What cannot be read ends with code 2 and the reason."""
    code, _, err = route(text, *arguments)
    assert code == 2
    assert words in err


def test_nothing_reaches_the_rules(route: Route) -> None:
    """What goes past the connector is told, with code 1."""
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "x"}}]}]}]}
    code, _, err = route(json.dumps(logs))
    assert code == 1
    assert "none of it reached a connector with rules" in err
    code, out, _ = route(json.dumps(OTLP), "--pipeline", "traces/in")
    assert code == 0
    assert "rule gpt" in out
