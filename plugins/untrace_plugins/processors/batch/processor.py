"""Gathers requests into parcels and passes each on as one batch."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from functools import partial

from untrace_pipeline.api import (
    ConsumeError,
    Consumer,
    Host,
    PermanentError,
    QueueFullError,
    RetryableError,
    Settings,
)
from untrace_pipeline.data import Batch
from untrace_plugins.processors.batch.config import BatchConfig
from untrace_plugins.processors.batch.parcel import Key, Parcel

__all__ = ["BatchProcessor"]

_TIMER_SLACK = 0.0005
"""Seconds by which a timer may fire early: event loops round to milliseconds."""


class BatchProcessor:
    """Merges by key; see :class:`BatchConfig` for when a batch leaves."""

    def __init__(self, config: BatchConfig, settings: Settings, next: Consumer) -> None:
        self._config = config
        self._id = settings.id
        self._logger = settings.logger
        self._next = next
        self._metadata_keys = [key.lower() for key in config.metadata_keys]
        self._at_once = config.timeout == 0 or config.send_batch_size == 0
        limits = [n for n in (config.send_batch_size_bytes, config.send_batch_max_size_bytes) if n]
        self._full_bytes = min(limits, default=0)
        self._open: dict[Key, Parcel] = {}
        self._queue: deque[Parcel] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        meter = settings.meter
        self._sent_items = meter.histogram("processor_batch_batch_send_size")
        self._sent_bytes = meter.histogram("processor_batch_batch_send_size_bytes")
        self._by_size = meter.counter("processor_batch_batch_size_trigger_send")
        self._by_time = meter.counter("processor_batch_timeout_trigger_send")
        meter.gauge("processor_batch_metadata_cardinality").observe_with(lambda: len(self._open))

    async def start(self, host: Host) -> None:
        """Nothing to open: timers belong to the parcels."""

    async def consume(self, batch: Batch) -> None:
        """Wait until every batch that holds items of this one was accepted.

        Raises what the next stage raised for them, :class:`RetryableError` during shutdown, and
        :class:`PermanentError` beyond ``metadata_cardinality_limit``. A caller that is cancelled takes its items out
        if they have not left yet, and never disturbs the others.
        """
        if self._stopping:
            raise RetryableError(f"processor {self._id}: shutting down")
        if batch.context.dry_run:  # never mixed with what is sent
            await self._next.consume(batch)
            return
        batch.to_otlp()  # pending edits are written now: sizes are exact, and a failure is this caller's alone
        if not batch.item_count:
            return
        key = self._key(batch)
        pieces = self._pieces(batch)
        if len(pieces) == 1:
            await self._add(key, pieces[0])
        else:
            await _all_accepted([self._add(key, piece) for piece in pieces])

    async def shutdown(self) -> None:
        """Send everything that waits; if cut short, its senders are told to try again."""
        self._stopping = True
        for parcel in list(self._open.values()):
            self._release(parcel)
        try:
            while self._tasks:
                await asyncio.wait(self._tasks)
        except asyncio.CancelledError:
            await self._abandon()
            raise

    # ------------------------------------------------------------- gathering

    def _key(self, batch: Batch) -> Key:
        context = batch.context
        if not self._metadata_keys:
            return (batch.signal, context.tenant)
        values = [context.metadata.get(name) for name in self._metadata_keys]
        return (batch.signal, context.tenant, *(None if value is None else tuple(value) for value in values))

    def _pieces(self, batch: Batch) -> list[Batch]:
        config = self._config
        if not config.send_batch_max_size and not config.send_batch_max_size_bytes:
            return [batch]
        return batch.split(config.send_batch_max_size, config.send_batch_max_size_bytes)

    def _add(self, key: Key, batch: Batch) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        now = loop.time()
        items, size = batch.item_count, batch.byte_size
        parcel = self._open.get(key)
        if parcel is not None and self._overfills(parcel, items, size):
            self._release(parcel, full=True)
            parcel = None
        if parcel is None:
            parcel = self._begin(key, now)
        waiter: asyncio.Future[None] = loop.create_future()
        parcel.add(batch, waiter, items, size, now)
        if self._is_full(parcel):
            self._release(parcel, full=True)
        elif self._at_once:
            self._release(parcel)
        elif parcel.timer is None:
            parcel.timer = loop.call_at(self._due(parcel), self._tick, parcel)
        return waiter

    def _begin(self, key: Key, now: float) -> Parcel:
        limit = self._config.metadata_cardinality_limit
        if limit and self._metadata_keys and len(self._open) >= limit:
            raise PermanentError(
                f"processor {self._id}: more than {limit} combinations of metadata values wait at once "
                f"(metadata_cardinality_limit); metadata_keys are {', '.join(self._metadata_keys)}"
            )
        parcel = self._open[key] = Parcel(key, now, now)
        return parcel

    def _overfills(self, parcel: Parcel, items: int, size: int) -> bool:
        most = self._config.send_batch_max_size
        return bool(
            (most and parcel.items + items > most) or (self._full_bytes and parcel.byte_size + size > self._full_bytes)
        )

    def _is_full(self, parcel: Parcel) -> bool:
        return bool(
            (self._config.send_batch_size and parcel.items >= self._config.send_batch_size)
            or (self._full_bytes and parcel.byte_size >= self._full_bytes)
        )

    def _due(self, parcel: Parcel) -> float:
        due = parcel.first + self._config.timeout
        return min(due, parcel.last + self._config.quiet_period) if self._config.quiet_period else due

    def _tick(self, parcel: Parcel) -> None:
        """Release a parcel whose time is up; otherwise wait for the rest. So arrivals never touch timers."""
        loop = asyncio.get_running_loop()
        due = self._due(parcel)
        if due - loop.time() > _TIMER_SLACK:
            parcel.timer = loop.call_at(due, self._tick, parcel)
        else:
            self._release(parcel)

    # --------------------------------------------------------------- sending

    def _release(self, parcel: Parcel, *, full: bool = False) -> None:
        """Send a parcel as soon as a place is free; until then it keeps growing unless it is full."""
        if full:
            parcel.by_size = True
            self._close(parcel)
        if not parcel.queued:
            parcel.queued = True
            self._queue.append(parcel)
        self._pump()

    def _close(self, parcel: Parcel) -> None:
        if parcel.timer is not None:
            parcel.timer.cancel()
        if self._open.get(parcel.key) is parcel:
            del self._open[parcel.key]

    def _pump(self) -> None:
        while self._queue and len(self._tasks) < self._config.max_in_flight:
            parcel = self._queue.popleft()
            self._close(parcel)
            task = asyncio.get_running_loop().create_task(self._send(parcel), name=f"{self._id} send")
            self._tasks.add(task)
            task.add_done_callback(partial(self._sent, parcel))

    def _sent(self, parcel: Parcel, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            parcel.settle(self._cut_short())
        self._pump()

    async def _send(self, parcel: Parcel) -> None:
        _, tenant, *values = parcel.key
        metadata = {name: value for name, value in zip(self._metadata_keys, values, strict=True) if value is not None}
        try:
            merged = parcel.merge(metadata, tenant)  # type: ignore[arg-type]
            if merged is not None:
                self._count(merged, parcel)
                await self._next.consume(merged)
        except Exception as error:  # noqa: BLE001  raised by every caller
            parcel.settle(error)
        else:
            parcel.settle(None)

    def _count(self, merged: Batch, parcel: Parcel) -> None:
        (self._by_size if parcel.by_size else self._by_time).add()
        self._sent_items.record(merged.item_count)
        self._sent_bytes.record(merged.byte_size)

    async def _abandon(self) -> None:
        items = sum(parcel.items for parcel in self._queue)
        self._logger.warning(
            "processor %s: stopped before %d batches were accepted, and %d items were not sent; "
            "nothing of it was acknowledged, senders will try again",
            self._id,
            len(self._tasks),
            items,
        )
        while self._queue:
            self._queue.popleft().settle(self._cut_short())
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _cut_short(self) -> RetryableError:
        return RetryableError(f"processor {self._id}: stopped before the batch was accepted")


async def _all_accepted(waiters: Sequence[asyncio.Future[None]]) -> None:
    """Wait for all pieces of one request; raise the worst error, which is permanent only if all errors are."""
    try:
        await asyncio.wait(waiters)
    except asyncio.CancelledError:
        for waiter in waiters:
            waiter.cancel()
        raise
    errors = [error for waiter in waiters if (error := waiter.exception())]
    if errors:
        worst = min(errors, key=_severity)
        if isinstance(worst, QueueFullError):
            worst.refused = QueueFullError.total([error for error in errors if isinstance(error, QueueFullError)])
        if isinstance(worst, ConsumeError):
            worst.partly_accepted |= len(errors) < len(waiters)
        raise worst


def _severity(error: BaseException) -> int:
    if not isinstance(error, ConsumeError):
        return 0
    if isinstance(error, QueueFullError):  # a fan-out may swallow it, and others must not go with it
        return 2
    return 1 if isinstance(error, RetryableError) else 3
