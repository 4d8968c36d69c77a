"""Rules of a running daemon: their file changes under load, and somebody asks first what would happen."""

from __future__ import annotations

import http.client
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.peers import Daemon
from tests.support.service import Load, change, get, metric, reloads, spans
from tests.support.wait import wait_until

pytestmark = pytest.mark.e2e

HTTP = {"endpoint": "127.0.0.1:${env:HTTP_PORT}", "include_metadata": True}
NAMES = ("a", "b")
RELOADS = "untrace_connector_routing_rules_reloads_total"


def settings(workers: int) -> dict[str, Any]:
    """Return a config: OTLP/HTTP in, rules from a file, two files per worker out."""
    file = "${env:UNTRACE_PIPELINE_WORKER}.jsonl"
    return {
        "receivers": {"otlp": {"protocols": {"http": HTTP}}},
        "processors": {"attributes/mark": {"actions": [{"key": "mark", "value": "one", "action": "upsert"}]}},
        "connectors": {"routing": {"rules_file": "rules.json", "reload_interval": "100ms"}},
        "exporters": {f"file/{name}": {"path": f"{name}-{file}", "append": True} for name in NAMES},
        "service": {
            "workers": workers,
            "pipelines": {
                "traces/in": {"receivers": ["otlp"], "exporters": ["routing"]},
                **{f"traces/{name}": {"receivers": ["routing"], "exporters": [f"file/{name}"]} for name in NAMES},
            },
            "telemetry": {"metrics": {"address": "127.0.0.1:${env:METRICS_PORT}"}},
        },
    }


def rules(directory: Path, share: float, **actions: Any) -> None:
    """Write the rules: a share of the traces to ``a``, the rest to ``b``."""
    destinations = [{"name": "a", "percentage": share}, {"name": "b", "percentage": 100 - share}]
    rule = {"id": "split", "actions": {"destinations": destinations, **actions}}
    (directory / "rules.json").write_bytes(orjson.dumps({"rules": [rule]}))


def arrived(directory: Path, name: str) -> list[dict[str, Any]]:
    """Return the spans that a destination has."""
    return [span for path in sorted(directory.glob(f"{name}-*.jsonl")) for span in spans(path)]


@pytest.mark.parametrize("workers", [1, 2])
def test_rules_change_under_load_and_nothing_is_lost(tmp_path: Path, workers: int) -> None:
    """Every span arrives once, whatever rules were there when it came; no trace is torn apart by its share."""
    rules(tmp_path, 50)
    with Daemon(settings(workers), directory=tmp_path) as daemon:
        with Load(daemon) as load:
            for number, share in enumerate((90, 10, 70), 1):
                load.wait_for(200, daemon)
                rules(tmp_path, share)
                wanted = number * workers
                wait_until(lambda wanted=wanted: metric(daemon, RELOADS, outcome="success") >= wanted, daemon)
            load.wait_for(200, daemon)
        assert load.failed == 0
        wait_until(lambda: sum(len(arrived(tmp_path, name)) for name in NAMES) >= load.acknowledged, daemon)
        found = Counter(span["spanId"] for name in NAMES for span in arrived(tmp_path, name))
        assert found.keys() == load.ids
        assert max(found.values()) == 1
        assert all(arrived(tmp_path, name) for name in NAMES)
        assert metric(daemon, "untrace_connector_routing_rule_items_total", rule="split") == load.acknowledged


def test_wrong_rules_change_nothing_and_are_shown(tmp_path: Path) -> None:
    """A file that is wrong is counted and told, with its place, and the data goes on by the rules from before."""
    rules(tmp_path, 50)
    with Daemon(settings(1), directory=tmp_path) as daemon:
        rules(tmp_path, 150)
        wait_until(lambda: metric(daemon, RELOADS, outcome="failure") == 1, daemon)
        with Load(daemon, clients=1) as load:
            load.wait_for(100, daemon)
        wait_until(lambda: sum(len(arrived(tmp_path, name)) for name in NAMES) == load.acknowledged, daemon)
        rules(tmp_path, 30)
        wait_until(lambda: metric(daemon, RELOADS, outcome="success") == 1, daemon)
    assert "rules.json:1:" in daemon.log
    assert "those from before stay in use" in daemon.log


def test_transformations_follow_a_reload(tmp_path: Path) -> None:
    """A processor that only a rule names is exchanged when its options change."""
    rules(tmp_path, 50, transformations=["attributes/mark"])

    def marks() -> set[str]:
        found = [one for name in NAMES for span in arrived(tmp_path, name) for one in span["attributes"]]
        return {one["value"]["stringValue"] for one in found if one["key"] == "mark"}

    with Daemon(settings(1), directory=tmp_path) as daemon:
        with Load(daemon, clients=1) as load:
            load.wait_for(20, daemon)
            wait_until(lambda: marks() == {"one"}, daemon)
            change(daemon, "one", "two")
            wait_until(lambda: reloads(daemon, "success") == 1, daemon)
            wait_until(lambda: marks() == {"one", "two"}, daemon)
        assert load.failed == 0


def test_dry_run_is_answered_and_sends_nothing(tmp_path: Path) -> None:
    """The answer names the rule and the exporter, and the ledger has the span as what it is."""
    rules(tmp_path, 50)
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "a" * 32, "spanId": "b" * 16, "name": "x"}]}]}]}
    headers = {"content-type": "application/json", "x-untrace-dry-run": "true"}
    with Daemon(settings(1), directory=tmp_path) as daemon:
        connection = http.client.HTTPConnection(daemon.endpoint("HTTP_PORT"), timeout=10)
        connection.request("POST", "/v1/traces", orjson.dumps(body), headers)
        answer = connection.getresponse()
        told = orjson.loads(answer.read())["partialSuccess"]["errorMessage"]
        connection.close()
        assert answer.status == 200
        assert "rule split → " in told
        assert "exporter file/" in told
        ledger = orjson.loads(get(daemon, "METRICS_PORT", "/ledger")[1])["ledger"]
        assert sum(one["dropped"].get("dry_run", 0) for one in ledger if one["kind"] == "exporter") == 1
        assert all(one["balance"] == 0 for one in ledger)
    assert not [span for name in NAMES for span in arrived(tmp_path, name)]
