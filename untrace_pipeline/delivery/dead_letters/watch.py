"""What a store of dead letters tells people: metrics, and a line when letters were purged."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping

from untrace_pipeline.api.component import Settings
from untrace_pipeline.delivery.dead_letters import queries
from untrace_pipeline.delivery.dead_letters.changes import Purged
from untrace_pipeline.delivery.dead_letters.letter import LetterFilter

__all__ = ["Watch"]

_ALL = LetterFilter()


class Watch:
    """Looks in the thread of the writer, shows in that of the event loop, to which metrics belong."""

    def __init__(self, settings: Settings) -> None:
        self._meter = settings.meter
        self._logger = settings.logger
        self._loop: asyncio.AbstractEventLoop | None = None
        self._held: Mapping[str, int] = {}
        self._bytes = 0
        self._shown: set[str] = set()

    def begin(self) -> None:
        """Show from now on, in the event loop that is running."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._meter.gauge("dead_letters_bytes").observe_with(lambda: self._bytes)

    def look(self, connection: sqlite3.Connection) -> None:
        """Read what is held now."""
        held: Counter[str] = Counter()
        for (exporter, _), amount in queries.totals(connection, _ALL).items():
            held[exporter] += amount.items
        used = queries.used_bytes(connection)
        self._tell(lambda: self._show(held, used))

    def purged(self, items: Purged, reason: str, limit: str) -> None:
        """Count and log items that are gone for good."""
        for exporter, count in items.items():
            text = "%d items of exporter %s were purged from the dead letters: the %s is reached"
            self._logger.error(text, count, exporter, limit)
        if items:
            self._tell(lambda: self._count(items, reason))

    def _tell(self, show: Callable[[], None]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(show)

    def _show(self, held: Mapping[str, int], used: int) -> None:
        self._held, self._bytes = held, used
        for exporter in held.keys() - self._shown:
            self._shown.add(exporter)
            self._meter.gauge("dead_letters", exporter=exporter).observe_with(self._reading(exporter))

    def _reading(self, exporter: str) -> Callable[[], float]:
        return lambda: self._held.get(exporter, 0)

    def _count(self, items: Purged, reason: str) -> None:
        for exporter, count in items.items():
            self._meter.counter("dead_letters_purged", exporter=exporter, reason=reason).add(count)
