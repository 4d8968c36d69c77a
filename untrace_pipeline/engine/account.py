"""What stopping cost: which components dropped accepted items, and which still hold some."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping

from untrace_pipeline.api.component import Drainable
from untrace_pipeline.api.identity import Kind
from untrace_pipeline.engine.unit import Unit
from untrace_pipeline.telemetry.ledger import read_ledger
from untrace_pipeline.telemetry.metrics import Metrics

__all__ = ["Account"]

logger = logging.getLogger(__name__)


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

    def close(self, what: str, units: Iterable[Unit]) -> None:
        """Log how it ended."""
        what = f"{what} in {time.monotonic() - self._started:.2f} s"
        before = self._before
        lost = {name: items - before.get(name, 0) for name, items in self._dropped().items()}
        exporters = [unit for unit in units if isinstance(unit.component, Drainable)]
        held = {str(unit.id.component): unit.component.pending_items() for unit in exporters}
        self._show_ledger(held)
        texts = {word: _listed(word, items) for word, items in (("lost", lost), ("still held", held))}
        level = logging.ERROR if texts["lost"] else logging.INFO
        logger.log(level, "%s; %s", what, "; ".join(filter(None, texts.values())) or "nothing was left")

    def _show_ledger(self, held: Mapping[str, int]) -> None:
        """Log the accounts of the exporters that stopped, with what they still hold."""
        for account in read_ledger(self._metrics.snapshot()):
            if account.kind == Kind.EXPORTER.singular and account.component in held:
                account.pending.clear()
                account.pending["queued"] = held[account.component]
                logger.log(logging.ERROR if account.balance else logging.INFO, "ledger: %s", account.line())

    def _dropped(self) -> dict[str, float]:
        found = self._metrics.sums("dropped_items", ("kind", "component"), reason="shutdown")
        return {" ".join(labels): items for labels, items in found.items()}


def _listed(word: str, items: Mapping[str, float]) -> str:
    found = ", ".join(f"{count:.0f} items of {name}" for name, count in items.items() if count)
    return f"{word}: {found}" if found else ""
