"""Hands the messages of one partition to the pipelines, one after the other."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from untrace_pipeline.api import (
    ConsumeError,
    DecodeError,
    Host,
    Intake,
    PermanentError,
    QueueFullError,
    RetryableError,
    Status,
)
from untrace_pipeline.data import Batch
from untrace_pipeline.delivery.retry import Backoff
from untrace_plugins.receivers.kafka.config import KafkaReceiverConfig
from untrace_plugins.receivers.kafka.decode import Decoder
from untrace_plugins.receivers.kafka.meters import Health, Meters
from untrace_plugins.receivers.kafka.partition import Key, Partition, Partitions, Record, State

__all__ = ["Desk", "Worker"]

STALL_SECONDS = 1.0
"""A partition that waits for less goes on fetching: pausing throws away what was fetched ahead."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What all workers share."""

    config: KafkaReceiverConfig
    host: Host
    next: Intake
    decoder: Decoder
    partitions: Partitions
    meters: Meters
    health: Health
    pause: Callable[[Key], None]
    resume: Callable[[Key, int], None]
    progressed: Callable[[], None]
    """A worker has dealt with all that there was."""
    rng: random.Random = field(default_factory=random.Random)


class Worker:
    """Works while its partition has messages; idle, it costs nothing."""

    def __init__(self, partition: Partition, desk: Desk) -> None:
        self._partition = partition
        self._desk = desk
        self._marking = desk.config.message_marking
        self._leaving = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._since: float | None = None
        self.stalled = False
        """Whether the partition is paused, because its first message takes so long."""

    def wake(self) -> None:
        """Begin, if there is something to do."""
        idle = self._task is None or self._task.done()
        if idle and self._partition.records and self._partition.state is State.FLOWING:
            self._task = self._desk.host.spawn(self._run(), name=f"kafka: messages of {self._name}")

    async def end(self, seconds: float) -> None:
        """Begin no other message, and let the one under way end in that time; then it counts as refused."""
        self._leaving.set()
        if self._task is not None:
            _, pending = await asyncio.wait({self._task}, timeout=seconds)
            if pending:
                self._task.cancel()
                await asyncio.wait(pending)

    def cancel(self) -> None:
        """End at once."""
        self._leaving.set()
        if self._task is not None:
            self._task.cancel()

    @property
    def _name(self) -> str:
        topic, number = self._partition.key
        return f"{topic}[{number}]"

    def look(self, now: float) -> None:
        """Pause the partition if its first message has been under way for long, and let go of those behind it.

        So a partition that waits holds one message in memory, and room is left for those that do not.
        """
        partition = self._partition
        slow = self._since is not None and now - self._since >= STALL_SECONDS
        if slow and not self.stalled and partition.records and partition.state is not State.STOPPED:
            self.stalled = True
            self._desk.pause(partition.key)
            self._desk.partitions.rewind(partition)

    async def _run(self) -> None:
        partition, now = self._partition, asyncio.get_running_loop().time
        while partition.records and not self._leaving.is_set():
            record = partition.records[0]
            self._since = now()
            if not self._marking.after:
                partition.mark(record)
            if not await self._deal_with(record):
                return
            partition.mark(record)
            self._desk.partitions.finish(partition)
            if self.stalled:
                self.stalled = False
                self._desk.resume(partition.key, record.offset + 1)
        self._since = None
        self._desk.progressed()

    async def _deal_with(self, record: Record) -> bool:
        """Return whether the message is dealt with: accepted or skipped. If not, the partition goes no further."""
        try:
            batch = self._desk.decoder.decode(record)
        except DecodeError as error:
            return self._never(record, error, "malformed")
        backoff = self._backoff()
        while True:
            refusal = await self._offer(record, batch)
            if refusal is None:
                self._flow()
                self._desk.meters.accepted(record)
                return True
            if not isinstance(refusal, RetryableError):
                return self._never(record, refusal, "refused")
            delay = self._delay(backoff, refusal)
            if delay is None:
                if self._marking.on_error:
                    return self._skip(record, refusal, "expired")
                if not self._desk.config.error_backoff.enabled:
                    return self._stop(record, refusal)
                backoff = self._backoff()
                delay = self._delay(backoff, refusal) or 0.0
            if await self._wait(delay, refusal):
                return False

    async def _offer(self, record: Record, batch: Batch) -> ConsumeError | None:
        """Offer a message once; return why it was refused."""
        if not batch.item_count:
            return None
        try:
            self._desk.next.admit(len(record.value))
            await self._desk.next.consume(batch.copy())
        except (RetryableError, PermanentError) as error:
            return error
        return None

    # ------------------------------------------------------------ refused for now

    def _backoff(self) -> Backoff:
        return Backoff(self._desk.config.error_backoff, asyncio.get_running_loop().time(), self._desk.rng)

    def _delay(self, backoff: Backoff, refusal: RetryableError) -> float | None:
        """Return how long to wait, ``None`` to give up.

        A queue of our own that is full wishes for a time that suits clients far away; here it costs nothing to ask
        again sooner, and a queue that ran empty meanwhile costs throughput.
        """
        wish = None if isinstance(refusal, QueueFullError) else refusal.retry_after
        return backoff.next(asyncio.get_running_loop().time(), wish)

    async def _wait(self, delay: float, refusal: RetryableError) -> bool:
        """Wait before the next offer; return whether the partition was given up meanwhile."""
        self._partition.state = State.WAITING
        self._desk.health.wrong(self._partition.key, Status.RECOVERABLE_ERROR, f"{self._name} waits: {refusal}")
        try:
            async with asyncio.timeout(delay):
                await self._leaving.wait()
        except TimeoutError:
            return False
        return True

    def _flow(self) -> None:
        """Go on after a wait."""
        if self._partition.state is State.WAITING:
            self._partition.state = State.FLOWING
            self._desk.health.right(self._partition.key)

    # ----------------------------------------------------------- refused for good

    def _never(self, record: Record, refusal: ConsumeError, reason: str) -> bool:
        """Skip a message that can never be accepted, or stop before it."""
        if self._marking.on_permanent_error:
            return self._skip(record, refusal, reason)
        return self._stop(record, refusal)

    def _skip(self, record: Record, refusal: ConsumeError, reason: str) -> bool:
        self._flow()
        malformed = self._desk.decoder.signal_of(record.topic) if reason == "malformed" else None
        self._desk.meters.skipped(record, reason, malformed)
        text = "%s offset %d is skipped (%s), with what it holds: %s"
        self._desk.health.log(f"skipped {self._name}", logging.ERROR, text, self._name, record.offset, reason, refusal)
        return True

    def _stop(self, record: Record, refusal: ConsumeError) -> bool:
        """Read no further. What waits behind the message is read again by whoever has the partition next."""
        partition = self._partition
        partition.state = State.STOPPED
        self._desk.pause(partition.key)
        self._desk.partitions.forget(partition)
        text = f"{self._name} stopped at offset {record.offset}: {refusal}"
        self._desk.health.wrong(partition.key, Status.PERMANENT_ERROR, text)
        self._desk.health.log(f"stopped {self._name}", logging.ERROR, "%s; it is read again after a restart", text)
        return False
