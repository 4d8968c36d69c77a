"""The receiver ``kafka``: hands messages to the pipelines, partition by partition, and lets offsets follow."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaError

from untrace_pipeline.api import Host, Intake, Settings, Status
from untrace_plugins.kafka.errors import FORBIDDEN, is_refused_login
from untrace_plugins.kafka.library import client_settings
from untrace_plugins.receivers.kafka.config import InitialOffset, KafkaReceiverConfig, RebalanceStrategy
from untrace_plugins.receivers.kafka.decode import Decoder
from untrace_plugins.receivers.kafka.ends import Ends
from untrace_plugins.receivers.kafka.member import Member, MemberSettings
from untrace_plugins.receivers.kafka.meters import Health, Meters
from untrace_plugins.receivers.kafka.partition import Key, Partition, Partitions, Record, State
from untrace_plugins.receivers.kafka.room import Room
from untrace_plugins.receivers.kafka.worker import Desk, Worker

__all__ = ["KafkaReceiver", "consumer_settings"]

END_INTERVAL_SECONDS = 5.0
"""How often brokers are asked where the partitions end: paused ones tell nothing by themselves, and the lag must."""
LOOK_INTERVAL_SECONDS = 0.5
"""How often partitions are looked at that stand still."""
FETCH_BACKOFF_MS = 100
"""How long the library lets a partition be when its queue is full; its own second would leave us idle."""
RECEIVE_BYTES = 100_000_000
"""The library's bound of an answer, unless a fetch may be larger."""
CHANGING = frozenset({"ILLEGAL_GENERATION", "REBALANCE_IN_PROGRESS"})
"""Why commits fail while members come and go: part of the protocol."""
BROKERS, RIGHTS, TOPICS, MEMBER = "brokers", "rights", "topics", "member"
"""What can be wrong besides partitions."""


class KafkaReceiver:
    """One member of the consumer group for all signals, and a worker for each partition that it has."""

    def __init__(self, config: KafkaReceiverConfig, settings: Settings, next: Intake) -> None:
        self._config = config
        self._settings = settings
        self._next = next
        self._decoder = Decoder(config, settings.signals)
        self._room = Room(config.max_buffered_size // 2)
        self._partitions = Partitions(self._room.give_back)
        self._meters = Meters(settings.meter, delays=config.telemetry.metrics.kafka_receiver_records_delay.enabled)
        self._health = Health(settings)
        self._workers: dict[Partition, Worker] = {}
        self._reached: dict[Key, int] = {}
        self._desk: Desk | None = None
        self._member: Member | None = None
        self._ends: Ends | None = None
        self._tasks: list[asyncio.Task[None]] = []
        settings.meter.gauge("kafka_receiver_buffered_bytes").observe_with(lambda: self._room.used)
        settings.meter.gauge("kafka_receiver_waiting_partitions").observe_with(
            lambda: sum(one.state is not State.FLOWING or self._workers[one].stalled for one in self._partitions)
        )

    async def start(self, host: Host) -> None:
        """Join the group, without waiting for brokers: they may come up later. Raises :class:`StartError`."""
        self._health.start(host)
        settings = MemberSettings(
            library=consumer_settings(self._config, self._decoder.excluded),
            topics=self._decoder.subscription,
            from_latest=self._config.initial_offset is InitialOffset.LATEST,
            cooperative=self._config.strategies == [RebalanceStrategy.COOPERATIVE_STICKY],
            release_seconds=self._config.session_timeout,
        )
        member = Member(settings, self._room, self, self._settings.logger)
        self._desk = Desk(
            self._config,
            host,
            self._next,
            self._decoder,
            self._partitions,
            self._meters,
            self._health,
            member.pause,
            member.resume,
            self._progressed,
        )
        member.start()
        self._member, self._ends = member, Ends(client_settings(self._config))
        self._tasks = [
            host.spawn(self._tick(member), name=f"{self._settings.id}: commits"),
            host.spawn(self._measure(member, self._ends), name=f"{self._settings.id}: lag"),
        ]

    async def shutdown(self) -> None:
        """Let what is under way end, commit, and leave the group; what waits is read again by others."""
        member, self._member = self._member, None
        ends, self._ends = self._ends, None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            if member is not None:
                await member.leave()
        finally:
            for worker in self._workers.values():
                worker.cancel()
            if ends is not None:
                await ends.close()

    # ------------------------------------------------- what the member hears: Ears

    def reached(self, key: Key) -> int | None:
        """How far we got in a partition that we had before: all messages below were delivered, by us or others."""
        return self._reached.get(key)

    def assigned(self, starts: Mapping[Key, int | None]) -> None:
        """Partitions are ours."""
        assert self._desk is not None
        self._health.right(BROKERS, RIGHTS, TOPICS)
        if not starts:
            return
        for partition in self._partitions.assign(starts):
            self._workers[partition] = Worker(partition, self._desk)
            self._meters.watch(partition)
        self._meters.rebalanced("assigned")
        self._settings.logger.info("given partitions: %s", _named(starts))

    async def release(self, keys: Iterable[Key] | None) -> Mapping[Key, int]:
        """Finish what is under way in partitions, forget them, and return how far they got."""
        wanted = [one for one in self._workers if keys is None or one.key in set(keys)]
        await asyncio.gather(*(self._workers[one].end(self._config.session_timeout) for one in wanted))
        self._part_with(wanted)
        if wanted:
            self._meters.rebalanced("revoked")
        return {one.key: one.position for one in wanted if one.position is not None}

    def lost(self, keys: Iterable[Key]) -> None:
        """Forget partitions that others have already; what is under way there will come twice."""
        gone = [one for one in self._workers if one.key in set(keys)]
        for one in gone:
            self._workers[one].cancel()
        self._part_with(gone)
        self._meters.rebalanced("lost")
        self._settings.logger.warning("lost partitions: %s; messages may be repeated", _named(keys))

    def arrived(self, records: list[Record]) -> None:
        """Messages came."""
        self._health.right(BROKERS)
        self._meters.arrived(records)
        for partition in self._partitions.arrive(records):
            self._workers[partition].wake()

    def committed(self, keys: Iterable[Key], error: KafkaError | None) -> None:
        """A commit ended; what failed is committed again."""
        self._meters.committed("failure" if error else "success")
        if error is None:
            self._health.right(BROKERS)
            return
        self._partitions.commit_failed(keys)
        if error.name() not in CHANGING:
            text = "offsets were not committed, and will be again: %s: %s"
            self._health.warn("commit", text, error.name(), error.str())

    def rewound(self, key: Key) -> None:
        """A partition that stood still goes on."""
        self._partitions.rewound(key)

    def troubled(self, error: KafkaError) -> None:
        """The library complains. Lost connections it writes to the log itself, and mends."""
        name, text = error.name(), error.str()
        if is_refused_login(error) or name in FORBIDDEN:
            self._health.wrong(RIGHTS, Status.PERMANENT_ERROR, f"{self._brokers} refuses us: {name}: {text}")
        elif name == "_ALL_BROKERS_DOWN":
            self._health.wrong(BROKERS, Status.RECOVERABLE_ERROR, f"{self._brokers}: {text}")
        elif name == "UNKNOWN_TOPIC_OR_PART":
            self._health.wrong(TOPICS, Status.RECOVERABLE_ERROR, text)
            self._health.warn("topic", "%s; it is read as soon as it exists", text)

    def ended(self, error: str) -> None:
        """The member has left the group, or was put out."""
        if error:
            self._health.wrong(MEMBER, Status.PERMANENT_ERROR, f"out of the group {self._config.group_id}: {error}")
            self._settings.logger.error("nothing is read any more: %s; restart after mending the cause", error)
            self.lost([one.key for one in self._partitions])

    # ------------------------------------------------------------------ progress

    async def _tick(self, member: Member) -> None:
        """Commit, and look for partitions that stand still, now and then."""
        commit, now = self._config.autocommit, asyncio.get_running_loop().time
        interval = min(commit.interval, LOOK_INTERVAL_SECONDS) if commit.enable else LOOK_INTERVAL_SECONDS
        commit_at = look_at = 0.0
        while True:
            await asyncio.sleep(interval)
            if commit.enable and now() >= commit_at:
                commit_at = now() + commit.interval
                self._commit(member)
            if now() >= look_at:
                look_at = now() + LOOK_INTERVAL_SECONDS
                for worker in self._workers.values():
                    worker.look(now())

    async def _measure(self, member: Member, ends: Ends) -> None:
        """Ask where the partitions end, now and then."""
        while True:
            await asyncio.sleep(END_INTERVAL_SECONDS)
            found = await ends.ask([one.key for one in self._partitions])
            if found:
                member.brokers_answer()
                self._health.right(BROKERS)
                self._partitions.saw_ends(found)

    def _progressed(self) -> None:
        if self._member is not None and not self._config.autocommit.enable:
            self._commit(self._member)

    def _commit(self, member: Member) -> None:
        positions = self._partitions.commits()
        if positions:
            member.commit(positions)

    def _part_with(self, gone: Iterable[Partition]) -> None:
        for one in gone:
            del self._workers[one]
            if one.position is not None:
                self._reached[one.key] = one.position
            self._partitions.release(one)
            self._meters.leave(one)
            self._health.right(one.key)

    @property
    def _brokers(self) -> str:
        return ",".join(self._config.brokers)


def _named(keys: Iterable[Key]) -> str:
    return ", ".join(f"{topic}[{number}]" for topic, number in sorted(keys)) or "none"


def consumer_settings(config: KafkaReceiverConfig, excluded: list[str]) -> dict[str, Any]:
    """Return the settings of librdkafka. Holds secrets. Raises :class:`StartError` naming a file."""
    largest = max(config.max_fetch_size, config.partition_fetch_size)
    settings = {
        **client_settings(config),
        "group.id": config.group_id,
        "partition.assignment.strategy": ",".join(config.strategies),
        "session.timeout.ms": int(config.session_timeout * 1000),
        "heartbeat.interval.ms": int(config.heartbeat_interval * 1000),
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",  # where a committed offset is gone; where to begin is up to the member
        "fetch.min.bytes": config.min_fetch_size,
        "fetch.max.bytes": config.max_fetch_size,
        "fetch.wait.max.ms": int(config.max_fetch_wait * 1000),
        "max.partition.fetch.bytes": config.partition_fetch_size,
        "message.max.bytes": min(config.max_fetch_size, 1_000_000),
        "receive.message.max.bytes": max(RECEIVE_BYTES, 2 * largest),
        "queued.max.messages.kbytes": max(1, config.max_buffered_size // 2 // 1024),
        "fetch.queue.backoff.ms": FETCH_BACKOFF_MS,
    }
    if config.group_instance_id:
        settings["group.instance.id"] = config.group_instance_id
    if excluded:
        settings["topic.blacklist"] = ",".join(excluded)
    return settings
