"""The exporter with a queue before each backend: none of them waits for another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from untrace_pipeline.api import (
    Code,
    ConsumeError,
    Host,
    PermanentError,
    QueueFullError,
    RetryableError,
    Settings,
    consume_all,
)
from untrace_pipeline.data import Batch, Signal
from untrace_plugins.exporters.load_balancing.backend import QueuedBackend
from untrace_plugins.exporters.load_balancing.balancing import Resolving, finish, routing_keys
from untrace_plugins.exporters.load_balancing.config import LoadBalancingConfig
from untrace_plugins.exporters.load_balancing.pool import Pool

__all__ = ["PerBackendExporter"]

MOVE_AGAIN_SECONDS = 1.0
"""Longest wait before what a backend left behind is offered again to others whose queues were full."""


class PerBackendExporter:
    """Deals each batch out; what waits for a backend that goes is dealt out anew."""

    def __init__(self, config: LoadBalancingConfig, settings: Settings) -> None:
        self._settings = settings
        self._timeout = config.timeout or None
        self._resolving = Resolving(config, settings)
        otlp = config.protocol.otlp

        def make(endpoint: str) -> QueuedBackend:
            return QueuedBackend(endpoint, otlp, settings)

        keys = routing_keys(config, settings)
        self._pool = Pool(config.resolver.kind, keys, settings, make, self._part_with)
        self._host: Host | None = None
        self._closed = False
        self._partings: set[asyncio.Task[None]] = set()
        self._leaving: set[QueuedBackend] = set()
        self._moves: list[list[Batch]] = []
        settings.meter.gauge("exporter_pending_items", state="queued").observe_with(self._moving_items)

    async def start(self, host: Host) -> None:
        """Find the backends, and begin to send. Raises :class:`StartError`."""
        self._host = host
        self._pool.start(host)
        await self._resolving.start(host, self._pool, self._pool.told)

    def admit(self, byte_size: int) -> None:
        """Raise :class:`RetryableError` if no backend would take its share of so many bytes now."""
        backends = self._pool.backends.values()
        refusal = self._pool.unknown()
        for backend in backends:
            try:
                backend.admit(byte_size // len(backends))
            except RetryableError as error:
                refusal = error
            else:
                return
        raise refusal

    async def consume(self, batch: Batch) -> None:
        """Give each backend its items.

        Where some take theirs and the queues of others are full, it is accepted, and their items are counted as
        dropped, as in every fan-out (docs/decisions/0001-fan-out.md). Raises what backends raise otherwise.
        """
        if self._closed:
            msg = f"exporter {self._settings.id} is shutting down"
            raise RetryableError(msg)
        if not batch.item_count:
            return
        try:
            async with asyncio.timeout(self._timeout):
                await self._deal(batch)
        except TimeoutError as error:
            msg = "not all backends have taken their part in time"
            raise RetryableError(msg, code=Code.DEADLINE_EXCEEDED) from error

    def pending_items(self) -> int:
        """Return the items that were accepted and have no outcome yet."""
        backends = (*self._pool.backends.values(), *self._leaving)
        return self._moving_items() + sum(backend.pending_items() for backend in backends)

    async def shutdown(self) -> None:
        """Refuse input, deal out what is left behind, drain all backends."""
        if self._closed:
            return
        self._closed = True
        await self._resolving.stop()
        cut_short = True
        try:
            await finish(self._partings)
            cut_short = False
        finally:
            ends = [asyncio.create_task(backend.shutdown()) for backend in self._pool.backends.values()]
            await finish(ends, cut_short=cut_short)

    # ------------------------------------------------------------------- deal

    async def _deal(self, batch: Batch) -> None:
        tally = _Tally()
        parts = [(_Share(backend, tally, self._deal), part) for backend, part in self._pool.parts(batch)]
        try:
            await consume_all(parts, tally.overflow)
        except BaseException:
            self._count("unacknowledged", tally.taken)
            self._count("accepted", tally.dropped)
            raise
        finally:
            self._count("queue_full", tally.dropped)
            self._tell_dropped(batch.signal, tally)

    def _count(self, state: str, items: int) -> None:
        if items:
            self._settings.meter.counter("ledger_items", state=state).add(items)

    def _tell_dropped(self, signal: Signal, tally: _Tally) -> None:
        if tally.dropped:
            self._settings.meter.counter("dropped_items", signal=signal, reason="queue_full").add(tally.dropped)
            what, why = signal.counted(tally.dropped), "; ".join(tally.refusals)
            self._settings.logger.error("%s lost, other backends took theirs: %s", what, why)

    # ------------------------------------------------------------------- move

    def _part_with(self, backend: QueuedBackend) -> None:
        assert self._host is not None
        task = self._host.spawn(
            self._move(backend), name=f"exporter {self._settings.id}: parting with {backend.endpoint}"
        )
        self._partings.add(task)
        task.add_done_callback(self._partings.discard)

    async def _move(self, backend: QueuedBackend) -> None:
        """Stop a backend that is gone, and deal out what waited for it."""
        kept: list[Batch] = []
        self._leaving.add(backend)
        try:
            try:
                await backend.leave(kept)
            finally:
                self._leaving.discard(backend)
                self._moves.append(kept)  # in the same turn: whoever counts finds the items in one place
                await backend.close()
            self._tell_moving(backend, kept)
            while True:
                if await self._deal_out(kept):
                    break
                await asyncio.sleep(MOVE_AGAIN_SECONDS)
        finally:
            self._moves.remove(kept)
            self._give_up(kept)

    async def _deal_out(self, kept: list[Batch]) -> bool:
        """Offer everything once, and take out what was accepted; return whether that was all."""
        left = len(kept)
        while left:
            left -= 1
            (backend, _), *others = shares = self._pool.parts(kept[0])
            if others:
                kept[:1] = [part for _, part in shares]
                left += len(shares)
                continue
            try:
                await backend.consume(kept[0].copy())
            except RetryableError:
                kept.append(kept.pop(0))
            except PermanentError as error:
                self._drop(kept.pop(0), "permanent", str(error))
            else:
                kept.pop(0)
        return not kept

    def _tell_moving(self, backend: QueuedBackend, kept: Sequence[Batch]) -> None:
        items = sum(batch.item_count for batch in kept)
        if items:
            self._settings.logger.info("%s is gone: %d items that waited go to others", backend.endpoint, items)

    def _give_up(self, kept: list[Batch]) -> None:
        for batch in kept:
            self._drop(batch, "shutdown", "stopped before another backend could take them")
        kept.clear()

    def _drop(self, batch: Batch, reason: str, why: str) -> None:
        items = batch.item_count
        self._settings.meter.counter("dropped_items", signal=batch.signal, reason=reason).add(items)
        self._count(reason, items)
        what = batch.signal.counted(items)
        self._settings.logger.error("%s of a backend that is gone dropped (%s): %s", what, reason, why)

    def _moving_items(self) -> int:
        return sum(batch.item_count for kept in self._moves for batch in kept)


class _Tally:
    """What became of the shares of one batch so far, in items."""

    def __init__(self) -> None:
        self.taken = 0
        self.dropped = 0
        self.refusals: list[str] = []

    def overflow(self, error: QueueFullError, items: int) -> None:
        """A full queue refused a share while others took theirs."""
        self.dropped += items
        self.refusals.append(str(error))


class _Share:
    """One backend as the consumer of one batch; if it goes meanwhile, its share is dealt out anew."""

    def __init__(self, backend: QueuedBackend, tally: _Tally, deal: Callable[[Batch], Awaitable[None]]) -> None:
        self._backend = backend
        self._tally = tally
        self._deal = deal

    async def consume(self, batch: Batch) -> None:
        """Pass the share on. Raises what the backend raises."""
        items = batch.item_count
        try:
            await self._backend.consume(batch.copy())
        except ConsumeError:
            if not self._backend.gone:
                raise
            await self._deal(batch)
        self._tally.taken += items
