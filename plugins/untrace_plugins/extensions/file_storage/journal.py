"""The journal as a queue sees it."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from untrace_pipeline.api import RetryableError
from untrace_pipeline.delivery.storage import Record, Recovery, Totals
from untrace_plugins.extensions.file_storage.again import read_again
from untrace_plugins.extensions.file_storage.appender import Appended
from untrace_plugins.extensions.file_storage.backlog import Backlog, Damage
from untrace_plugins.extensions.file_storage.files import is_full
from untrace_plugins.extensions.file_storage.layout import ENTRY_SIZE, NOTHING
from untrace_plugins.extensions.file_storage.segment import DAMAGED, ORDINALS, SERIAL_SHIFT, Segment
from untrace_plugins.extensions.file_storage.shelf import Shelf
from untrace_plugins.extensions.file_storage.space import Space
from untrace_plugins.extensions.file_storage.writer import Append, Writer

__all__ = ["FileJournal", "Owner"]

FLUSH_SECONDS = 0.005
"""How late an end reaches the operating system: what a kill in between costs is a repetition."""
RETRY_SECONDS = 1.0
"""How long nothing is tried after the disk was full or failed."""


class Owner(Protocol):
    """Who keeps the journal."""

    @property
    def memory(self) -> int:
        """Bytes of what was appended and not taken that may stay in memory; the rest is read when its turn comes."""

    def failing(self, journal: str, message: str) -> None:
        """The medium does not take what should be appended."""

    def working(self, journal: str) -> None:
        """It does again."""

    def committed(self, seconds: float) -> None:
        """Records were written, and it took so long until they were on the disk."""

    def closed(self, journal: str) -> None:
        """Somebody else may open the journal now."""


class FileJournal:
    """A :class:`~untrace_pipeline.delivery.storage.Journal`: records in segment files, the newest in memory as well.

    Everything but :meth:`take` and :meth:`close` is done at once; the disk is left to two threads.
    """

    def __init__(
        self,
        name: str,
        shelves: Sequence[Shelf],
        segments: Sequence[Segment],
        *,
        space: Space,
        owner: Owner,
        logger: logging.Logger,
        reopened: bool,
    ) -> None:
        """``shelves`` are open: the own one, then those adopted; ``segments``: what they hold, in reading order."""
        self._name = name
        self._shelf = shelves[0]
        self._logger = logger
        self._space = space
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._segments = {segment.serial: segment for segment in segments}
        self._backlog = Backlog()
        self._held = NOTHING
        for segment in segments:
            self._held = self._held.plus(segment.held)
            self._backlog.add(segment)
        self._behind = bool(segments)
        """Whether the disk holds records that were not taken and are not in memory."""
        self._hot: deque[Record] = deque()
        self._hot_bytes = 0
        self._read: deque[Record] = deque()
        self._given_back: list[tuple[int, Record]] = []
        self._taken: dict[int, float] = {}
        """Place and time of the records that somebody works on, in the order of taking."""
        self._claiming = False
        """Whether what is appended counts as taken."""
        self._damaged = 0
        self._refuse_until = 0.0
        self._trouble = ""
        self._unreadable = False
        self._flushing: asyncio.TimerHandle | None = None
        self._reading: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self.recovery = None if reopened else _recovery(shelves, segments)
        space.open(name, sum(segment.disk_bytes for segment in segments))
        self._writer = Writer(shelves[0], shelves, self._written, logger, f"untrace-journal-{name}"[:40])

    @property
    def held(self) -> Totals:
        """What was appended and has not ended."""
        return self._held

    # ----------------------------------------------------------------- append

    def append(self, record: Record, *, taken: bool = False) -> asyncio.Future[None]:
        """Hand a record to the writer."""
        if taken:
            self._claiming = True
        future: asyncio.Future[None] = self._loop.create_future()
        refusal = self._refusal(record)
        if refusal is not None:
            future.set_exception(refusal)
            return future
        self._held = self._held.plus(_amount(record))
        self._writer.append(record, future)
        return future

    def _refusal(self, record: Record) -> RetryableError | None:
        if self._closing is not None:
            return RetryableError(f"{self._name} is closed: shutting down")
        if self._loop.time() < self._refuse_until:
            return self._error()
        if not self._space.take(self._name, self._disk_bytes(record)):
            self._fail(f"the storage is full (max_size {self._space.limit} bytes)")
            return self._error()
        return None

    def _error(self) -> RetryableError:
        return RetryableError(f"{self._name}: {self._trouble}", retry_after=RETRY_SECONDS)

    def _fail(self, trouble: str) -> None:
        """Refuse for a while; and make room, if all that this journal has on the disk has ended."""
        self._refuse_until = self._loop.time() + RETRY_SECONDS
        if not self._trouble:
            self._logger.warning("%s: %s; senders are told to come back", self._name, trouble)
        self._trouble = trouble
        self._owner.failing(self._name, trouble)
        if any(segment.total.requests and not segment.held.requests for segment in self._segments.values()):
            self._writer.seal()

    def _written(self, appends: Sequence[Append], appended: Appended) -> None:
        """Note what the writer did."""
        done = 0
        for segment, count in appended.runs:
            self._know(segment)
            for record, _ in appends[done : done + count]:
                self._keep(segment, record)
            done += count
        for segment in appended.sealed:
            segment.sealed = True
            self._fold_if_finished(segment)
        if appended.error is not None:
            self._refuse(appends[done:], appended.error)
        elif done and self._trouble and self._loop.time() >= self._refuse_until:
            self._logger.info("%s: writing works again", self._name)
            self._trouble = ""
            self._owner.working(self._name)
        if done:
            self._owner.committed(appended.seconds)
        for _, future in appends[:done]:
            if not future.done():
                future.set_result(None)

    def _know(self, segment: Segment) -> None:
        if segment.serial not in self._segments:
            self._segments[segment.serial] = segment
            if self._behind:
                self._backlog.add(segment)

    def _keep(self, segment: Segment, record: Record) -> None:
        """Keep a durable record in memory, unless reading is behind or its owner has it."""
        size = len(record.header) + len(record.payload)
        record.position = segment.end
        if self._claiming:
            self._taken[record.place] = record.time
            self._note(segment, record, size)
            return
        if not self._behind and self._hot_bytes + size > self._owner.memory and self._hot:
            self._behind = True
            self._backlog.add(segment, segment.end, segment.total)
        if not self._behind:
            self._hot.append(record)
            self._hot_bytes += size
        self._note(segment, record, size)

    def _note(self, segment: Segment, record: Record, size: int) -> None:
        segment.total = segment.total.plus(_amount(record))
        segment.end += self._shelf.overhead + size

    def _refuse(self, appends: Sequence[Append], error: OSError) -> None:
        for record, _ in appends:
            self._held = self._held.minus(_amount(record))
            self._space.give(self._name, self._disk_bytes(record))
        what = "the disk is full" if is_full(error) else "the disk fails"
        self._fail(f"{what}: {error.strerror or error}")
        for _, future in appends:
            if not future.done():
                future.set_exception(self._error())

    # ------------------------------------------------------------------- take

    async def take(self, max_bytes: int) -> Sequence[Record]:
        """Return the next records. Cancelled, it has taken nothing."""
        while self._behind and not (self._given_back or self._hot or self._read or self._closing):
            await self._read_on(max_bytes)
        taken: list[Record] = []
        size = 0
        while size < max_bytes and (record := self._pop()) is not None:
            taken.append(record)
            size += len(record.payload)
            self._taken[record.place] = record.time
        return taken

    async def payloads(self, records: Sequence[Record]) -> list[bytes | None]:
        """Read again, in a thread, what was taken."""
        places = [(self._segments[record.place >> SERIAL_SHIFT], record) for record in records]
        try:
            return await asyncio.to_thread(read_again, places)
        except OSError as error:
            raise RetryableError(f"{self._name} cannot be read: {error}", retry_after=RETRY_SECONDS) from error

    def scattered(self, records: Iterable[Record]) -> list[Record]:
        """Return the records in segments of which little is held."""
        sparse = {serial for serial, segment in self._segments.items() if segment.sparse}
        return [record for record in records if record.place >> SERIAL_SHIFT in sparse] if sparse else []

    def key(self, record: Record) -> str:
        """Return the id of the shelf and the place in it, so that it does not change when another worker adopts it."""
        segment = self._segments[record.place >> SERIAL_SHIFT]
        return f"{segment.shelf.ledger.id}-{segment.number:x}-{record.place & ORDINALS:x}"

    def give_back(self, record: Record) -> None:
        """Return a record to those that wait."""
        if self._taken.pop(record.place, None) is not None:
            heapq.heappush(self._given_back, (record.place, record))

    def _pop(self) -> Record | None:
        if self._given_back:
            return heapq.heappop(self._given_back)[1]
        if self._hot:
            record = self._hot.popleft()
            self._hot_bytes -= len(record.header) + len(record.payload)
            return record
        return self._read.popleft() if self._read else None

    async def _read_on(self, max_bytes: int) -> None:
        """Read more of what is only on the disk; whoever is cancelled meanwhile leaves it to the next one."""
        if self._reading is None:
            self._reading = self._loop.create_task(self._read_some(max_bytes))
        await asyncio.shield(self._reading)

    async def _read_some(self, max_bytes: int) -> None:
        try:
            chunk = await self._backlog.read(max_bytes)
        except OSError as error:
            if not self._unreadable:
                self._logger.warning("%s cannot be read: %s; it is tried again", self._name, error)
            self._unreadable = True
            await asyncio.sleep(RETRY_SECONDS)
            return
        finally:
            self._reading = None
        self._unreadable = False
        self._read.extend(chunk.records)
        for damage in chunk.damages:
            self._note_damage(damage)
        if self._backlog.empty:
            self._behind = False
            self._backlog.clear()

    # -------------------------------------------------------------------- end

    def end(self, record: Record, outcome: Mapping[str, int]) -> None:
        """End a record that was taken."""
        if self._taken.pop(record.place, None) is None:
            return
        segment = self._segments[record.place >> SERIAL_SHIFT]
        self._finish(segment, record.place & ORDINALS, _amount(record), outcome)

    def take_damaged(self) -> int:
        """Return the items that could not be read, since this was asked last."""
        damaged, self._damaged = self._damaged, 0
        return damaged

    def _note_damage(self, damage: Damage) -> None:
        requests, items, size = damage.amount
        self._logger.error(
            "%s: %d items in %d requests (%d bytes) cannot be read any more: segment %d is damaged",
            self._name,
            items,
            requests,
            size,
            damage.segment.number,
        )
        self._damaged += items
        self._finish(damage.segment, damage.ordinal, damage.amount, {DAMAGED: items}, span=damage.span)

    def _finish(
        self, segment: Segment, ordinal: int, amount: Totals, outcome: Mapping[str, int], *, span: int = 1
    ) -> None:
        self._held = self._held.minus(amount)
        self._writer.end(segment, segment.finish(ordinal, amount, outcome, span=span))
        if self._flushing is None:
            self._flushing = self._loop.call_later(FLUSH_SECONDS, self._flush)
        self._fold_if_finished(segment)

    def _fold_if_finished(self, segment: Segment) -> None:
        if segment.finished and self._segments.pop(segment.serial, None) is not None:
            self._writer.fold(segment)
            self._space.give(self._name, segment.disk_bytes)

    def _disk_bytes(self, record: Record) -> int:
        return self._shelf.overhead + len(record.header) + len(record.payload) + ENTRY_SIZE

    def _flush(self) -> None:
        self._flushing = None
        self._writer.flush()

    # ----------------------------------------------------------------- others

    def oldest(self) -> float | None:
        """Return the time of the oldest record held; of those that were not read, that of their segment."""
        times = [next(iter(self._taken.values()), None), self._backlog.oldest if self._behind else None]
        times += [queue[0].time for queue in (self._hot, self._read) if queue]
        if self._given_back:
            times.append(self._given_back[0][1].time)
        return min((time for time in times if time is not None), default=None)

    async def close(self) -> None:
        """Write what is to be written and let the next owner have the journal."""
        if self._closing is None:
            self._closing = self._loop.create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        if self._reading is not None:
            await self._reading
        self._backlog.clear()
        if self._flushing is not None:
            self._flushing.cancel()
        await self._writer.seal()
        await self._writer.stop()
        self._space.close(self._name)
        self._owner.closed(self._name)


def _amount(record: Record) -> Totals:
    return Totals(1, record.items, record.size)


def _recovery(shelves: Sequence[Shelf], segments: Sequence[Segment]) -> Recovery:
    appended, ended = 0, Counter[str]()
    for shelf in shelves:
        appended += shelf.ledger.appended
        ended.update(shelf.ledger.ended)
    for segment in segments:
        appended += segment.total.items
        ended.update(segment.states)
    return Recovery(appended, ended)
