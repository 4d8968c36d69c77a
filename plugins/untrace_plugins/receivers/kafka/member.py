"""The member of the consumer group: librdkafka's consumer in a thread of its own.

The library's calls block, and its callbacks want an answer before they return, so they need a thread. Everything that
is decided is decided in the event loop: the thread hands over what it hears, and obeys orders between two polls.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Any, Protocol

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from untrace_pipeline.api import StartError
from untrace_plugins.kafka.library import LibraryLog
from untrace_plugins.receivers.kafka.partition import Key, Record
from untrace_plugins.receivers.kafka.room import Room
from untrace_plugins.receivers.kafka.starts import find_starts, key_of

__all__ = ["Ears", "Member", "MemberSettings"]

POLL_SECONDS = 0.1
"""Longest time between two looks at the orders while nothing comes in."""
BUNCH = 500
"""Most messages that are handed over at once."""
PATIENCE_SECONDS = 1.0
"""A room that stays full for longer pauses all partitions; shorter, it is cheaper to let the library wait."""
COMMIT_SECONDS = 5.0
"""Limit of the last commit, so that brokers without a coordinator do not hold up the end."""


class Ears(Protocol):
    """Who listens to a member. Everything but :meth:`reached` is called in the event loop."""

    def reached(self, key: Key) -> int | None:
        """How far we got in a partition when we had it last; called in the member's thread."""

    def assigned(self, starts: Mapping[Key, int | None]) -> None:
        """Partitions are ours; a start is where reading begins in one that the group never read."""

    async def release(self, keys: Iterable[Key] | None) -> Mapping[Key, int]:
        """Partitions (``None``: all) go to others as soon as this returns; it returns positions to be committed."""

    def lost(self, keys: Iterable[Key]) -> None:
        """Partitions have gone to others already; their offsets are not ours to commit any more."""

    def arrived(self, records: list[Record]) -> None:
        """Messages, in order within each partition."""

    def committed(self, keys: Iterable[Key], error: KafkaError | None) -> None:
        """A commit ended."""

    def rewound(self, key: Key) -> None:
        """A partition was resumed at the offset asked for: what arrived before this came from before."""

    def troubled(self, error: KafkaError) -> None:
        """The library has something to complain of."""

    def ended(self, error: str) -> None:
        """The member is out of the group; ``error`` says why, if it was not told to go."""


@dataclass(frozen=True, slots=True)
class MemberSettings:
    """What a member is made of."""

    library: Mapping[str, Any]
    """Settings of librdkafka."""
    topics: list[str]
    from_latest: bool
    """Where to begin in a partition that the group never read."""
    cooperative: bool
    """Whether partitions are given and taken one by one."""
    release_seconds: float
    """How long partitions that go may take to finish what is under way."""


class Member:
    """Starts with :meth:`start`, ends with :meth:`leave`; in between it can be given orders from any thread."""

    def __init__(self, settings: MemberSettings, room: Room, ears: Ears, logger: logging.Logger) -> None:
        self._settings = settings
        self._room = room
        self._ears = ears
        self._logger = logger
        self._loop = asyncio.get_running_loop()
        self._orders: queue.SimpleQueue[Callable[[Consumer], None]] = queue.SimpleQueue()
        self._leaving = threading.Event()
        self._ended = asyncio.Event()
        self._held: set[Key] = set()
        self._paused: set[Key] = set()
        self._all_paused = False
        self._rejoining = False
        self._open_commits = 0
        self._down = False
        self._thread = threading.Thread(target=self._run, name=f"kafka {logger.name}", daemon=True)

    def start(self) -> None:
        """Make the consumer and begin. Raises :class:`StartError` where the library refuses the settings."""
        library = {**self._settings.library, "error_cb": self._error, "on_commit": self._on_commit}
        try:
            self._consumer = Consumer(library, logger=LibraryLog(self._logger))
            self._consumer.subscribe(
                self._settings.topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )
        except KafkaException as error:
            inner = error.args[0]
            msg = f"the Kafka library refuses the settings: {inner.str() if isinstance(inner, KafkaError) else inner}"
            raise StartError(msg) from error
        self._thread.start()

    async def leave(self) -> None:
        """Give up all partitions, commit, leave the group. Safe twice. Cancelled, the thread goes on alone."""
        self._leaving.set()
        await self._ended.wait()

    # ------------------------------------------------------------------ orders

    def commit(self, positions: Mapping[Key, int]) -> None:
        """Commit offsets, without waiting; ``ears.committed`` hears how it went."""
        self._orders.put(lambda consumer: self._commit_held(consumer, positions))

    def pause(self, key: Key) -> None:
        """Fetch nothing more of a partition."""
        self._orders.put(lambda consumer: self._pause(consumer, key))

    def resume(self, key: Key, offset: int) -> None:
        """Go on with it from an offset; ``ears.rewound`` hears when."""
        self._orders.put(lambda consumer: self._resume(consumer, key, offset))

    def brokers_answer(self) -> None:
        """Somebody else has heard of brokers: they are not down."""
        self._down = False

    # ------------------------------------------------------------- the thread

    def _run(self) -> None:
        error = ""
        try:
            while not self._leaving.is_set():
                self._obey()
                self._keep_room()
                self._receive()
            self._commit_last(self._released(None))
        except Exception as failure:
            fatal = failure.__cause__ if isinstance(failure.__cause__, KafkaException) else failure
            error = str(fatal) or type(fatal).__name__
            self._logger.debug("the member ends", exc_info=failure)
        if self._down:  # the library waits for brokers to hear of it, nobody else has to
            self._tell(self._end, error)
            self._close()
        else:
            self._close()
            self._tell(self._end, error)

    def _end(self, error: str) -> None:
        self._ended.set()
        self._ears.ended(error)

    def _close(self) -> None:
        """Leave the group. Whatever goes wrong now, the brokers find out that we have gone."""
        try:
            self._consumer.close()
        except Exception as error:
            self._logger.debug("closing the consumer failed", exc_info=error)

    def _obey(self) -> None:
        for _ in range(self._orders.qsize()):
            order = self._orders.get()
            try:
                order(self._consumer)
            except KafkaException as error:  # the partition has just gone, or there is nothing to commit
                self._logger.debug("an order was not carried out: %s", error)

    def _keep_room(self) -> None:
        if self._room.full and not self._all_paused:
            self._room.wait(PATIENCE_SECONDS)
            if self._room.full:
                self._all_paused = True
                self._apply(self._consumer.pause, self._held - self._paused)
        elif self._all_paused and self._room.roomy:
            self._all_paused = False
            self._apply(self._consumer.resume, self._held - self._paused)

    def _receive(self) -> None:
        first = self._consumer.poll(POLL_SECONDS)
        if first is None:
            return
        self._down = False
        records = [record for one in [first, *self._consumer.consume(BUNCH, 0)] if (record := self._read(one))]
        if records:
            self._room.take(sum(len(record.value) for record in records))
            self._tell(self._ears.arrived, records)

    def _read(self, message: Message) -> Record | None:
        error = message.error()
        if error is not None and error.name() == "_FATAL":
            raise KafkaException(error)
        if error is not None:
            self._error(error)
            return None
        kind, milliseconds = message.timestamp()
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        assert topic is not None
        assert partition is not None
        assert offset is not None
        value: Any = message.value() or b""
        headers: Any = message.headers() or ()
        return Record(topic, partition, offset, value, headers, milliseconds / 1000 if kind else 0.0)

    # -------------------------------------------------------------- rebalances

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        settings, ears = self._settings, self._ears
        starts = find_starts(consumer, partitions, ears.reached, self._logger, from_latest=settings.from_latest)
        for partition in partitions:
            start = starts[key_of(partition)]
            if start is not None:
                partition.offset = start
        if settings.cooperative:
            consumer.incremental_assign(partitions)
        else:
            consumer.assign(partitions)
        keys = {key_of(partition) for partition in partitions}
        self._rejoining = False
        self._held |= keys
        self._paused -= keys
        self._apply(consumer.pause if self._all_paused else consumer.resume, keys)
        offsets = {key: None if start == OFFSET_BEGINNING else start for key, start in starts.items()}
        self._tell(ears.assigned, offsets)

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        positions = self._released({key_of(partition) for partition in partitions})
        self._rejoining = True
        if not positions:
            return
        error: KafkaError | None = None
        try:
            consumer.commit(offsets=_offsets(positions), asynchronous=False)
        except KafkaException as failure:
            error = failure.args[0]
        self._tell(self._ears.committed, list(positions), error)

    def _on_lost(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        keys = {key_of(partition) for partition in partitions}
        self._forget(keys)
        self._tell(self._ears.lost, keys)

    def _released(self, keys: set[Key] | None) -> Mapping[Key, int]:
        """Wait until what is under way has ended; return what is to be committed."""
        self._forget(set(self._held) if keys is None else keys)
        future = asyncio.run_coroutine_threadsafe(self._ask_for_release(keys), self._loop)
        try:
            return future.result(2 * self._settings.release_seconds)
        except (FutureTimeoutError, CancelledError):
            self._logger.warning("giving up partitions took too long: what is not committed will be read again")
            return {}

    async def _ask_for_release(self, keys: set[Key] | None) -> Mapping[Key, int]:
        return await self._ears.release(keys)

    def _commit_last(self, positions: Mapping[Key, int]) -> None:
        """Commit before the end. A synchronous commit would wait for a coordinator for as long as the library likes."""
        if positions and not self._down:
            self._commit(self._consumer, positions)
        deadline = time.monotonic() + COMMIT_SECONDS
        while self._open_commits and not self._down and time.monotonic() < deadline:
            self._consumer.poll(POLL_SECONDS)  # messages that still come are read again by others

    def _forget(self, keys: set[Key]) -> None:
        self._held -= keys
        self._paused -= keys

    # ------------------------------------------------------------------ details

    def _commit(self, consumer: Consumer, positions: Mapping[Key, int]) -> None:
        consumer.commit(offsets=_offsets(positions), asynchronous=True)
        self._open_commits += 1

    def _commit_held(self, consumer: Consumer, positions: Mapping[Key, int]) -> None:
        """Commit, but for partitions that went meanwhile: their offsets are others' to commit.

        Not while brokers are down: the library would hold on to it, also at the end. And not while the group changes:
        the answer would come under the next generation, which does not know the commit.
        """
        held = {key: offset for key, offset in positions.items() if key in self._held}
        if held and (self._down or self._rejoining):
            code = KafkaError._ALL_BROKERS_DOWN if self._down else KafkaError.REBALANCE_IN_PROGRESS
            self._tell(self._ears.committed, list(held), KafkaError(code))
        elif held:
            try:
                self._commit(consumer, held)
            except KafkaException as error:
                self._tell(self._ears.committed, list(held), error.args[0])

    def _pause(self, consumer: Consumer, key: Key) -> None:
        if key in self._held:
            self._paused.add(key)
            consumer.pause([TopicPartition(*key)])

    def _resume(self, consumer: Consumer, key: Key, offset: int) -> None:
        if key not in self._held:
            return
        try:
            consumer.seek(TopicPartition(*key, offset))
        except KafkaException as error:  # the library is busy with the partition
            self._logger.debug("%s[%d] is resumed later: %s", *key, error)
            self.resume(key, offset)
            return
        self._paused.discard(key)
        if not self._all_paused:
            consumer.resume([TopicPartition(*key)])
        self._tell(self._ears.rewound, key)

    def _apply(self, change: Callable[[list[TopicPartition]], object], keys: set[Key]) -> None:
        if keys:
            change([TopicPartition(*key) for key in keys])

    def _on_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        self._open_commits -= 1
        failed = error or next((one.error for one in partitions if one.error), None)
        self._down = self._down and failed is not None
        self._tell(self._ears.committed, [key_of(partition) for partition in partitions], failed)

    def _error(self, error: KafkaError) -> None:
        self._down = self._down or error.name() == "_ALL_BROKERS_DOWN"
        self._tell(self._ears.troubled, error)

    def _tell(self, hear: Callable[..., None], *what: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(hear, *what)
        except RuntimeError:  # the loop has ended without us
            self._logger.debug("nobody listens any more")


def _offsets(positions: Mapping[Key, int]) -> list[TopicPartition]:
    return [TopicPartition(*key, offset) for key, offset in positions.items()]
