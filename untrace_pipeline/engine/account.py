"""What stopping cost: which components dropped accepted items, and which still hold some."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from untrace_pipeline.api.component import Drainable
from untrace_pipeline.api.identity import Kind
from untrace_pipeline.engine.unit import Unit
from untrace_pipeline.telemetry.ledger import read_ledger
from untrace_pipeline.telemetry.metrics import Metrics, Snapshot

__all__ = ["Account", "Left"]

logger = logging.getLogger(__name__)

_HOLDING = {Kind.EXPORTER.singular: "queued", Kind.PROCESSOR.singular: "held"}
"""What the ledger calls that which a component still has after it stopped, by kind."""


@dataclass(frozen=True)
class Left:
    """What was not delivered when something stopped, in items."""

    lost: Mapping[str, float] = field(default_factory=dict)
    """Accepted and given up, by component: ``exporter otlp``."""
    held: Mapping[str, float] = field(default_factory=dict)
    """Accepted and kept, on a disk or in a component that had to be left behind, by component: ``otlp``."""

    @classmethod
    def total(cls, several: Iterable[Left]) -> Self:
        """Return what several processes left."""
        lost: Counter[str] = Counter()
        held: Counter[str] = Counter()
        for one in several:
            lost.update(one.lost)
            held.update(one.held)
        return cls(lost, held)

    def tell(self, what: str, snapshot: Snapshot) -> None:
        """Log the ledger of what could hold something, and in a last line how it ended: ``stopped in 0.20 s; …``."""
        for account in read_ledger(snapshot):
            state = _HOLDING.get(account.kind)
            if state is not None and account.component in self.held:
                account.pending.clear()
                account.pending[state] = int(self.held[account.component])
                logger.log(logging.ERROR if account.balance else logging.INFO, "ledger: %s", account.line())
        texts = {word: _listed(word, items) for word, items in (("lost", self.lost), ("still held", self.held))}
        level = logging.ERROR if texts["lost"] else logging.INFO
        logger.log(level, "%s; %s", what, "; ".join(filter(None, texts.values())) or "nothing was left")


class Account:
    """Watches one stop, from its begin to :meth:`close`, which says in one line how it ended.

    What a component gives up when its time is over counts as ``dropped_items{reason="shutdown"}``; what an exporter
    still holds afterwards lies on a disk, or in a component that had to be left behind. Each exporter's line of the
    ledger stands before.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._started = time.monotonic()
        self._before = self._dropped()

    def close(self, what: str, units: Iterable[Unit]) -> Left:
        """Log how it ended, and return what was left."""
        before = self._before
        lost = {name: items - before.get(name, 0) for name, items in self._dropped().items()}
        holding = [unit for unit in units if isinstance(unit.component, Drainable)]
        held: Counter[str] = Counter()
        for unit in holding:
            held[str(unit.id.component)] += unit.component.pending_items()
        left = Left(lost, held)
        left.tell(f"{what} in {time.monotonic() - self._started:.2f} s", self._metrics.snapshot())
        return left

    def _dropped(self) -> dict[str, float]:
        found = self._metrics.sums("dropped_items", ("kind", "component"), reason="shutdown")
        return {" ".join(labels): items for labels, items in found.items()}


def _listed(word: str, items: Mapping[str, float]) -> str:
    found = ", ".join(f"{count:.0f} items of {name}" for name, count in items.items() if count)
    return f"{word}: {found}" if found else ""
