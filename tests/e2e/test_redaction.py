"""Redaction by detectors as its user has it: a daemon, OTLP in, a file out."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.captures import captures
from tests.support.peers import Daemon
from tests.support.pii import lines, score_texts
from untrace_pipeline.data import Signal
from untrace_pipeline.testing import make_request

pytestmark = pytest.mark.e2e

MAX_LEAK, MAX_OVER_REDACTION = 3.0, 2.0
"""Per cent of the lines of the corpus."""


def config(**redaction: Any) -> dict[str, Any]:
    """Return a config with all signals through redaction into one file per signal."""
    return {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": "127.0.0.1:${env:HTTP_PORT}"}}}},
        "processors": {"redaction": redaction},
        "exporters": {f"file/{signal}": {"path": f"{signal}.jsonl"} for signal in Signal},
        "service": {
            "pipelines": {
                str(signal): {"receivers": ["otlp"], "processors": ["redaction"], "exporters": [f"file/{signal}"]}
                for signal in Signal
            }
        },
    }


def post(daemon: Daemon, signal: Signal, body: bytes, content_type: str = "application/x-protobuf") -> None:
    """Send one request; raises unless it is acknowledged."""
    url = f"http://{daemon.endpoint('HTTP_PORT')}/v1/{signal}"
    with urllib.request.urlopen(
        urllib.request.Request(url, body, {"Content-Type": content_type}), timeout=60
    ) as answer:
        assert answer.status == 200


def attributes(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the attributes of the spans in a file."""
    for line in path.read_text(encoding="utf-8").splitlines():
        for resource in json.loads(line)["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                for span in scope["spans"]:
                    yield {one["key"]: one["value"].get("stringValue") for one in span["attributes"]}


def test_the_corpus(tmp_path: Path) -> None:
    """As a bare attribute, and as the content of messages in JSON: few lines leak, few clean ones change."""
    rows = list(lines())
    request = make_request(items=len(rows))
    spans = [span for one in request.resource_spans for scope in one.scope_spans for span in scope.spans]
    for span, row in zip(spans, rows, strict=True):
        messages = json.dumps([{"role": "user", "parts": [{"type": "text", "content": row["text"]}]}])
        for key, value in {"line": row["id"], "note": row["text"], "gen_ai.input.messages": messages}.items():
            span.attributes.add(key=key).value.string_value = value
    with Daemon(config(detectors="all"), directory=tmp_path) as daemon:
        post(daemon, Signal.TRACES, request.SerializeToString())
    bare, within = {}, {}
    for found in attributes(tmp_path / "traces.jsonl"):
        bare[found["line"]] = found["note"]
        within[found["line"]] = json.loads(found["gen_ai.input.messages"])[0]["parts"][0]["content"]
    for texts in (bare, within):
        result = score_texts(texts, rows, "regex")
        assert result["json"]["broken"] == result["json"]["nested_broken"] == 0
        assert result["leak_rate"] <= MAX_LEAK, result["types"]
        assert result["over_redaction_rate"] <= MAX_OVER_REDACTION, result["negative_categories"]


def test_captures(tmp_path: Path) -> None:
    """What 14 instrumentations sent, as they sent it: no planted value is in the files, and every decoy is."""
    planted: dict[str, str] = {}
    decoys: dict[str, int] = {}
    with Daemon(config(allow_all_keys=True, detectors="all"), directory=tmp_path) as daemon:
        for capture in captures().values():
            planted |= capture.expect["pii"]
            for _, batch in capture.otlp():
                body = batch.to_otlp()
                for value in capture.expect["decoys"].values():
                    decoys[value] = decoys.get(value, 0) + body.count(value.encode())
                post(daemon, batch.signal, body)
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(tmp_path.glob("*.jsonl")))
    assert {name: text.count(value) for name, value in planted.items()} == dict.fromkeys(planted, 0)
    assert {value: text.count(value) for value in decoys} == decoys


def test_dropped_spans_are_in_the_ledger(tmp_path: Path) -> None:
    """Spans that a policy drops count as filtered, and the sums match."""
    request = make_request(items=5)
    span = request.resource_spans[0].scope_spans[0].spans[2]
    span.attributes.add(key="key").value.string_value = "jane.roe@example.com"
    with Daemon(config(detectors=["email"], default_action="drop_item"), directory=tmp_path) as daemon:
        post(daemon, Signal.TRACES, request.SerializeToString())
    assert len(list(attributes(tmp_path / "traces.jsonl"))) == 4
    assert "exporter file/traces: accepted 5 = 4 delivered + 1 filtered" in daemon.log
