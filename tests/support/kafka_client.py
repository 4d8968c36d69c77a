"""Kafka as tests see it: a cluster inside librdkafka, and a client to write, read and ask with."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic

__all__ = ["KafkaClient", "MockCluster"]

QUIET = {"log_level": 0}
SECONDS = 30.0


class MockCluster:
    """The cluster that librdkafka brings for tests of clients: one broker in this process, real sockets, no Java.

    Topics are made when they are used, with four partitions.
    """

    def __init__(self) -> None:
        self._owner = [Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "mock", **QUIET})]
        (broker,) = self._owner[0].list_topics(timeout=SECONDS).brokers.values()
        self.bootstrap = f"{broker.host}:{broker.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._owner.clear()


class KafkaClient:
    """Writes, reads and asks; every call blocks."""

    def __init__(self, bootstrap: str, settings: Mapping[str, Any] | None = None) -> None:
        self._settings = {"bootstrap.servers": bootstrap, **QUIET, **(settings or {})}
        self._admin = AdminClient(self._settings)

    def create(self, topic: str, partitions: int = 1, **config: str) -> None:
        """Make a topic; `max_message_bytes="1000"` sets `max.message.bytes`."""
        settings = {name.replace("_", "."): value for name, value in config.items()}
        (made,) = self._admin.create_topics([NewTopic(topic, partitions, 1, config=settings)]).values()
        made.result(SECONDS)

    def add_partitions(self, topic: str, total: int) -> None:
        """Let a topic have more partitions."""
        (done,) = self._admin.create_partitions([NewPartitions(topic, total)]).values()
        done.result(SECONDS)

    def topics(self) -> set[str]:
        """Return the names of all topics."""
        return set(self._admin.list_topics(timeout=SECONDS).topics)

    def produce(self, topic: str, values: Sequence[bytes], partition: int | None = None, **options: Any) -> None:
        """Write messages, and wait until they are there."""
        producer = Producer({**self._settings, "enable.idempotence": True})
        failed: list[Any] = []
        where: dict[str, Any] = options if partition is None else {**options, "partition": partition}
        for value in values:
            producer.produce(topic, value, on_delivery=lambda error, _: failed.append(error), **where)
        left = producer.flush(SECONDS)
        assert not left
        assert not any(failed), failed

    def ends(self, topic: str) -> dict[int, int]:
        """Return the end of each partition; of one that is brand new, as soon as it has a leader."""
        deadline = time.monotonic() + SECONDS
        while True:
            partitions = self._admin.list_topics(topic, timeout=SECONDS).topics[topic].partitions
            consumer = self._consumer()
            try:
                asked = [TopicPartition(topic, number, OFFSET_END) for number in partitions]
                return {one.partition: one.offset for one in consumer.offsets_for_times(asked, timeout=SECONDS)}
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            finally:
                consumer.close()

    def read(self, topic: str) -> list[Message]:
        """Return all messages of a topic, partition by partition, each in order."""
        ends = self.ends(topic)
        consumer = self._consumer()
        try:
            consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number, end in ends.items() if end])
            found: list[Message] = []
            deadline = time.monotonic() + SECONDS
            while len(found) < sum(ends.values()) and time.monotonic() < deadline:
                for message in consumer.consume(1000, 0.1):
                    if message.error():
                        raise KafkaException(message.error())
                    found.append(message)
            return sorted(found, key=lambda message: (message.partition(), message.offset()))
        finally:
            consumer.close()

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """Return the committed offset of each partition that has one."""
        partitions = self._admin.list_topics(topic, timeout=SECONDS).topics[topic].partitions
        consumer = self._consumer(group)
        try:
            found = consumer.committed([TopicPartition(topic, number) for number in partitions], timeout=SECONDS)
            return {one.partition: one.offset for one in found if one.offset >= 0}
        finally:
            consumer.close()

    def _consumer(self, group: str = "tests") -> Consumer:
        return Consumer({**self._settings, "group.id": group, "enable.auto.commit": False})
