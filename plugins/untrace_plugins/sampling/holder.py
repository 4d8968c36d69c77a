"""The processor that holds traces until they are decided; what decides is given."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from time import perf_counter
from typing import Any, Protocol

from untrace_pipeline.api import Host, Outlet, RetryableError, Settings, StartError, Workers
from untrace_pipeline.data import Batch
from untrace_pipeline.delivery.storage import QueueStorage
from untrace_plugins.sampling.books import PASSED, Books
from untrace_plugins.sampling.config import HoldingConfig
from untrace_plugins.sampling.decisions import Decisions
from untrace_plugins.sampling.marking import Marking
from untrace_plugins.sampling.outbox import Outbox, Parcel
from untrace_plugins.sampling.pending import Pending
from untrace_plugins.sampling.spans import Senders, Spans
from untrace_plugins.sampling.store import TraceStore
from untrace_plugins.sampling.survey import Survey
from untrace_plugins.sampling.trace import SHUTDOWN, TOO_LARGE, Fragment, Trace, Verdict

__all__ = ["Decider", "TraceHolder"]


TIDY_SECONDS = 60.0
"""Between two looks at what long traces hold up on disk."""


class Decider(Protocol):
    """Decides about traces."""

    survey: Survey
    """What it wants to know of their spans."""

    def start(self, workers: Workers) -> None:
        """Learn which of several workers this is, before anything is decided."""

    def decide(self, traces: Sequence[Trace]) -> list[Verdict]:
        """Return a verdict for each trace, from what is known by now."""

    def at_once(self, spans: Spans, traces: Mapping[bytes, Trace]) -> Mapping[bytes, Verdict]:
        """Return what is certain when spans have come, for some of their traces; these know of the spans already."""


class TraceHolder:
    """Cuts requests into traces, keeps their bytes and what the decider wants to know, and lets them go when decided.

    ``consume`` returns when the spans are held: in memory, or with ``storage`` on disk. Spans of traces that are
    decided already do not wait: they are accepted when ``next`` has.
    """

    def __init__(
        self, config: HoldingConfig, settings: Settings, next: Outlet, decider: Decider, *, record_policy: bool = False
    ) -> None:
        self._config = config
        self._settings = settings
        self._name = f"processor {settings.id}"
        self._next = next
        self._decider = decider
        self._marking = Marking(
            adjusted_count=config.record_adjusted_count, tracestate=config.use_tracestate, policy=record_policy
        )
        self._books = Books(settings, next)
        self._decisions = Decisions(*config.remembered)
        self._pending = Pending(config, decider.survey, self._books, self._decide, spills=config.storage is not None)
        self._outbox = Outbox(settings, next, self._prepare, self._ended)
        self._senders = Senders()
        self._room = asyncio.Event()
        """Set when there may be room."""
        self._store: TraceStore | None = None
        self._open = asyncio.Event()
        """Set when the storage is open, or there is none, or it cannot be had."""
        self._opening: asyncio.Task[None] | None = None
        self._tidying: asyncio.Task[None] | None = None
        self._unopened = ""
        self._recorded: asyncio.Future[None] | None = None
        """The latest decisions on their way to the disk."""
        self._closed = False

    # -------------------------------------------------------------- lifecycle

    async def start(self, host: Host) -> None:
        """Open the storage and take over what lies there. Raises :class:`StartError`."""
        self._decider.start(host.workers)
        if self._config.storage is None:
            self._open.set()
            return
        storage = host.extension(self._config.storage)
        if not isinstance(storage, QueueStorage):
            raise StartError(f"storage: extension {self._config.storage} keeps no journals")
        name = f"processors/{self._settings.id}" + (f"@{self._settings.pipeline}" if self._settings.pipeline else "")
        work = self._adopt(host, storage, name)
        if storage.in_use(name):
            self._opening = host.spawn(self._adopt_later(work), name=f"{self._name} opens its storage")
        else:
            await work

    async def _adopt_later(self, work: Coroutine[Any, Any, None]) -> None:
        """Open the storage when the processor that a reload replaces has closed it; refuse what comes if that fails."""
        try:
            await work
        except StartError as error:
            self._unopened = f"{self._name} cannot open its storage: {error}"
            self._open.set()
            raise

    async def _adopt(self, host: Host, storage: QueueStorage, name: str) -> None:
        pending = await storage.open_journal(name)
        decisions = await storage.open_journal(f"{name}/decisions")
        self._store = store = TraceStore(pending, decisions, sum(self._config.remembered))
        self._books.recover(pending.recovery, pending.held.items, counted=host.workers.successor)
        if pending.held.items:
            self._settings.logger.info("%d spans wait from before", pending.held.items)
        now = asyncio.get_running_loop().time()
        self._decisions.put(await store.remembered(), now)
        async for spans, fragments in store.held(self._senders):
            self._hold(spans, fragments)
        if (lost := store.lost()) > 0:
            self._books.ended("damaged", lost)
        self._tidying = host.spawn(self._keep_tidy(), name=f"{self._name} tidies up")
        self._open.set()

    async def _keep_tidy(self) -> None:
        while True:
            await asyncio.sleep(TIDY_SECONDS)
            with suppress(RetryableError):  # the disk is full, or cannot be read: whoever needs it says so
                await self.tidy()

    async def tidy(self) -> None:
        """Free room on disk that traces hold up which wait much longer than others. Raises :class:`RetryableError`."""
        if self._store is not None:
            traces = list(self._pending.traces.values())
            await self._store.tidy(fragment for trace in traces for fragment in trace.fragments)

    async def shutdown(self) -> None:
        """Refuse input. With ``storage`` everything stays there; otherwise decide, and send what is kept.

        When cancelled, what is left in memory is counted as dropped (``shutdown``).
        """
        if self._closed:
            return
        self._closed = True
        self._open.set()
        self._room.set()
        for task in (self._opening, self._tidying):
            if task is not None:
                task.cancel()
        if self._tidying is not None:
            await asyncio.wait([self._tidying])
        self._pending.close()
        try:
            await self._empty()
        except asyncio.CancelledError:
            parcels = await self._outbox.abandon()
            if self._store is None:
                self._lose(sum(parcel.items for parcel in parcels))
            raise
        finally:
            if self._store is not None:
                await self._store.close()

    async def _empty(self) -> None:
        if self._store is not None:
            await self._outbox.stop()
            return
        traces = list(self._pending.traces.values())
        if self._config.drop_pending_traces_on_shutdown:
            self._let_go([(trace, SHUTDOWN) for trace in traces])
        else:
            self._decide(traces)
        await self._outbox.drain()

    def _lose(self, items: int) -> None:
        if items:
            self._books.ended("shutdown", items)
            self._settings.logger.error("stopped before %d spans were accepted; they are lost", items)

    def pending_items(self) -> int:
        """Return the spans that have no outcome yet."""
        return self._books.held

    # ---------------------------------------------------------------- consume

    def admit(self, byte_size: int) -> None:
        """Raise :class:`RetryableError` while so much waits for what comes next that nothing more may be held."""
        if self._closed:
            raise RetryableError(f"{self._name}: shutting down")
        if self._unopened:
            raise RetryableError(self._unopened)
        if self._outbox.size + byte_size > self._config.memory_limit:
            msg = f"{self._name}: what was decided is not accepted fast enough by what comes next"
            raise RetryableError(msg, retry_after=1.0)

    async def consume(self, batch: Batch) -> None:
        """Hold the spans of a request, or pass them on where their trace is decided.

        Raises what ``next`` raises for spans of traces that were kept, and :class:`RetryableError` when a storage takes
        nothing, during shutdown, and while too much waits for ``next``.
        """
        if not self._open.is_set():
            await self._open.wait()
        self.admit(0)
        if batch.context.dry_run:  # who asks what would happen waits for no trace, and must not decide about one
            await self._next.consume(batch)
            return
        if self._config.block_on_overflow:
            await self._wait_for_room()
        if not batch.item_count:
            return
        arrived = Spans(batch)
        known = self._decisions.find(arrived.rows)
        spans = await self._pass_late(arrived, known) if known else arrived
        if spans is None:
            return
        if self._closed:
            stopped = RetryableError(f"{self._name}: shutting down")
            stopped.partly_accepted = True
            raise stopped
        fragments = spans.fragments(self._senders.get(batch.context))
        if self._store is None:
            self._books.accept(spans.batch.item_count)
            self._hold(spans, fragments)
        else:
            await self._write(self._store, spans, fragments)

    async def _wait_for_room(self) -> None:
        while not self._closed and self._pending.full():
            self._room.clear()
            await self._room.wait()
        self.admit(0)

    async def _pass_late(self, spans: Spans, known: Mapping[bytes, tuple[Verdict, float]]) -> Spans | None:
        """Let spans of decided traces go the way that their trace went; return the others."""
        verdicts = [known[one][0] if one in known else None for one in spans.ids]
        age = asyncio.get_running_loop().time() - min(time for _, time in known.values())
        for verdict, items in Counter(verdicts).items():
            if verdict is None:
                continue
            if verdict.keep:
                part = spans.batch.copy()
                part.keep([one == verdict for one in verdicts])
                if self._marking.needs(verdict):
                    self._marking.mark(part, verdict, late=True)
                await self._next.consume(part)
            self._books.accept(items)
            self._books.ended(PASSED if verdict.keep else verdict.reason, items)
            self._books.late(items, age, keep=verdict.keep)
        return spans.without([one is not None for one in verdicts])

    async def _write(self, store: TraceStore, spans: Spans, fragments: dict[bytes, Fragment]) -> None:
        """Hold fragments when they are durable. What is on disk stays, even where the sender is told to come again."""
        refusal: BaseException | None = None
        try:
            refusal = await store.keep(fragments.values())
        except asyncio.CancelledError as error:
            refusal = error
        durable = {one: fragment for one, fragment in fragments.items() if fragment.record is not None}
        items = sum(fragment.items for fragment in durable.values())
        (self._books.accept if refusal is None else self._books.unacknowledged)(items)
        self._hold(spans, durable)
        if refusal is not None:
            raise refusal

    def _hold(self, spans: Spans, fragments: dict[bytes, Fragment]) -> None:
        """Add fragments to their traces, and decide what is to be decided at once."""
        if self._store is not None:
            for trace_id in list(fragments):
                verdict = self._decisions.get(trace_id)
                if verdict is not None:  # decided while the fragment was written, or in an earlier process
                    self._follow(trace_id, fragments.pop(trace_id), verdict)
        traces = self._pending.add(spans, fragments)
        large = self._config.maximum_trace_size_bytes
        if large:
            too_large = [trace for trace in traces.values() if trace.size > large]
            self._books.too_large.add(len(too_large))
            self._let_go([(trace, TOO_LARGE) for trace in too_large])
        certain = self._decider.at_once(spans, traces)
        self._let_go([(traces[one], verdict) for one, verdict in certain.items() if not traces[one].decided])
        early = self._pending.overflow()
        if early:
            self._books.too_early.add(len(early))
            self._decide(early)

    # ----------------------------------------------------------------- decide

    def _decide(self, traces: Sequence[Trace]) -> None:
        started = perf_counter()
        self._let_go(list(zip(traces, self._decider.decide(traces), strict=True)))
        self._books.tick_latency.record((perf_counter() - started) * 1000)

    def _let_go(self, decided: Sequence[tuple[Trace, Verdict]]) -> None:
        """Remember what was decided, send what is kept, and drop the rest."""
        if not decided:
            return
        self._pending.remove([trace for trace, _ in decided])
        verdicts = [(trace.id, verdict) for trace, verdict in decided if trace.id]
        self._decisions.put(verdicts, asyncio.get_running_loop().time())
        if self._store is not None:
            self._recorded = self._store.remember(verdicts)
        kept = [(trace, verdict) for trace, verdict in decided if verdict.keep]
        self._books.decide(kept=len(kept), dropped=len(decided) - len(kept))
        self._drop([(trace, verdict) for trace, verdict in decided if not verdict.keep])
        self._outbox.put(kept)
        self._room.set()

    def _follow(self, trace_id: bytes, fragment: Fragment, verdict: Verdict) -> None:
        """Let a fragment go the way of its trace, which was decided before it was held."""
        late = Trace(trace_id, 0.0, [], [fragment])
        if verdict.keep:
            self._outbox.put([(late, verdict)])
        else:
            self._drop([(late, verdict)])

    def _drop(self, traces: Sequence[tuple[Trace, Verdict]]) -> None:
        drops: Counter[str] = Counter()
        for trace, verdict in traces:
            drops[verdict.reason] += trace.items
            self._end(trace.fragments, verdict.reason)
        for reason, items in drops.items():
            self._books.ended(reason, items)

    def _end(self, fragments: Iterable[Fragment], state: str) -> None:
        if self._store is not None:
            for fragment in fragments:
                self._store.end(fragment, state)

    # ------------------------------------------------------------------- send

    async def _prepare(self, parcel: Parcel) -> Batch | None:
        """Return a parcel as a request, with its marks. Raises ``RetryableError`` where the disk is not to be read."""
        if self._store is not None:
            if self._recorded is not None and not self._recorded.done():
                await asyncio.wait([self._recorded])
            for lost in await self._store.load(parcel.fragments):
                self._end([lost], "damaged")
                self._books.ended("damaged", lost.items)
                parcel.remove(lost)
        if not parcel.fragments:
            return None
        batch = parcel.batch()
        if self._marking.needs(parcel.verdict):
            self._marking.mark(batch, parcel.verdict)
        return batch

    def _ended(self, parcel: Parcel, state: str) -> None:
        self._end(parcel.fragments, state)
        self._books.ended(state, parcel.items)
        self._room.set()
