"""Members of a consumer group: joining, leaving, refusals, outages. Offsets follow delivery; nothing is skipped."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from tests.support.kafka_client import KafkaClient
from tests.support.peers import KafkaBroker
from tests.support.receivers import Receiving, receiving
from untrace_pipeline.api import PermanentError, RetryableError, Status
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.testing import BlockingSink, Sink, make_batch
from untrace_plugins.receivers.kafka import FACTORY
from untrace_plugins.receivers.kafka import member as member_module
from untrace_plugins.receivers.kafka import receiver as receiver_module
from untrace_plugins.receivers.kafka import worker as worker_module

pytestmark = pytest.mark.peer

TRACES = [Signal.TRACES]
PARTITIONS = 4
Place = tuple[int, int]


def place(batch: Batch) -> Place:
    """Return partition and offset of the message that a batch was."""
    metadata = batch.context.metadata
    return int(metadata["kafka.partition"][0]), int(metadata["kafka.offset"][0])


class PlacesSink(Sink):
    """Keeps where each message stood, and refuses those of some partitions."""

    def __init__(self) -> None:
        super().__init__()
        self.places: list[Place] = []
        self.refused: set[int] = set()
        self.error: Exception = RetryableError("not now")

    async def consume(self, batch: Batch) -> None:
        if place(batch)[0] in self.refused:
            raise self.error
        self.places.append(place(batch))
        await asyncio.sleep(0)


class Topic:
    """A topic with a group that reads it."""

    def __init__(self, broker: KafkaBroker, name: str) -> None:
        self.name = name
        self.client = KafkaClient(broker.bootstrap)
        self.options: dict[str, Any] = {
            "brokers": broker.bootstrap,
            "group_id": name,
            "initial_offset": "earliest",
            "traces": {"topics": [name]},
            "autocommit": {"interval": "50ms"},
            "error_backoff": {"initial_interval": "20ms", "max_interval": "100ms"},
            "metadata": {"refresh_interval": "1s"},
            "heartbeat_interval": "200ms",
        }
        self._written = 0

    async def write(self, each: int, partitions: int = PARTITIONS, size: int = 1) -> None:
        """Write messages to every partition."""
        for partition in range(partitions):
            values = [make_batch(Signal.TRACES, size, seed=self._written + n).to_otlp() for n in range(each)]
            self._written += each
            await asyncio.to_thread(self.client.produce, self.name, values, partition)

    async def committed(self) -> dict[int, int]:
        """Return what the group has committed."""
        return await asyncio.to_thread(self.client.committed, self.name, self.name)

    @asynccontextmanager
    async def member(self, sink: Any = None, **more: Any) -> AsyncIterator[Receiving]:
        """Join the group."""
        async with receiving(FACTORY, {**self.options, **more}, signals=TRACES, sink=sink or PlacesSink()) as r:
            yield r

    async def until_committed(self, wanted: dict[int, int]) -> None:
        """Wait; after an outage the broker may first have to give up a member that it still remembers."""
        async with asyncio.timeout(60):
            while await self.committed() != wanted:
                await asyncio.sleep(0.05)


@pytest.fixture
async def spans(broker: KafkaBroker, topic: str) -> Topic:
    made = Topic(broker, topic)
    await asyncio.to_thread(made.client.create, topic, PARTITIONS)
    return made


def all_places(each: int, partitions: int = PARTITIONS) -> Counter[Place]:
    return Counter((partition, offset) for partition in range(partitions) for offset in range(each))


async def wait_for(count: int, *members: Receiving) -> None:
    async with asyncio.timeout(60):
        while sum(len(one.sink.places) for one in members) < count:
            await asyncio.sleep(0.01)


def assigned(member: Receiving) -> int:
    return len(list(member.receiver._partitions))


# ------------------------------------------------------------- the way of a message


async def test_offsets_follow_delivery(spans: Topic) -> None:
    """While the pipelines hold a message nothing is committed; when they have accepted it, it is."""
    await spans.write(3)
    async with spans.member(BlockingSink()) as r:
        await r.until(lambda: r.sink.waiting == PARTITIONS)
        await asyncio.sleep(0.3)
        assert await spans.committed() == {}
        r.sink.release.set()
        await spans.until_committed(dict.fromkeys(range(PARTITIONS), 3))


async def test_the_next_member_goes_on_where_the_last_one_ended(spans: Topic) -> None:
    """A shutdown commits what was accepted: nothing comes twice, nothing is left out."""
    await spans.write(20)
    async with spans.member() as first:
        await wait_for(1, first)
    await spans.write(20)
    async with spans.member() as second:
        await wait_for(40 * PARTITIONS - len(first.sink.places), second)
        assert Counter(first.sink.places) + Counter(second.sink.places) == all_places(40)


async def test_a_member_that_is_cut_off_leaves_its_messages(spans: Topic) -> None:
    """What the pipelines had not accepted when the member ended is read again."""
    await spans.write(2)
    async with spans.member(BlockingSink(), session_timeout="1s", heartbeat_interval="200ms") as r:
        await r.until(lambda: r.sink.waiting == PARTITIONS)
    assert r.sink.batches == []
    async with spans.member() as second:
        await wait_for(2 * PARTITIONS, second)
        assert Counter(second.sink.places) == all_places(2)


# ------------------------------------------------------------------ members


@pytest.mark.parametrize("strategy", ["cooperative-sticky", "range"])
async def test_members_divide_and_hand_over(spans: Topic, strategy: str) -> None:
    """While members come and go, every message is accepted once, in the order of its partition."""
    spans.options["group_rebalance_strategies"] = [strategy]
    written = 0
    enough = asyncio.Event()

    async def keep_writing() -> None:
        nonlocal written
        while not enough.is_set():
            await spans.write(25)
            written += 25
            await asyncio.sleep(0.05)

    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(spans.member())
        writing = asyncio.create_task(keep_writing())
        await wait_for(1, first)
        async with spans.member() as second:
            await second.until(lambda: assigned(first) == assigned(second) == PARTITIONS // 2)
            await wait_for(20, second)
        await first.until(lambda: assigned(first) == PARTITIONS)
        third = await stack.enter_async_context(spans.member())
        await third.until(lambda: assigned(third) == PARTITIONS // 2)
        await wait_for(20, third)
        enough.set()
        await writing
        await wait_for(written * PARTITIONS, first, second, third)
        await spans.until_committed(dict.fromkeys(range(PARTITIONS), written))
    seen = [one.sink.places for one in (first, second, third)]
    assert sum(map(Counter, seen), Counter()) == all_places(written)
    for places in seen:
        for partition in range(PARTITIONS):
            offsets = [offset for number, offset in places if number == partition]
            assert offsets == sorted(offsets)
    assert first.meter.value("kafka_receiver_rebalances", event="revoked") >= 2
    assert first.meter.value("kafka_receiver_rebalances", event="lost") == 0


async def test_a_partition_is_handed_over_when_its_message_is_done(spans: Topic) -> None:
    """A rebalance waits for what is under way: the new owner begins behind it."""
    await spans.write(1)
    spans.options["autocommit"] = {"interval": "1h"}
    async with spans.member(BlockingSink()) as first:
        await first.until(lambda: first.sink.waiting == PARTITIONS)
        async with spans.member() as second:
            await first.until(lambda: any(worker._leaving.is_set() for worker in first.receiver._workers.values()))
            assert second.sink.places == []
            first.sink.release.set()
            await second.until(lambda: assigned(second) == PARTITIONS // 2)
            await spans.write(1)
            await wait_for(PARTITIONS // 2, second)
            await first.sink.wait_for_items(PARTITIONS + PARTITIONS // 2)
            assert {offset for _, offset in second.sink.places} == {1}


async def test_two_static_members_with_one_name(spans: Topic) -> None:
    """The older one is put out, says so, and reads no more."""
    async with spans.member(group_instance_id="same") as first:
        await first.until(lambda: assigned(first) == PARTITIONS)
        async with spans.member(group_instance_id="same") as second:
            await first.until(lambda: first.host.reports and first.host.reports[-1][0] is Status.PERMANENT_ERROR, 40)
            assert "out of the group" in first.host.reports[-1][1]
            await second.until(lambda: assigned(second) == PARTITIONS)


async def test_topics_and_partitions_that_come_later(broker: KafkaBroker, topic: str) -> None:
    """An expression finds new topics, and new partitions are read from their first message."""
    spans = Topic(broker, f"{topic}.a")
    await asyncio.to_thread(spans.client.create, spans.name, 1)
    await spans.write(1, partitions=1)
    async with spans.member(traces={"topics": [f"^{topic}\\."]}) as r:
        await wait_for(1, r)
        await asyncio.to_thread(spans.client.create, f"{topic}.b", 1)
        await asyncio.to_thread(spans.client.produce, f"{topic}.b", [make_batch(Signal.TRACES, 1).to_otlp()])
        await wait_for(2, r)
        await asyncio.to_thread(spans.client.add_partitions, spans.name, 2)
        await r.until(lambda: assigned(r) == 3)
        await spans.write(1, partitions=2)
        await wait_for(4, r)
        assert r.meter.value("kafka_receiver_partition_start") >= 3


# ------------------------------------------------------------- where to begin


async def test_latest_skips_what_was_there_and_nothing_else(spans: Topic) -> None:
    """The end is written down when the partition is first seen: what comes while nobody reads is read later."""
    await spans.write(5, partitions=PARTITIONS - 1)  # and one that is empty
    async with spans.member(initial_offset="latest") as first:
        await spans.until_committed({0: 5, 1: 5, 2: 5, 3: 0})
        assert first.sink.places == []
    await spans.write(5)
    async with spans.member(initial_offset="latest") as second:
        await wait_for(5 * PARTITIONS, second)
        later = {(number, offset) for number in range(PARTITIONS - 1) for offset in range(5, 10)}
        assert Counter(second.sink.places) == Counter(later | {(PARTITIONS - 1, offset) for offset in range(5)})


async def test_what_retention_took(broker: KafkaBroker, spans: Topic) -> None:
    """Where committed offsets are gone, everything that is left is read, also with `latest`."""
    await spans.write(4)
    async with spans.member() as first:
        await spans.until_committed(dict.fromkeys(range(PARTITIONS), 4))
    await spans.write(4)
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    for done in admin.delete_records([TopicPartition(spans.name, n, 6) for n in range(PARTITIONS)]).values():
        await asyncio.to_thread(done.result, 20)
    async with spans.member(initial_offset="latest") as second:
        await wait_for(2 * PARTITIONS, second)
        assert Counter(second.sink.places) == Counter((n, o) for n in range(PARTITIONS) for o in (6, 7))
    assert len(first.sink.places) == 4 * PARTITIONS


# ------------------------------------------------------------------ back-pressure


async def test_a_partition_that_is_refused_holds_nobody_else(spans: Topic, monkeypatch: pytest.MonkeyPatch) -> None:
    """It pauses and its lag grows; the others go on; afterwards it goes on where it was, with nothing left out."""
    monkeypatch.setattr(receiver_module, "END_INTERVAL_SECONDS", 0.1)
    sink = PlacesSink()
    sink.refused = {1}
    await spans.write(10)
    async with spans.member(sink) as r:
        await wait_for(30, r)
        await r.until(lambda: r.receiver._member._paused == {(spans.name, 1)})
        await r.until(lambda: r.meter.value("kafka_receiver_buffered_bytes") < 2000)
        await spans.write(10)
        await wait_for(60, r)
        await r.until(lambda: r.meter.value("kafka_receiver_offset_lag", partition="1") == 20)
        assert r.meter.value("kafka_receiver_waiting_partitions") == 1
        assert r.host.reports[-1][0] is Status.RECOVERABLE_ERROR
        assert 1 not in await spans.committed()
        sink.refused = set()
        await wait_for(80, r)
        assert Counter(sink.places) == all_places(20)
        assert [offset for number, offset in sink.places if number == 1] == list(range(20))
        await r.until(lambda: r.meter.value("kafka_receiver_offset_lag") == 0)
        assert r.host.reports[-1][0] is Status.OK


async def test_a_partition_whose_message_is_blocked_leaves_room_for_others(spans: Topic) -> None:
    """However much waits behind the message, others are read; later it is read too, in order and once."""

    class BlocksOne(PlacesSink):
        release = asyncio.Event()

        async def consume(self, batch: Batch) -> None:
            if place(batch)[0] == 0:
                await self.release.wait()
            await super().consume(batch)

    await asyncio.to_thread(
        spans.client.produce, spans.name, [make_batch(Signal.TRACES, 100, seed=n).to_otlp() for n in range(200)], 0
    )  # 17 MB, read first
    sink = BlocksOne()
    async with spans.member(sink, max_buffered_size="2MiB") as r:
        await r.until(lambda: r.receiver._member._paused == {(spans.name, 0)})
        for number in range(1, PARTITIONS):
            value = make_batch(Signal.TRACES, 100, seed=number).to_otlp()
            await asyncio.to_thread(spans.client.produce, spans.name, [value] * 60, number)
        await wait_for(60 * (PARTITIONS - 1), r)
        assert r.meter.value("kafka_receiver_waiting_partitions") == 1
        sink.release.set()
        await wait_for(200 + 60 * (PARTITIONS - 1), r)
        assert [offset for number, offset in sink.places if number == 0] == list(range(200))
        assert len(set(sink.places)) == len(sink.places)


async def test_memory_is_bounded_while_nothing_is_accepted(spans: Topic, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much waits in Kafka, little is fetched; the member stays in the group; then everything comes, once."""
    monkeypatch.setattr(member_module, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(worker_module, "STALL_SECONDS", 3600)
    await spans.write(60, size=100)  # 20 MB in all
    async with spans.member(BlockingSink(), max_buffered_size="2MiB") as r:
        await r.until(lambda: r.receiver._member._all_paused)
        held = r.meter.value("kafka_receiver_buffered_bytes")
        assert held < 4 * 1024 * 1024
        await asyncio.sleep(1)
        assert r.meter.value("kafka_receiver_buffered_bytes") == held
        assert assigned(r) == PARTITIONS
        r.sink.release.set()
        await r.until(lambda: len(r.sink.batches) == 60 * PARTITIONS, 60)
        assert Counter(place(batch) for batch in r.sink.batches) == all_places(60)
        await spans.until_committed(dict.fromkeys(range(PARTITIONS), 60))
        assert r.meter.value("kafka_receiver_buffered_bytes") == 0
        assert r.meter.value("kafka_receiver_rebalances", event="lost") == 0


# ------------------------------------------------------------- refused for good


async def test_a_broken_message_is_skipped(spans: Topic) -> None:
    """It stays in Kafka; those behind it are read, and its offset is committed."""
    await spans.write(1)
    await asyncio.to_thread(spans.client.produce, spans.name, [b"\xff no OTLP"], 2)
    await spans.write(1)
    async with spans.member() as r:
        await wait_for(2 * PARTITIONS, r)
        assert r.meter.value("kafka_receiver_skipped_records", reason="malformed") == 1
        await spans.until_committed({0: 2, 1: 2, 2: 3, 3: 2})


async def test_a_partition_stops_when_told_to(spans: Topic) -> None:
    """`on_permanent_error: false`: nothing behind the message is read or committed; a restart begins with it."""
    sink = PlacesSink()
    sink.refused, sink.error = {2}, PermanentError("never")
    await spans.write(3)
    async with spans.member(sink, message_marking={"on_permanent_error": False}) as r:
        await wait_for(3 * (PARTITIONS - 1), r)
        await r.until(lambda: r.host.reports and r.host.reports[-1][0] is Status.PERMANENT_ERROR)
        await spans.write(1)
        await wait_for(4 * (PARTITIONS - 1), r)
        await spans.until_committed({0: 4, 1: 4, 3: 4})
    async with spans.member() as second:
        await wait_for(4, second)
        assert Counter(second.sink.places) == Counter((2, offset) for offset in range(4))


# -------------------------------------------------------------------- outages


@pytest.mark.parametrize(
    ("how", "session"),
    [("stop", "10s"), ("kill", "10s"), ("stop", "1s")],
    ids=["stop", "kill", "longer-than-the-session"],
)
async def test_an_outage_of_the_broker(own_broker: KafkaBroker, topic: str, how: str, session: str) -> None:
    """The receiver says so, comes back by itself, and reads everything once; offsets catch up.

    Also where the broker has forgotten the member when it is back.
    """
    spans = Topic(own_broker, topic)
    await asyncio.to_thread(spans.client.create, topic, PARTITIONS)
    await spans.write(10)
    async with spans.member(session_timeout=session) as r:
        await wait_for(10 * PARTITIONS, r)
        await spans.until_committed(dict.fromkeys(range(PARTITIONS), 10))
        await asyncio.to_thread(getattr(own_broker, how))
        await r.until(lambda: r.host.reports and r.host.reports[-1][0] is Status.RECOVERABLE_ERROR, 30)
        await asyncio.to_thread(own_broker.start)
        await spans.write(10)
        await wait_for(20 * PARTITIONS, r)
        assert Counter(r.sink.places) == all_places(20)
        await r.until(lambda: r.host.reports[-1][0] is Status.OK)
        await spans.until_committed(dict.fromkeys(range(PARTITIONS), 20))
