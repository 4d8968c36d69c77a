"""The ledger: for every exporter and connector, what became of each item that was accepted for it.

Processors that hold items back (``holds`` of their factory) have an account, too.

Computed from a snapshot of the metrics alone, of one process or of several merged. For each of them::

    accepted + unacknowledged = the sum of all states + queued + in_flight + held - undecided

``unacknowledged`` items were taken although their sender was told to come again, or had left: they may be there twice.
``undecided`` items have not been answered yet. What a queue on disk had in earlier processes is included.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from untrace_pipeline.telemetry.metrics import Sample, Snapshot

__all__ = ["Account", "left_behind", "read_ledger"]

_INCOMING = ("accepted", "unacknowledged")
_PENDING = ("queued", "in_flight", "undecided")
_HELD = ("held",)
_ENDS = ("delivered", "passed", "rejected", "filtered", "sampled", "expired", "dead_lettered", "left_behind")
"""States with a line of their own; every other one is a reason for a drop."""
_PENDING_BY_KIND = {"exporter": _PENDING, "processor": _HELD}
_SELDOM = {"passed", "left_behind"}
"""Ends that are shown where there are any."""


@dataclass(slots=True)
class Account:
    """One exporter, connector, or processor that holds items. All numbers are items."""

    kind: str
    component: str
    states: Counter[str] = field(default_factory=Counter)
    pending: Counter[str] = field(default_factory=Counter)

    @property
    def balance(self) -> int:
        """Items that are nowhere (> 0) or counted twice (< 0)."""
        ended = sum(items for state, items in self.states.items() if state not in _INCOMING)
        pending = self.pending
        held = pending["queued"] + pending["in_flight"] + pending["held"] - pending["undecided"]
        return self.states["accepted"] + self.states["unacknowledged"] - ended - held

    def as_json(self) -> dict[str, Any]:
        """Return the account as ``/ledger`` shows it."""
        dropped = {state: items for state, items in sorted(self.states.items()) if state not in (*_INCOMING, *_ENDS)}
        ends = [end for end in _ENDS if end in self.states or (end not in _SELDOM and self.kind == "exporter")]
        return {
            "kind": self.kind,
            "component": self.component,
            **{state: self.states[state] for state in _INCOMING},
            **{end: self.states[end] for end in ends},
            "dropped": dropped,
            **{state: self.pending[state] for state in _PENDING_BY_KIND.get(self.kind, ())},
            "balance": self.balance,
        }

    def line(self) -> str:
        """Return the account in one line, for the log."""
        parts = [f"{items} {state}" for state, items in self._ordered() if items]
        sum_ = " + ".join(parts) or "0"
        twice = f" (and {self.states['unacknowledged']} unacknowledged)" if self.states["unacknowledged"] else ""
        off = f"; {self.balance} unaccounted for" if self.balance else ""
        return f"{self.kind} {self.component}: accepted {self.states['accepted']}{twice} = {sum_}{off}"

    def _ordered(self) -> Iterator[tuple[str, int]]:
        yield from ((end, self.states[end]) for end in _ENDS)
        known = {*_INCOMING, *_ENDS}
        yield from ((f"dropped ({state})", items) for state, items in sorted(self.states.items()) if state not in known)
        yield from ((state, self.pending[state]) for state in ("queued", "in_flight", "held"))


def read_ledger(snapshot: Snapshot) -> list[Account]:
    """Return the accounts, exporters first, by name."""
    accounts: dict[tuple[str, str], Account] = {}

    def account(kind: str, component: str) -> Account:
        return accounts.setdefault((kind, component), Account(kind, component))

    for labels, value in _series(snapshot, "ledger_items"):
        account(labels["kind"], labels["component"]).states[labels["state"]] += value
    for labels, value in _series(snapshot, "exporter_pending_items"):
        account("exporter", labels["exporter"]).pending[labels["state"]] += value
    for labels, value in _series(snapshot, "processor_pending_items"):
        account("processor", labels["processor"]).pending["held"] += value
    for labels, value in _series(snapshot, "dropped_items"):
        if labels["kind"] == "connector" and (labels["kind"], labels["component"]) in accounts:
            states = account("connector", labels["component"]).states
            states[labels["reason"]] += value
            states["passed"] -= value
    return sorted(accounts.values(), key=lambda one: (one.kind != "exporter", one.component))


def left_behind(snapshot: Snapshot) -> Snapshot:
    """Return the counts of a process that has ended, with what it still had as an end of its own: ``left_behind``.

    What of it lies on a disk another process finds there and accepts again; the rest was lost with the process. Where
    more has ended than was accepted, parts of batches were delivered whose senders were not answered any more.
    """
    accounts = read_ledger(snapshot)
    spec = next((spec for spec, _ in snapshot if spec.name == "ledger_items"), None)
    if spec is None:
        return snapshot
    states = [(one, "left_behind" if one.balance > 0 else "unacknowledged") for one in accounts if one.balance]
    values = [
        ({"kind": one.kind, "component": one.component, "state": state}, abs(one.balance)) for one, state in states
    ]
    rest = [Sample(tuple([labels[label] for label in spec.labels]), items) for labels, items in values]
    return [(known, [*samples, *rest] if known is spec else samples) for known, samples in snapshot]


def _series(snapshot: Snapshot, name: str) -> Iterator[tuple[Mapping[str, str], int]]:
    for spec, samples in snapshot:
        if spec.name == name:
            for sample in samples:
                yield dict(zip(spec.labels, sample.labels, strict=True)), round(sample.value)
