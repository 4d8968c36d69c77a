"""What was acknowledged against what arrived, in a table and a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.soak.arena import Ledger
from tests.support.chaos import Received, Sender


@dataclass
class Count:
    """One exporter's destination."""

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
    duplicates: int
    allowed: int
    """Duplicates that nobody can avoid: what was under way at a kill, or whose answer was lost."""
    altered: int
    requests: int


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
        self.check(
            count.duplicates <= count.allowed, f"{name}: {count.duplicates} duplicates, {count.allowed} are explained"
        )

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
        head += "duplicates | allowed | altered | requests"
        rows = [
            f"{one.exporter} | {one.acknowledged} | {one.delivered} | {one.rejected} | {one.refused} | "
            f"{one.dead_letters} | {one.damaged} | {len(one.missing)} | {one.duplicates} | {one.allowed} | "
            f"{one.altered} | {one.requests}"
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
    received: Received,
    *,
    allowed: int,
    dead_letters: set[int] | None = None,
    damaged: set[int] | None = None,
) -> Count:
    """Compare; ``dead_letters`` are the ids in the dead-letter queue, ``None`` where there is none."""
    open_items = acknowledged - received.accepted.keys()
    rejected = open_items & received.rejected.keys()
    open_items -= rejected
    refused = open_items & (received.refused.keys() if dead_letters is None else dead_letters)
    open_items -= refused
    lost = open_items & (damaged or set())
    return Count(
        exporter=exporter,
        acknowledged=len(acknowledged),
        delivered=len(acknowledged & received.accepted.keys()),
        rejected=len(rejected),
        refused=len(refused),
        dead_letters=len(dead_letters or ()),
        damaged=len(lost),
        missing=sorted(open_items - lost),
        duplicates=received.duplicates,
        allowed=allowed,
        altered=received.altered,
        requests=received.requests,
    )
