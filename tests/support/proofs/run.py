"""What all proofs have in common: the daemon with its configuration, sending, waiting, and the ledger."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.peers import Daemon
from tests.support.proofs.gate import Gate
from tests.support.proofs.place import Place
from tests.support.proofs.traffic import Traffic
from tests.support.wait import wait_until
from untrace_pipeline.data import Batch, Signal

__all__ = ["COLUMNS", "QUICK_RETRY", "Row", "Run", "configuration"]

COLUMNS = ("model", "messages", "tokens", "cost", "session", "error")
"""What is read back of calls."""
ARRIVAL_SECONDS = 120.0
QUICK_RETRY = {"initial_interval": "50ms", "max_interval": "500ms", "max_elapsed_time": "60s"}


@dataclass
class Row:
    """What was seen, and what of it is wrong."""

    destination: str
    peer: str
    sent: int = 0
    arrived: int = 0
    equal: dict[str, str] = field(default_factory=dict)
    """By column: `92/92` of the calls that have the field."""
    retry: str = "-"
    too_large: str = "-"
    ledger: str = ""
    wrong: list[str] = field(default_factory=list)

    def check(self, holds: bool, otherwise: str) -> bool:
        """Note what is wrong unless it holds, and return whether it does."""
        if not holds:
            self.wrong.append(otherwise)
        return holds


class Run:
    """One daemon before one destination."""

    def __init__(self, place: Place, row: Row, daemon: Daemon) -> None:
        self.place, self.row, self._daemon = place, row, daemon

    def whole_traffic(self, traffic: Traffic) -> None:
        """Send it, wait for it, and compare."""
        raise NotImplementedError

    def large_requests(self, gate: Gate) -> None:
        """Send what is too large; nothing where the destination has no such limit."""

    def was_retried(self, gate: Gate) -> None:
        """The first requests met 429 and 503, and all arrived all the same."""
        refused = [status for status, _ in gate.statuses if status in {429, 503}]
        accepted = sum(200 <= status < 300 for status, _ in gate.statuses)
        if self.row.check(sorted(refused)[:1] == [429] and 503 in refused and accepted > 0, f"retries: {refused}"):
            self.row.retry = "429, 503, then taken"

    def account(self) -> None:
        """Every span that was accepted has one end."""
        wait_until(self._is_settled, self._daemon)
        account = self.ledger()
        ends = {state: account[state] for state in ("delivered", "rejected", "filtered", "expired", "dead_lettered")}
        ends |= account["dropped"]
        self.row.check(account["balance"] == 0, f"balance of the ledger: {account['balance']}")
        self.row.check(account["accepted"] == sum(ends.values()), f"the ledger does not sum: {account}")
        self.row.ledger = f"{account['accepted']} = " + " + ".join(f"{n} {state}" for state, n in ends.items() if n)

    def wait_for(self, there: Callable[[], bool]) -> None:
        """Wait until the destination has what it should have, or note that it does not come."""
        try:
            wait_until(there, self._daemon, seconds=ARRIVAL_SECONDS)
        except AssertionError as error:
            self.row.wrong.append(str(error)[-1500:])

    def send(self, batch: Batch) -> None:
        signal = batch.signal.value
        url = f"http://{self._daemon.endpoint('OTLP_PORT')}/v1/{signal}"
        request = urllib.request.Request(url, batch.to_otlp(), {"Content-Type": "application/x-protobuf"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status == 200

    def _is_settled(self) -> bool:
        account = self.ledger()
        return not account["queued"] and not account["in_flight"]

    def ledger(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://{self._daemon.endpoint('METRICS_PORT')}/ledger", timeout=10) as answer:
            accounts = json.load(answer)["ledger"]
        [account] = [one for one in accounts if one["component"] == exporter_id(self.place)]
        return dict(account)


def exporter_id(place: Place) -> str:
    """Return the id of the exporter under test."""
    return f"{place.exporter or place.name}/proof"


def configuration(place: Place, url: str) -> dict[str, Any]:
    """Return what a daemon is told that normalises calls, prices them, and sends to a place by `url`."""
    exporter = exporter_id(place)
    exporters = {exporter: {**({"retry_on_failure": QUICK_RETRY} if place.delivers else {}), **place.options(url)}}
    ends = {signal: [exporter] if signal is place.signal else ["file/rest"] for signal in Signal}
    if place.signal is Signal.METRICS:
        ends[Signal.TRACES] = ["llm_metrics"]
    processors = ["genai_normalizer", "llm_cost"]
    return {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": "127.0.0.1:${env:OTLP_PORT}"}}}},
        "processors": {"genai_normalizer": {"join_events": {"wait": "2s"}}, "llm_cost": {}},
        **({"connectors": _LLM_METRICS} if place.signal is Signal.METRICS else {}),
        "exporters": {**exporters, "file/rest": {"path": "rest.jsonl"}},
        "service": {
            "pipelines": {
                "traces": {"receivers": ["otlp"], "processors": processors, "exporters": ends[Signal.TRACES]},
                "logs": {"receivers": ["otlp"], "processors": processors[:1], "exporters": ends[Signal.LOGS]},
                "metrics": {"receivers": [_METERS[place.signal]], "exporters": ends[Signal.METRICS]},
            },
            "telemetry": {"metrics": {"address": "127.0.0.1:${env:METRICS_PORT}"}},
        },
    }


_LLM_METRICS = {"llm_metrics": {"metrics_flush_interval": "500ms"}}
_METERS = {Signal.TRACES: "otlp", Signal.LOGS: "otlp", Signal.METRICS: "llm_metrics"}
