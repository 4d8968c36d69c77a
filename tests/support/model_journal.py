"""A disk made of lists, and the journals on it: durable after a while, sometimes full, and able to lose power."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from untrace_pipeline.delivery import DeadLetter, Journal, Record, Recovery, Totals
from untrace_pipeline.errors import RetryableError


@dataclass
class ModelDisk:
    """What survives: records that were durable, and the ends that were."""

    rng: random.Random
    records: dict[int, Record] = field(default_factory=dict)
    ended: Counter[str] = field(default_factory=Counter)
    appended: int = 0
    places: int = 0
    full: bool = False
    letters: list[DeadLetter] = field(default_factory=list)


class ModelStorage:
    """The extension: opens a journal over the disk, for one owner at a time, and keeps dead letters."""

    def __init__(self, disk: ModelDisk) -> None:
        self.disk = disk
        self.journal: ModelJournal | None = None
        self.dead = False

    async def start(self, host: object) -> None: ...

    async def shutdown(self) -> None: ...

    def in_use(self, name: str) -> bool:
        return self.journal is not None and not self.journal.closed

    async def open_journal(self, name: str) -> Journal:
        while self.in_use(name):
            await asyncio.sleep(0.01)
        self.journal = ModelJournal(self.disk, fresh=self.journal is None)
        return self.journal

    def dead_letters(self) -> ModelStorage:
        return self

    async def bury(self, letters: Sequence[DeadLetter]) -> None:
        await asyncio.sleep(self.disk.rng.choice((0, 0.01)))
        if self.disk.full:
            raise RetryableError("the disk is full")
        if not self.dead:
            self.disk.letters += letters

    def lose_power(self) -> None:
        """From now on nothing reaches the disk; of what was on its way a part does."""
        self.dead = True
        if self.journal is not None:
            self.journal.lose_power()


class ModelJournal:
    """See :class:`~untrace_pipeline.delivery.Journal`; takes from the disk in order of places."""

    def __init__(self, disk: ModelDisk, *, fresh: bool) -> None:
        self._disk = disk
        self._dead = False
        self.closed = False
        self._recovery = Recovery(disk.appended, dict(disk.ended)) if fresh else None
        self._ready = deque(replace(record) for _, record in sorted(disk.records.items()))
        self._held = {record.place: record for record in self._ready}
        self._writing: dict[asyncio.Future[None], Record] = {}
        self._ends: dict[int, Mapping[str, int]] = {}

    @property
    def held(self) -> Totals:
        records = self._held.values()
        size = sum(len(record.header) + len(record.payload) for record in records)
        return Totals(len(records), sum(record.items for record in records), size)

    @property
    def recovery(self) -> Recovery | None:
        return self._recovery

    def append(self, record: Record, *, taken: bool = False) -> asyncio.Future[None]:
        assert not taken, "queues take"
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        record.place = self._disk.places
        self._disk.places += 1
        self._writing[future] = record
        # In the order of appending, as a file has it: a later record is never durable before an earlier one.
        loop.call_later(
            0.002 * len(self._writing) if self._disk.rng.random() < 0.7 else 0.05, self._write_until, future
        )
        return future

    async def take(self, max_bytes: int) -> Sequence[Record]:
        await asyncio.sleep(self._disk.rng.choice((0, 0.001)))
        taken: list[Record] = []
        while self._ready and sum(len(record.payload) for record in taken) < max_bytes:
            taken.append(self._ready.popleft())
        return taken

    async def payloads(self, records: Sequence[Record]) -> list[bytes | None]:
        return [self._held[record.place].payload for record in records]

    def scattered(self, records: Iterable[Record]) -> list[Record]:
        return []

    def key(self, record: Record) -> str:
        return f"model-{record.place}"

    def give_back(self, record: Record) -> None:
        self._ready.appendleft(record)
        self._ready = deque(sorted(self._ready, key=lambda one: one.place))

    def end(self, record: Record, outcome: Mapping[str, int]) -> None:
        assert sum(outcome.values()) == record.items, (record.items, outcome)
        assert record.place in self._held, "ended twice, or never appended"
        del self._held[record.place]
        if not self._dead:
            self._ends[record.place] = dict(outcome)
            asyncio.get_running_loop().call_later(0.005, self._flush)

    def take_damaged(self) -> int:
        return 0

    def oldest(self) -> float | None:
        return min((record.time for record in self._held.values()), default=None)

    async def close(self) -> None:
        if not self._dead:
            for future in list(self._writing):
                self._write_until(future)
            self._flush()
        self.closed = True

    def lose_power(self) -> None:
        durable = self._disk.rng.randrange(len(self._writing) + 1)
        for _, record in list(self._writing.items())[:durable]:
            self._keep(record)
        self._ends = {place: outcome for place, outcome in self._ends.items() if self._disk.rng.random() < 0.5}
        self._flush()
        self._dead = True

    def _write_until(self, last: asyncio.Future[None]) -> None:
        if self._dead or last not in self._writing:
            return
        for future, record in list(self._writing.items()):
            del self._writing[future]
            if self._disk.full:
                if not future.done():
                    future.set_exception(RetryableError("the disk is full"))
            else:
                self._keep(record)
                self._held[record.place] = record
                self._ready.append(record)
                if not future.done():
                    future.set_result(None)
            if future is last:
                return

    def _keep(self, record: Record) -> None:
        self._disk.records[record.place] = replace(record)
        self._disk.appended += record.items

    def _flush(self) -> None:
        if self._dead:
            return
        for place, outcome in self._ends.items():
            del self._disk.records[place]
            self._disk.ended.update(outcome)
        self._ends.clear()
