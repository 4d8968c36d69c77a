"""A journal without a disk: the contract of journals, to test queues with."""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from untrace_pipeline.delivery.storage import Record, Recovery, Totals
from untrace_pipeline.errors import RetryableError

__all__ = ["MemoryJournal"]


class MemoryJournal:
    """Holds records in memory. With ``manual``, what is appended becomes durable when the test calls :meth:`commit`."""

    def __init__(self, *, manual: bool = False) -> None:
        self.manual = manual
        self.error: RetryableError | None = None
        """What appending raises from now on."""
        self.records: dict[int, Record] = {}
        self.ended: Counter[str] = Counter()
        self.appended = 0
        self.damaged = 0
        self.closed = False
        self.recovery: Recovery | None = Recovery(0)
        self._waiting: list[tuple[int, Record]] = []
        self._pending: list[tuple[Record, asyncio.Future[None]]] = []
        self._taken = False

    @property
    def held(self) -> Totals:
        """Everything that has not ended."""
        held = [*self.records.values(), *(record for record, _ in self._pending)]
        return Totals(len(held), sum(r.items for r in held), sum(len(r.payload) for r in held))

    def append(self, record: Record, *, taken: bool = False) -> asyncio.Future[None]:
        """Hold a record."""
        self._taken = taken
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((record, future))
        if not self.manual:
            asyncio.get_running_loop().call_soon(self.commit)
        return future

    def commit(self) -> None:
        """Make durable what was appended."""
        pending, self._pending = self._pending, []
        for record, future in pending:
            if self.error is None:
                record.place = self.appended
                self.appended += 1
                self.records[record.place] = record
                if not self._taken:
                    heapq.heappush(self._waiting, (record.place, record))
            if future.done():
                continue
            if self.error is None:
                future.set_result(None)
            else:
                future.set_exception(self.error)

    async def take(self, max_bytes: int) -> Sequence[Record]:
        """Return the oldest records."""
        taken: list[Record] = []
        while self._waiting and sum(len(record.payload) for record in taken) < max_bytes:
            taken.append(heapq.heappop(self._waiting)[1])
        return taken

    async def payloads(self, records: Sequence[Record]) -> list[bytes | None]:
        """Return what is held."""
        return [self.records[record.place].payload for record in records]

    def scattered(self, records: Iterable[Record]) -> list[Record]:
        """Nothing is."""
        return []

    def key(self, record: Record) -> str:
        """Return the place."""
        return f"memory-{record.place}"

    def give_back(self, record: Record) -> None:
        """Take a record back."""
        assert record.place in self.records
        heapq.heappush(self._waiting, (record.place, record))

    def end(self, record: Record, outcome: Mapping[str, int]) -> None:
        """End a record; its items must be accounted for."""
        assert sum(outcome.values()) == record.items
        assert all(place != record.place for place, _ in self._waiting)
        del self.records[record.place]
        self.ended.update(outcome)

    def take_damaged(self) -> int:
        """Return what the test says."""
        damaged, self.damaged = self.damaged, 0
        return damaged

    def oldest(self) -> float | None:
        """Return the time of the oldest record."""
        return min((record.time for record in self.records.values()), default=None)

    async def close(self) -> None:
        """Note it."""
        self.closed = True
