"""Delivery: what an exporter holds between ``consume`` and its protocol."""

from __future__ import annotations

import asyncio
import random
from functools import cached_property

from untrace_pipeline.api.component import Host, Settings
from untrace_pipeline.data import Batch
from untrace_pipeline.delivery.accounting import Accounting
from untrace_pipeline.delivery.batcher import Batcher
from untrace_pipeline.delivery.burial import Burial
from untrace_pipeline.delivery.config import DeliveryConfig, Overflow
from untrace_pipeline.delivery.disk_queue import DiskQueue
from untrace_pipeline.delivery.ending import Ending
from untrace_pipeline.delivery.queue import Keeper, MemoryQueue, Queue, Removal
from untrace_pipeline.delivery.reports import Reports
from untrace_pipeline.delivery.request import Entry, Failure, Reason, Request, Result, Sender
from untrace_pipeline.delivery.sending import Sending
from untrace_pipeline.delivery.source import Source
from untrace_pipeline.delivery.storage import QueueStorage
from untrace_pipeline.errors import ConsumeError, OversizeError, QueueFullError, RetryableError, StartError

__all__ = ["Delivery"]


class Delivery:
    """Queue, batching, breaker, retry, splitting, dead letters and accounting for one exporter.

    An exporter makes one in its constructor and forwards ``start``, ``consume``, ``admit`` and ``shutdown`` to it;
    its own part is a :class:`Sender`. Accepted data is lost only where no disk is configured: by the death of the
    process, by the overflow policy ``drop_oldest``, or when attempts end; each loss is counted by reason and logged.
    """

    def __init__(
        self, config: DeliveryConfig, sender: Sender, settings: Settings, *, rng: random.Random | None = None
    ) -> None:
        self._config = config.sending_queue
        self._dead_letters = config.dead_letter_queue
        self._name = f"exporter {settings.id}"
        self._settings = settings
        self.accounting = Accounting(settings)
        self._reports = Reports(settings, sender.destination)
        self._burial = Burial(settings.id, sender.destination, self._reports)
        rng = rng or random.Random()  # noqa: S311  jitter
        self._sending = Sending(config, sender, settings, self.accounting, self._reports, rng)
        self._ending = Ending(config, settings, self.accounting, self._reports)
        self._queue: Queue | None = None
        self._keeper: Keeper | None = None
        self._source: Source | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._opening: asyncio.Task[None] | None = None
        self._open = asyncio.Event()
        self._unopened = ""
        self._closed = False
        self._make_metrics()
        self._on_disk = self._config.storage if self._config.enabled else None
        if self._on_disk is None:
            self._open.set()
            if self._config.enabled:
                owner, policy = f"{self._name}: sending queue", self._config.overflow_policy
                self._use(MemoryQueue(self._config.queue_size, self._config.sizer, policy, owner=owner))

    async def start(self, host: Host) -> None:
        """Begin to send. Raises :class:`StartError` for a storage that cannot be had."""
        self._reports.start(host)
        if self._dead_letters is not None:
            self._burial.start(host, self._dead_letters.storage)
        if self._on_disk is not None:
            await self._open_disk(host, self._on_disk)
        else:
            self._begin(host)

    def admit(self, byte_size: int) -> None:
        """Raise :class:`RetryableError` if a batch of about that many bytes (0 = unknown) would be refused now."""
        self._check()
        if self._queue is not None:
            self._queue.check(byte_size)

    async def consume(self, batch: Batch) -> None:
        """Accept a batch: put it into the queue, and where configured wait for its outcome.

        Raises :class:`QueueFullError` at once and before anything is taken; :class:`OversizeError` for a batch larger
        than the whole queue. With ``wait_for_result`` or without a queue also whatever ended the attempts, when the
        destination has not taken all of it. Cancelled while it waits for room, nothing is taken.
        """
        items = batch.item_count
        if not items:
            return
        if not self._open.is_set():
            await self._open.wait()
        self._check()
        bare = Batch(batch.signal, batch.to_otlp(), batch.context)
        entry = Entry(bare, items, self._loop.time())
        if self._queue is None or self._source is None:
            await self._send_now(entry)
            return
        if self._config.wait_for_result:
            entry.result = self._loop.create_future()
        await self._enqueue(self._queue, self._source, entry)
        if entry.result is not None:
            await self._hear(entry, entry.result)

    def pending_items(self) -> int:
        """Return the items that have no outcome yet: in the queue or under way, or after the end on a disk."""
        return self.accounting.pending + self.accounting.left

    async def shutdown(self) -> None:
        """Refuse input, send what is left without long waits, and return when all of it has an outcome.

        A queue on disk keeps what is not under way. When cancelled, what is left in memory is counted as
        ``dropped{reason="shutdown"}``, or handed back to callers who wait.
        """
        if self._closed:
            return
        self._closed = True
        self._open.set()
        if self._opening is not None:
            self._opening.cancel()
        started, pending = asyncio.get_running_loop().time(), self.accounting.pending
        self._sending.drain(keep=self._keeper is not None)
        if self._queue is not None:
            self._queue.close()
        try:
            if self._tasks:
                await asyncio.wait(list(self._tasks))
        finally:
            await self._stop_tasks()
            self._give_up_waiting()
            await self._let_go()
            seconds = asyncio.get_running_loop().time() - started
            self._reports.drained(pending, self.accounting, seconds)

    async def withdraw(self, kept: list[Batch]) -> None:
        """Stop without another attempt, and hand over what has no outcome: it is in ``kept`` then, also when cancelled.

        For a destination that is gone while others take its part. Attempts under way are waited for. Only with a queue
        in memory and without ``wait_for_result``; callers who wait for an outcome are told by :meth:`shutdown`.
        """
        queue, source = self._queue, self._source
        assert queue is not None
        assert source is not None
        self._closed, self._keeper = True, Removal(queue, kept)
        self._sending.drain(keep=True)
        queue.close()
        try:
            if self._tasks:
                await asyncio.wait(list(self._tasks))
        finally:
            await self._stop_tasks()
            kept += [entry.batch for entry in queue.abandon()]
            self._give_up_waiting()
            self.accounting.leave()

    # ---------------------------------------------------------------- opening

    async def _open_disk(self, host: Host, storage: str) -> None:
        """Open the queue; in the background while the exporter that a reload replaces still has it."""
        extension = host.extension(storage)
        if not isinstance(extension, QueueStorage):
            raise StartError(f"sending_queue.storage: extension {storage} keeps no queues")
        name = f"exporters/{self._settings.id}"
        if extension.in_use(name):
            self._opening = host.spawn(self._adopt_later(host, extension, name), name=f"{self._name} opens its queue")
        else:
            await self._adopt(host, extension, name)

    async def _adopt_later(self, host: Host, storage: QueueStorage, name: str) -> None:
        """Open the queue once it is free. Where that fails, which the host reports, refuse whatever comes."""
        try:
            await self._adopt(host, storage, name)
        except StartError as error:
            self._unopened = f"{self._name} cannot open its queue: {error}"
            self._open.set()
            raise

    async def _adopt(self, host: Host, storage: QueueStorage, name: str) -> None:
        config = self._config
        journal = await storage.open_journal(name)
        owner = f"{self._name}: sending queue"
        queue = DiskQueue(journal, config.queue_size, config.sizer, config.overflow_policy, owner=owner)
        self._keeper = queue
        self.accounting.recover(journal.recovery, journal.held.items, counted=host.workers.successor)
        if journal.held.items:
            self._reports.found(journal.held)
        self._use(queue)
        self._begin(host)

    def _use(self, queue: Queue) -> None:
        config = self._config
        batcher = Batcher(config.batch, config.batch_sizer) if config.batch else None
        self._queue, self._source = queue, Source(queue, batcher, self._caller_left)
        self._settings.meter.gauge("exporter_queue_size").observe_with(lambda: queue.size)
        self._settings.meter.gauge("exporter_queue_capacity").observe_with(lambda: queue.capacity)

    def _begin(self, host: Host) -> None:
        queue, source, now = self._queue, self._source, asyncio.get_running_loop().time
        if queue is not None and source is not None:
            self._settings.meter.gauge("exporter_queue_age_seconds").observe_with(lambda: queue.oldest_age(now()))
            for number in range(self._config.num_consumers):
                self._tasks.add(host.spawn(self._work(source), name=f"{self._name} sender {number}"))
        self._open.set()

    # --------------------------------------------------------------------- in

    def _check(self) -> None:
        """Raise :class:`RetryableError` where nothing can be taken now, whatever the room in the queue."""
        if self._closed:
            raise self._shutting_down()
        if self._unopened:
            raise RetryableError(self._unopened)
        self._sending.check()

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        """The loop that all of it runs in; asking for it is a system call, too dear for every batch."""
        return asyncio.get_running_loop()

    async def _enqueue(self, queue: Queue, source: Source, entry: Entry) -> None:
        try:
            source.make_way(entry)
            evicted = await queue.put(entry)
        except ConsumeError as error:
            if not await self._bury_overflow(entry, error):
                self.accounting.not_enqueued(entry.batch.signal, entry.items)
                raise
            return
        except asyncio.CancelledError:
            if entry.committed:
                self._enqueued(entry)
                self.accounting.unacknowledged(entry.items)
            raise
        self._enqueued(entry)
        for old in evicted:
            self._give_up(old, Reason.QUEUE_FULL, QueueFullError(f"{self._name}: dropped to make room"))
        if evicted:
            self._reports.evicted(sum(old.items for old in evicted))

    def _enqueued(self, entry: Entry) -> None:
        self.accounting.enqueue(entry.items)
        if entry.result is not None:
            self.accounting.undecided += entry.items
        self._enqueue_size.record(entry.items)
        self._enqueue_bytes.record(entry.batch.byte_size)

    async def _bury_overflow(self, entry: Entry, error: ConsumeError) -> bool:
        """Take what does not fit to the dead-letter queue, if that is the policy; return whether it lies there."""
        fits_never = isinstance(error, OversizeError | QueueFullError)
        if self._config.overflow_policy is not Overflow.DEAD_LETTER or not fits_never:
            return False
        if not await self._burial.overflow(entry, error):
            return False
        entry.result = None
        self._enqueued(entry)
        self.accounting.take(entry.items)
        self.accounting.bury(entry.batch.signal, entry.items, Reason.QUEUE_FULL)
        return True

    async def _send_now(self, entry: Entry) -> None:
        entry.result = result = self._loop.create_future()
        self.accounting.enqueue(entry.items)
        self.accounting.undecided += entry.items
        task = asyncio.create_task(self._process(entry.request()))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await self._hear(entry, result)
        except asyncio.CancelledError:
            task.cancel()
            raise

    async def _hear(self, entry: Entry, result: asyncio.Future[None]) -> None:
        """Wait for the outcome of an entry. Raises what ended the attempts."""
        try:
            await result
        except asyncio.CancelledError:
            if not result.cancelled():  # it was known already
                self._ending.tell_refused(entry)
            raise
        except ConsumeError:
            self._ending.tell_refused(entry)
            raise
        self.accounting.decide(entry.items)

    # -------------------------------------------------------------------- out

    async def _work(self, source: Source) -> None:
        while request := await source.next():
            if self._keeper is not None:
                self._look_for_damage(self._keeper)
            await self._process(request)
            del request  # an idle worker must not keep its last payload alive

    async def _process(self, request: Request) -> None:
        self.accounting.take(request.items)
        self._send_size.record(request.items)
        self._send_bytes.record(request.batch.byte_size)
        result = Result()
        try:
            await self._sending.deliver(request, result)
            if result.failures and (graves := self._ending.to_bury(request, result)):
                await self._burial.bury(graves, self._sending.pause)
        finally:
            self._ending.settle(request, result, self._queue, self._keeper)

    # ---------------------------------------------------------------- outcome

    def _give_up(self, entry: Entry, reason: Reason, error: ConsumeError) -> None:
        """End an entry that was never sent."""
        self.accounting.take(entry.items)
        self._ending.end_whole(entry, reason, error)

    def _caller_left(self, entry: Entry) -> None:
        """End an entry that nobody waits for any more: who left will come again."""
        self._give_up(entry, Reason.SHUTDOWN, RetryableError("cancelled by the sender"))
        if self._queue is not None:
            self._queue.done(entry)

    def _give_up_waiting(self) -> None:
        """Count what nobody has begun to send."""
        requests, entries = self._source.abandon() if self._source else ([], [])
        for request in requests:
            self.accounting.take(request.items)
            failure = Failure(request, Reason.SHUTDOWN, RetryableError("shutting down"), 0)
            self._ending.settle(request, Result(failures=[failure]), self._queue, self._keeper)
        for entry in entries:
            self._give_up(entry, Reason.SHUTDOWN, self._shutting_down())

    async def _stop_tasks(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()

    async def _let_go(self) -> None:
        """Leave what a disk holds to whoever opens the queue next."""
        if self._keeper is not None:
            self._look_for_damage(self._keeper)
            self.accounting.leave()
            await self._keeper.release()

    def _look_for_damage(self, keeper: Keeper) -> None:
        if items := keeper.take_damaged():
            self.accounting.damage(items)

    # ---------------------------------------------------------------- details

    def _make_metrics(self) -> None:
        meter = self._settings.meter
        self._enqueue_size = meter.histogram("exporter_enqueue_size")
        self._enqueue_bytes = meter.histogram("exporter_enqueue_size_bytes")
        self._send_size = meter.histogram("exporter_queue_batch_send_size")
        self._send_bytes = meter.histogram("exporter_queue_batch_send_size_bytes")
        meter.gauge("exporter_in_flight_requests").observe_with(lambda: self._sending.attempts_under_way)

    def _shutting_down(self) -> RetryableError:
        return RetryableError(f"{self._name} is shutting down")
