"""Holds what comes in parts until it is whole, or has waited long enough, and hands it on."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from untrace_pipeline.api import ConsumeError, Host, Intake, PermanentError, RetryableError, Settings
from untrace_pipeline.data import Batch, Context, Signal
from untrace_plugins.runs.config import HoldConfig
from untrace_plugins.runs.held import Assembly, Held, Part, by_sender
from untrace_plugins.runs.meters import Meters, Outcome
from untrace_plugins.runs.timetable import Timetable

__all__ = ["Shelf"]

BUNCH_RUNS, BUNCH_BYTES = 200, 4 * 1024 * 1024
"""How much goes on in one request, of what nobody waits for."""
MOST_MARKS, MARKS_IN_ALL = 10000, 1_000_000
"""That are remembered of one thing which goes on and on, and of all."""
FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 1.0, 30.0
"""Between attempts, where the pipelines do not say."""


class _Gone(NamedTuple):
    """What is remembered of what went on."""

    marks: frozenset[str]
    parts: Sequence[Part]


class Shelf:
    """Parts in, spans out. Safe for any number of calls at a time; those about the same thing come one by one.

    What becomes whole by a request goes on before the request is acknowledged. What is only held is acknowledged: it
    goes on later, with as many attempts as it takes, at the latest at shutdown.
    """

    def __init__(self, config: HoldConfig, settings: Settings, next: Intake, assembly: Assembly) -> None:
        self._config = config
        self._logger = settings.logger
        self._next = next
        self._assembly = assembly
        self._held: dict[str, Held] = {}
        self._gone: OrderedDict[str, _Gone] = OrderedDict()
        self._gone_marks = 0
        self._busy: set[str] = set()
        self._freed = asyncio.Event()
        self._timetable = Timetable(self._held)
        self._delay = FIRST_DELAY_SECONDS
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._size = 0
        self._meters = Meters(settings.meter)
        settings.meter.gauge("receiver_held_runs").observe_with(lambda: len(self._held))
        settings.meter.gauge("receiver_held_parts").observe_with(self._count)
        settings.meter.gauge("receiver_held_bytes").observe_with(lambda: self._size)
        settings.meter.gauge("receiver_held_capacity_bytes").set(config.memory_limit)

    def start(self, host: Host, name: str) -> None:
        """Begin to hand on what has waited long enough."""
        self._task = host.spawn(self._run(), name=name)

    def admit(self, byte_size: int) -> None:
        """Ask before a request is read. Raises :class:`RetryableError` when it would be refused anyway."""
        if self._closed:
            raise RetryableError("shutting down")
        if self._size > self._config.memory_limit:
            msg = "what waits to be handed on is not accepted fast enough by the pipelines"
            raise RetryableError(msg, retry_after=FIRST_DELAY_SECONDS)
        self._next.admit(byte_size)

    async def take(self, parts: Sequence[Part], context: Context) -> None:
        """Accept parts, all or none: hold them, and hand on what they complete.

        Raises what the pipelines raise, and :class:`RetryableError` during shutdown; then nothing has changed, and the
        same parts may come again.
        """
        async with self._alone({part.key for part in parts}):
            if self._closed:
                raise RetryableError("shutting down")
            before: dict[str, int] = {}
            try:
                known = sum(not self._add(part, context, before) for part in parts)
                ready = [held for key in before if self._judge(held := self._held[key], before[key])]
                if ready:
                    await self._next.consume(self._batch(ready, context))
            except BaseException:
                self._take_back(before)
                raise
            self._meters.count(Outcome.DUPLICATE, known)
            for held in ready:
                self._forget(held, self._outcome(held))
        self._squeeze()

    def _add(self, part: Part, context: Context, before: dict[str, int]) -> bool:
        """Add a part to what it belongs to, and note how much there was; return ``False`` if it is there already."""
        held = self._held.get(part.key)
        gone = self._gone.get(part.key)
        if (gone is not None and part.mark in gone.marks) or (held is not None and part.mark in held.marks):
            return False
        now = asyncio.get_running_loop().time()
        if held is None:
            held = self._held[part.key] = Held(part.key, context, now, now, earlier=gone.parts if gone else None)
            before[part.key] = 0
        before.setdefault(part.key, len(held.parts))
        size = held.size
        held.last = now
        held.add(part)
        self._size += held.size - size
        return True

    def _judge(self, held: Held, known: int) -> bool:
        """Return whether it goes on at once; note otherwise when it will. So many parts were there before: a look at
        all of them for each that comes would be quadratic."""
        held.due = self._assembly.due(held)
        if held.due <= held.last:
            return True
        for part in held.parts[known:]:
            part.value = None
        self._timetable.put(held)
        return False

    def _take_back(self, before: dict[str, int]) -> None:
        for key, count in before.items():
            held = self._held[key]
            self._size -= held.size
            held.cut(count)
            self._size += held.size
            if not count:
                del self._held[key]
            else:
                held.due = self._assembly.due(held)
                self._timetable.put(held)

    def _squeeze(self) -> None:
        """Let the oldest go on as they are, while there is too much."""
        excess = self._size - self._config.memory_limit
        if excess <= 0:
            return
        now = asyncio.get_running_loop().time()
        for held in self._held.values():
            if held.due > now:
                held.due = now
                self._timetable.put(held)
            excess -= held.size
            if excess <= 0:
                break

    @asynccontextmanager
    async def _alone(self, keys: Iterable[str]) -> Any:
        """Keep others away from some things meanwhile."""
        mine = set(keys)
        while not self._busy.isdisjoint(mine):
            self._freed.clear()
            await self._freed.wait()
        self._busy |= mine
        try:
            yield
        finally:
            self._busy -= mine
            self._freed.set()

    # ------------------------------------------------------- what nobody waits for

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = _bunch(self._timetable.take(loop.time(), self._busy))
            if due:
                await self._hand_on(due)
            else:
                await self._timetable.wait()

    async def _hand_on(self, due: Sequence[Held]) -> None:
        """Hand on what has waited long enough, for each sender by itself; what is refused for now waits on."""
        async with self._alone(held.key for held in due):
            for context, some in by_sender(due):
                try:
                    await self._send(some, context)
                except RetryableError as error:
                    self._put_off(some, error)
                except BaseException:
                    self._put_off(some, None)
                    raise

    async def _send(self, some: Sequence[Held], context: Context) -> None:
        """Hand on, one by one where the pipelines refuse them together. Raises :class:`RetryableError`."""
        refused = await self._offer(some, context)
        if refused is None:
            self._delay = FIRST_DELAY_SECONDS
            for held in some:
                self._forget(held, self._outcome(held))
        elif len(some) > 1:
            for held in some:
                await self._send([held], context)
        else:
            self._logger.error("a run is lost, the pipelines refused it: %s", refused)
            self._forget(some[0], Outcome.DROPPED)

    async def _offer(self, some: Sequence[Held], context: Context) -> ConsumeError | None:
        """Return why the pipelines never take these, if they do not. Raises :class:`RetryableError`."""
        try:
            batch = self._batch(some, context)
        except Exception as error:
            if len(some) == 1:
                self._logger.exception("a run cannot be made a span")
            return PermanentError(f"it cannot be made a span: {type(error).__name__}")
        try:
            await self._next.consume(batch)
        except RetryableError:
            raise
        except ConsumeError as error:
            return error
        return None

    def _put_off(self, some: Sequence[Held], error: RetryableError | None) -> None:
        delay = self._delay
        if error is not None:
            delay = error.retry_after or self._delay
            self._delay = min(2 * self._delay, LONGEST_DELAY_SECONDS)
            self._logger.warning("%d runs were not accepted, next attempt in %.0f s: %s", len(some), delay, error)
        now = asyncio.get_running_loop().time()
        for held in some:
            if held.key in self._held:
                held.due = now + delay
                self._timetable.put(held)

    def _batch(self, some: Sequence[Held], context: Context) -> Batch:
        return Batch(Signal.TRACES, self._assembly.compose(some), context)

    def _outcome(self, held: Held) -> Outcome:
        if held.earlier is not None:
            return Outcome.LATE
        return Outcome.COMPLETE if self._assembly.is_whole(held) else Outcome.INCOMPLETE

    def _forget(self, held: Held, outcome: Outcome) -> None:
        """Hold something no longer, and remember that it was there."""
        self._meters.count(outcome, len(held.parts))
        del self._held[held.key]
        self._size -= held.size
        before = self._gone.pop(held.key, None)
        marks = frozenset(held.marks)
        if before is not None:
            self._gone_marks -= len(before.marks)
            if len(before.marks) < MOST_MARKS:
                marks |= before.marks
        self._gone[held.key] = _Gone(marks, self._assembly.remembered(held))
        self._gone_marks += len(marks)
        while len(self._gone) > self._config.remembered or self._gone_marks > MARKS_IN_ALL:
            _, oldest = self._gone.popitem(last=False)
            self._gone_marks -= len(oldest.marks)

    def _count(self) -> int:
        return sum(len(held.parts) for held in self._held.values())

    # -------------------------------------------------------------------- the end

    async def close(self) -> None:
        """Refuse parts, and hand on everything as it is. Cancelled, what is left is counted as dropped."""
        self._closed = True
        try:
            if self._task is not None:
                self._task.cancel()
                await asyncio.wait([self._task])
            while self._held:
                some = _bunch(iter(self._held.values()))
                await self._hand_on(some)
                if any(held.key in self._held for held in some):
                    await asyncio.sleep(self._delay)
        except asyncio.CancelledError:
            self._lose()
            raise

    def _lose(self) -> None:
        lost = list(self._held.values())
        if lost:
            self._logger.error("stopped before %d runs were accepted; they are lost", len(lost))
        for held in lost:
            self._forget(held, Outcome.DROPPED)


def _bunch(those: Iterator[Held]) -> list[Held]:
    """Return the first of those, as many as go on together."""
    some: list[Held] = []
    size = 0
    while len(some) < BUNCH_RUNS and size < BUNCH_BYTES and (held := next(those, None)) is not None:
        some.append(held)
        size += held.size
    return some
