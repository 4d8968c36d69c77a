"""Delivery: what an exporter holds between ``consume`` and its protocol."""

from __future__ import annotations

import asyncio
import random

from untrace_pipeline.api.component import Host, Settings
from untrace_pipeline.api.telemetry import Counter
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.delivery.accounting import Accounting
from untrace_pipeline.delivery.batcher import Batcher
from untrace_pipeline.delivery.config import DeliveryConfig, QueueConfig
from untrace_pipeline.delivery.queue import MemoryQueue, Queue
from untrace_pipeline.delivery.reports import Reports
from untrace_pipeline.delivery.request import Entry, Failure, Reason, Request, Sender
from untrace_pipeline.delivery.sending import Sending
from untrace_pipeline.delivery.source import Source
from untrace_pipeline.errors import ConsumeError, PermanentError, QueueFullError, RetryableError

__all__ = ["Delivery"]


class Delivery:
    """Queue, batching, retry, splitting and accounting for one exporter.

    An exporter makes one in its constructor and forwards ``start``, ``consume``, ``admit`` and ``shutdown`` to it;
    its own part is a :class:`Sender`. Accepted data is lost only by the death of the process, by the overflow policy
    ``drop_oldest``, or when retrying ends; each loss is counted with its reason and logged as an ERROR.
    """

    def __init__(
        self, config: DeliveryConfig, sender: Sender, settings: Settings, *, rng: random.Random | None = None
    ) -> None:
        queue = config.sending_queue
        self._config = queue
        self._name = f"exporter {settings.id}"
        self._settings = settings
        self.accounting = Accounting(settings)
        self._reports = Reports(settings, sender.destination)
        rng = rng or random.Random()  # noqa: S311  jitter
        self._sending = Sending(config, sender, settings, self.accounting, self._reports, rng)
        self._queue, self._source = self._make_queue(queue)
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self._ended: dict[tuple[str, str], Counter] = {}
        self._make_metrics()

    async def start(self, host: Host) -> None:
        """Begin to send."""
        self._reports.start(host)
        if self._queue is None or self._source is None:
            return
        queue, now = self._queue, asyncio.get_running_loop().time
        self._settings.meter.gauge("exporter_queue_age_seconds").observe_with(lambda: queue.oldest_age(now()))
        for number in range(self._config.num_consumers):
            self._tasks.add(host.spawn(self._work(self._source), name=f"{self._name} sender {number}"))

    def admit(self, byte_size: int) -> None:
        """Raise :class:`RetryableError` if a batch of about that many bytes (0 = unknown) would be refused now."""
        if self._closed:
            raise self._shutting_down()
        if self._queue is not None:
            self._queue.check(byte_size)

    async def consume(self, batch: Batch) -> None:
        """Accept a batch: put it into the queue, and where configured wait for its outcome.

        Raises :class:`QueueFullError` at once and before anything is taken; :class:`OversizeError` for a batch larger
        than the whole queue. With ``wait_for_result`` or without a queue also whatever ended the attempts, when the
        destination has not taken all of it. Cancelled while it waits for room, nothing is taken.
        """
        if self._closed:
            raise self._shutting_down()
        items = batch.item_count
        if not items:
            return
        loop = asyncio.get_running_loop()
        bare = Batch(batch.signal, batch.to_otlp(), batch.context)
        entry = Entry(bare, items, loop.time())
        if self._queue is None or self._source is None:
            await self._send_now(entry)
            return
        if self._config.wait_for_result:
            entry.result = loop.create_future()
        await self._enqueue(self._queue, self._source, entry)
        if entry.result is not None:
            await entry.result

    def pending_items(self) -> int:
        """Return the items that were accepted and have no outcome yet."""
        return self.accounting.pending

    async def shutdown(self) -> None:
        """Refuse input, send what is left without long waits, and return when all of it has an outcome.

        When cancelled, what is left is counted as ``dropped{reason="shutdown"}``, or handed back to callers who wait.
        """
        if self._closed:
            return
        self._closed = True
        started, pending = asyncio.get_running_loop().time(), self.pending_items()
        self._sending.drain()
        if self._queue is not None:
            self._queue.close()
        try:
            if self._tasks:
                await asyncio.wait(list(self._tasks))
        finally:
            await self._stop_tasks()
            self._give_up_waiting()
            seconds = asyncio.get_running_loop().time() - started
            self._reports.drained(pending, self.accounting.dropped[Reason.SHUTDOWN], seconds)

    # --------------------------------------------------------------------- in

    async def _enqueue(self, queue: Queue, source: Source, entry: Entry) -> None:
        try:
            source.make_way(entry)
            evicted = await queue.put(entry)
        except ConsumeError:
            self.accounting.not_enqueued(entry.batch.signal, entry.items)
            raise
        self.accounting.enqueue(entry.items)
        self._enqueue_size.record(entry.items)
        self._enqueue_bytes.record(entry.batch.byte_size)
        for old in evicted:
            self._give_up(old, Reason.QUEUE_FULL, QueueFullError(f"{self._name}: dropped to make room"))
        if evicted:
            self._reports.evicted(sum(old.items for old in evicted))

    async def _send_now(self, entry: Entry) -> None:
        entry.result = asyncio.get_running_loop().create_future()
        self.accounting.enqueue(entry.items)
        task = asyncio.create_task(self._process(Request(entry.batch, entry.items, (entry,))))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await entry.result
        except asyncio.CancelledError:
            task.cancel()
            raise

    # -------------------------------------------------------------------- out

    async def _work(self, source: Source) -> None:
        while request := await source.next():
            await self._process(request)
            del request  # an idle worker must not keep its last payload alive

    async def _process(self, request: Request) -> None:
        self.accounting.take(request.items)
        self._send_size.record(request.items)
        self._send_bytes.record(request.batch.byte_size)
        failures: list[Failure] = []
        try:
            await self._sending.deliver(request, failures)
        finally:
            self._settle(request, failures)

    # ---------------------------------------------------------------- outcome

    def _settle(self, request: Request, failures: list[Failure]) -> None:
        """Give every item its terminal state, and every entry whose last part this was its end."""
        if failures:
            self._judge(request, failures)
        for entry in request.entries:
            entry.parts -= 1
            if not entry.parts:
                if self._queue is not None:
                    self._queue.done(entry)
                self._finish(entry)

    def _judge(self, request: Request, failures: list[Failure]) -> None:
        """Hand failed pieces back to the callers who wait, or drop them.

        An item that is too large among others that were taken is dropped in any case: sending all again would not help.
        """
        signal = request.batch.signal
        nothing_taken = sum(failure.request.items for failure in failures) == request.items
        waits = any(entry.result is not None for entry in request.entries)
        for failure in failures:
            lost = not waits or (failure.reason is Reason.TOO_LARGE and not nothing_taken)
            if lost:
                self.accounting.drop(signal, failure.request.items, failure.reason)
            else:
                self.accounting.refuse(signal, failure.request.items)
            for entry in () if lost and waits else request.entries:
                entry.error = entry.error or failure.error
            if failure.reason is not Reason.SHUTDOWN:
                self._reports.given_up(failure, lost=lost)

    def _give_up(self, entry: Entry, reason: Reason, error: ConsumeError) -> None:
        """End an entry that was never sent."""
        self.accounting.take(entry.items)
        if entry.result is None:
            self.accounting.drop(entry.batch.signal, entry.items, reason)
        else:
            self.accounting.refuse(entry.batch.signal, entry.items)
        entry.error = error
        self._finish(entry)

    def _caller_left(self, entry: Entry) -> None:
        """End an entry that nobody waits for any more: who left will come again."""
        self._give_up(entry, Reason.SHUTDOWN, RetryableError("cancelled by the sender"))
        if self._queue is not None:
            self._queue.done(entry)

    def _finish(self, entry: Entry) -> None:
        result, error = entry.result, entry.error
        if result is not None and not result.done():
            if error is None:
                result.set_result(None)
            else:
                result.set_exception(error)
        if entry.batch.signal is Signal.TRACES and (error is None or result is None):
            self._count_ended(entry.batch.context.tenant or "", error)

    def _give_up_waiting(self) -> None:
        """Count what nobody has begun to send."""
        requests, entries = self._source.abandon() if self._source else ([], [])
        for request in requests:
            self.accounting.take(request.items)
            failure = Failure(request, Reason.SHUTDOWN, RetryableError("shutting down"), 0)
            self._settle(request, [failure])
        for entry in entries:
            self._give_up(entry, Reason.SHUTDOWN, self._shutting_down())

    async def _stop_tasks(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()

    # ---------------------------------------------------------------- details

    def _make_queue(self, config: QueueConfig) -> tuple[Queue | None, Source | None]:
        if not config.enabled:
            return None, None
        owner = f"{self._name}: sending queue"
        queue = MemoryQueue(config.queue_size, config.sizer, config.overflow_policy, owner=owner)
        batcher = Batcher(config.batch, config.batch_sizer) if config.batch else None
        return queue, Source(queue, batcher, self._caller_left)

    def _make_metrics(self) -> None:
        meter = self._settings.meter
        self._enqueue_size = meter.histogram("exporter_enqueue_size")
        self._enqueue_bytes = meter.histogram("exporter_enqueue_size_bytes")
        self._send_size = meter.histogram("exporter_queue_batch_send_size")
        self._send_bytes = meter.histogram("exporter_queue_batch_send_size_bytes")
        meter.gauge("exporter_in_flight_requests").observe_with(lambda: self._sending.attempts_under_way)
        queue = self._queue
        if queue is not None:
            meter.gauge("exporter_queue_size").observe_with(lambda: queue.size)
            meter.gauge("exporter_queue_capacity").observe_with(lambda: queue.capacity)

    def _count_ended(self, tenant: str, error: ConsumeError | None) -> None:
        status = "delivered" if error is None else "rejected" if isinstance(error, PermanentError) else "dropped"
        key = (tenant, status)
        counter = self._ended.get(key)
        if counter is None:
            labels = {"customer_id": key[0], "destination": str(self._settings.id), "status": key[1]}
            counter = self._ended[key] = self._settings.meter.counter("traces_processed", **labels)
        counter.add()

    def _shutting_down(self) -> RetryableError:
        return RetryableError(f"{self._name} is shutting down")
