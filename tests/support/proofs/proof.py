"""One proof: the daemon sends to a destination, which has to have it all, once, and equal."""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from tests.support.destinations.fields import FIELDS, fields_of, reads_field
from tests.support.llm_calls import SpanView
from tests.support.peers import Daemon
from tests.support.proofs.gate import Gate
from tests.support.proofs.place import Place, Stored, stored
from tests.support.proofs.traffic import LARGE, LIMIT_BYTES, Traffic, duplicates, large_spans
from tests.support.wait import wait_until
from untrace_pipeline.data import Batch

__all__ = ["Row", "prove"]

GROUPS: Mapping[str, Sequence[str]] = {
    "model": ["model"],
    "messages": ["input", "output", "tools"],
    "tokens": ["input tokens", "output tokens"],
    "cost": ["cost"],
    "session": ["session", "user"],
    "error": ["error"],
}
"""Columns of the table, and the fields of calls in them."""
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


def prove(place: Place, traffic: Traffic) -> Row:
    """Start the destination, send to it, and answer what it has. Raises `PeerUnavailable` where it cannot be had."""
    with ExitStack() as stack:
        stack.enter_context(place)
        row = Row(place.name, place.peer)
        gate = stack.enter_context(Gate(place.url, place.exports)) if place.url else None
        daemon = stack.enter_context(Daemon(_configuration(place, gate.url if gate else "")))
        run = _Run(place, row, daemon)
        run.whole_traffic(traffic)
        if gate is not None:
            run.was_retried(gate)
        if gate is not None and place.splits:
            run.large_requests(gate)
        run.account()
    return row


class _Run:
    def __init__(self, place: Place, row: Row, daemon: Daemon) -> None:
        self._place, self._row, self._daemon = place, row, daemon

    def whole_traffic(self, traffic: Traffic) -> None:
        """Everything that the destination takes arrives, once, and calls are read back as they were."""
        taken = {key for key, span in traffic.spans.items() if self._place.takes(span)}
        for batch in traffic.requests:
            self._send(batch)
        self._row.sent = len(traffic.spans)
        found = self._wait_for(taken)
        self._row.arrived = len({key for key, _ in found})
        self._row.check({key for key, _ in found} == taken, f"{self._row.arrived} of {len(taken)} spans are there")
        self._row.check(not (twice := duplicates(key for key, _ in found)), f"{twice} spans are there twice")
        calls = {key: span for key, span in traffic.calls.items() if key in taken}
        self._compare(calls, dict(found))

    def _compare(self, calls: Mapping[str, SpanView], found: Mapping[str, SpanView]) -> None:
        have, equal = Counter[str](), Counter[str]()
        for key, call in calls.items():
            for name, value in fields_of(call).items():
                have[name] += 1
                same = key in found and reads_field(self._place.reads, name, found[key], value)
                equal[name] += same
        for column, names in GROUPS.items():
            there, wanted = (sum(count[name] for name in names) for count in (equal, have))
            self._row.equal[column] = f"{there}/{wanted}"
        for name in FIELDS:
            self._row.check(equal[name] == have[name], f"{name}: equal in {equal[name]} of {have[name]} calls")

    def was_retried(self, gate: Gate) -> None:
        """The first requests met 429 and 503, and all arrived all the same."""
        refused = [status for status, _ in gate.statuses if status in {429, 503}]
        accepted = sum(200 <= status < 300 for status, _ in gate.statuses)
        if self._row.check(sorted(refused)[:1] == [429] and 503 in refused and accepted > 0, f"retries: {refused}"):
            self._row.retry = "429, 503, then taken"

    def large_requests(self, gate: Gate) -> None:
        """Requests that are too large are cut until they fit; a span that never fits is given up, and counted."""
        before = len(gate.statuses)
        gate.limit_bytes = LIMIT_BYTES
        batch, too_large = large_spans()
        ids = {key for key, _ in stored(batch)}
        self._send(batch)
        found = {key for key, _ in self._wait_for(ids - {too_large})}
        self._row.check(ids - found == {too_large}, f"large: {len(ids & found)} of {LARGE} spans are there")
        wait_until(lambda: self._account()["dropped"], self._daemon)
        answers = [status for status, _ in gate.statuses[before:]]
        refused, accepted = answers.count(413), sum(200 <= status < 300 for status in answers)
        if self._row.check(refused > 0 and accepted > 1, f"large: answers {Counter(answers)}"):
            self._row.too_large = f"{refused} refused, then {accepted} pieces; 1 span too large"

    def account(self) -> None:
        """Every span that was accepted has one end."""
        wait_until(self._is_settled, self._daemon)
        account = self._account()
        ends = {state: account[state] for state in ("delivered", "rejected", "filtered", "expired", "dead_lettered")}
        ends |= account["dropped"]
        self._row.check(account["balance"] == 0, f"balance of the ledger: {account['balance']}")
        self._row.check(account["accepted"] == sum(ends.values()), f"the ledger does not sum: {account}")
        self._row.ledger = f"{account['accepted']} = " + " + ".join(f"{n} {state}" for state, n in ends.items() if n)

    def _wait_for(self, ids: set[str]) -> list[Stored]:
        """Return what the destination has, as soon as it has these, or after a time."""
        found: list[Stored] = []

        def there() -> bool:
            found[:] = self._place.read()
            return ids <= {key for key, _ in found}

        try:
            wait_until(there, self._daemon, seconds=ARRIVAL_SECONDS)
        except AssertionError as error:
            self._row.wrong.append(str(error)[-1500:])
        return found

    def _send(self, batch: Batch) -> None:
        signal = batch.signal.value
        url = f"http://{self._daemon.endpoint('OTLP_PORT')}/v1/{signal}"
        request = urllib.request.Request(url, batch.to_otlp(), {"Content-Type": "application/x-protobuf"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status == 200

    def _is_settled(self) -> bool:
        account = self._account()
        return not account["queued"] and not account["in_flight"]

    def _account(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://{self._daemon.endpoint('METRICS_PORT')}/ledger", timeout=10) as answer:
            accounts = json.load(answer)["ledger"]
        [account] = [one for one in accounts if one["component"] == exporter_id(self._place)]
        return dict(account)


def exporter_id(place: Place) -> str:
    """Return the id of the exporter under test."""
    return f"{place.exporter or place.name}/proof"


def _configuration(place: Place, url: str) -> dict[str, Any]:
    exporter = exporter_id(place)
    processors = ["genai_normalizer", "llm_cost"]
    metrics = {"address": "127.0.0.1:${env:METRICS_PORT}"}
    return {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": "127.0.0.1:${env:OTLP_PORT}"}}}},
        "processors": {"genai_normalizer": {"join_events": {"wait": "2s"}}, "llm_cost": {}},
        "exporters": {
            exporter: {"retry_on_failure": QUICK_RETRY, **place.options(url)},
            "file/rest": {"path": "rest.jsonl"},
        },
        "service": {
            "pipelines": {
                "traces": {"receivers": ["otlp"], "processors": processors, "exporters": [exporter]},
                "logs": {"receivers": ["otlp"], "processors": processors[:1], "exporters": ["file/rest"]},
            },
            "telemetry": {"metrics": metrics},
        },
    }
