"""What was acknowledged against what arrived, in a table and a verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.soak.arena import Ledger
from tests.support.chaos import Received, Sender
from tests.support.chaos.record import expand, times_taken

ENDS_SECONDS = 0.5
"""How long after a delivery the queue may not know of it: a kill in that time brings it again. The product says 5 ms;
the rest is for a machine with more to do than cores."""
TWICE = "came twice without a reason"
WIRE_SECONDS = 0.5
"""How long after a kill a sink may still take what the daemon had sent."""


@dataclass
class Explained:
    """What may come twice, and why."""

    kills: list[tuple[float, float]] = field(default_factory=list)
    """When processes were made to end, and when they had ended."""
    unanswered: set[int] = field(default_factory=set)
    """Items that the sender has sent again, because it had no answer."""
    forgotten: set[int] = field(default_factory=set)
    """Items whose ends were in files that were damaged."""
    damaged: set[int] = field(default_factory=set)
    """Items in records that were damaged: these may be missing."""

    def cause(self, item: int, times: Sequence[float], received: Received) -> str:
        """Say why an item was taken several times; empty if there is no reason.

        A part of a request that was split may have been taken long before the request ended.
        """
        first, second = times[:2]
        if item in received.lost:
            return "answer lost"
        if item in self.unanswered:
            return "sent again"
        if any(begin - ENDS_SECONDS <= first <= end + WIRE_SECONDS for begin, end in self.kills):
            return "kill"
        if item in received.split and any(first <= begin <= second for begin, _ in self.kills):
            return "kill"
        return "end damaged" if item in self.forgotten else ""


@dataclass
class Count:
    """One exporter's destination. All numbers are items."""

    exporter: str
    acknowledged: int
    delivered: int
    rejected: int
    """Rejected by name in a partial success, and never taken."""
    refused: int
    """Refused for good, and never taken; with a dead-letter queue these lie in it."""
    dead_letters: int
    damaged: int
    """Lay in a damaged part of a file."""
    missing: Sequence[int]
    causes: Counter[str]
    """Items taken more than once, by the reason for it."""
    unexplained: Mapping[int, Sequence[float]]
    """Items taken more than once without a reason, and when."""
    altered: int
    requests: int

    @property
    def duplicates(self) -> str:
        """The duplicates with their reasons."""
        return ", ".join(f"{cause or 'NO REASON'} {count}" for cause, count in sorted(self.causes.items())) or "0"


@dataclass
class Verdict:
    """The proof: empty ``faults`` is success."""

    counts: list[Count] = field(default_factory=list)
    ledgers: int = 0
    faults: list[str] = field(default_factory=list)

    def check(self, holds: bool, fault: str) -> None:
        """Note a fault unless something holds."""
        if not holds:
            self.faults.append(fault)

    def add(self, count: Count) -> None:
        """Judge one destination."""
        self.counts.append(count)
        name = count.exporter
        some = ", ".join(f"{item:x}" for item in list(count.missing)[:5])
        self.check(not count.missing, f"{name}: {len(count.missing)} acknowledged items are missing: {some} …")
        self.check(not count.altered, f"{name}: {count.altered} items arrived altered")
        examples = ", ".join(f"{item:x} at {times}" for item, times in list(count.unexplained.items())[:3])
        fault = f"{name}: {len(count.unexplained)} items {TWICE}: {examples} …"
        self.check(not count.unexplained, fault)

    def sender(self, sender: Sender) -> None:
        """Judge what the daemon told the sender."""
        self.check(not sender.permanent, f"well-formed data was refused for good: {dict(sender.permanent)}")
        self.check(not sender.without_delay, f"{sender.without_delay} refusals did not say when to come back")

    def ledger(self, ledger: Ledger, when: str) -> None:
        """Judge the sums at some moment."""
        self.ledgers += 1
        self.check(ledger.balanced, f"the ledger does not sum {when}: {ledger.exporters}")

    def table(self) -> str:
        """Return the counts as a table."""
        head = "destination | acknowledged | delivered | rejected | refused | dead letters | damaged | missing | "
        head += "altered | requests | twice, and why"
        rows = [
            f"{one.exporter} | {one.acknowledged} | {one.delivered} | {one.rejected} | {one.refused} | "
            f"{one.dead_letters} | {one.damaged} | {len(one.missing)} | {one.altered} | {one.requests} | "
            f"{one.duplicates}"
            for one in self.counts
        ]
        return _aligned([head, *rows])

    def __str__(self) -> str:
        end = "PROVED" if not self.faults else "\n".join(["FAILED", *(f"  {fault}" for fault in self.faults)])
        return f"{self.table()}\nledger: the sum was checked {self.ledgers} times\n{end}"


def _aligned(lines: Iterable[str]) -> str:
    table = [line.split(" | ") for line in lines]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    rows = ("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in table)
    return "\n".join(rows)


def count(
    exporter: str,
    acknowledged: set[int],
    record: Path,
    *,
    explained: Explained | None = None,
    letters: Counter[int] | None = None,
) -> Count:
    """Compare with the record of a sink; ``letters`` are the ids in the dead letters, ``None`` where there are none."""
    explained, received = explained or Explained(), Received.read(record)
    missing = acknowledged - received.accepted.keys()
    rejected = missing & received.rejected.keys()
    missing -= rejected
    refused = missing & (received.refused if letters is None else letters).keys()
    missing -= refused
    times = times_taken(record, received.repeated)
    causes = {item: explained.cause(item, taken, received) for item, taken in times.items()}
    return Count(
        exporter=exporter,
        acknowledged=len(acknowledged),
        delivered=len(acknowledged & received.accepted.keys()),
        rejected=len(rejected),
        refused=len(refused),
        dead_letters=(letters or Counter()).total(),
        damaged=len(missing & explained.damaged),
        missing=sorted(missing - explained.damaged),
        causes=Counter(causes.values()),
        unexplained={item: times[item] for item, cause in causes.items() if not cause},
        altered=received.altered,
        requests=received.requests,
    )


def resent(sender: Sender) -> set[int]:
    """Return the ids that a sender has sent again because it had no answer."""
    return set(expand(sender.unanswered))


def losses(verdict: Verdict) -> list[str]:
    """Return what is wrong, without what came twice for a reason that was not seen.

    For short runs on machines that may be busy: a destination may answer too late for the daemon, and early enough for
    its own record. The long editions look at those, too.
    """
    return [fault for fault in verdict.faults if TWICE not in fault]
