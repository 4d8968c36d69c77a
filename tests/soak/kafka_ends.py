"""What is looked at to prove it: which messages a sink was given, and which offsets are committed meanwhile."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Any, Self

from confluent_kafka import KafkaException

from tests.support.chaos.items import find_items
from tests.support.kafka_client import KafkaClient
from untrace_pipeline.api import Kind
from untrace_pipeline.data import Batch, Level, Signal, attribute
from untrace_pipeline.testing import StubHost, make_settings
from untrace_plugins.receivers.otlp import FACTORY

LOOK_SECONDS = 0.1
PLACE = (attribute("kafka.partition", Level.RESOURCE), attribute("kafka.offset", Level.RESOURCE))


class Deliveries:
    """What the sink has taken."""

    def __init__(self) -> None:
        self.seen: dict[int, float] = {}
        """When each item came first."""
        self.twice: dict[int, float] = {}
        """Items that came again, and when they had come first."""
        self.altered = 0
        self.places: set[tuple[int, int]] = set()
        """Partition and offset of every message that was delivered."""
        self._contiguous: dict[int, int] = {}

    def take(self, batch: Batch) -> None:
        """Write down what a request brought, before it is answered."""
        now = time.time()
        for item, intact, _ in find_items(batch.to_otlp()):
            self.altered += not intact
            first = self.seen.setdefault(item, now)
            if first is not now:
                self.twice[item] = first
        for partition, offset in zip(*batch.columns(PLACE, Level.RESOURCE), strict=True):
            self.places.add((int(str(partition)), int(str(offset))))

    def delivered_up_to(self, partition: int) -> int:
        """Return the offset of the first message of a partition that was not delivered."""
        offset = self._contiguous.get(partition, 0)
        while (partition, offset) in self.places:
            offset += 1
        self._contiguous[partition] = offset
        return offset


class Sink:
    """An OTLP server in this process; slow, if told so."""

    def __init__(self, deliveries: Deliveries, slowness: float = 0.0) -> None:
        self._deliveries = deliveries
        self._slowness = slowness
        config = FACTORY.config.model_validate({"protocols": {"grpc": {"endpoint": "127.0.0.1:0"}}})
        self._receiver: Any = FACTORY.create(
            config, make_settings(Kind.RECEIVER, "otlp", signals=[Signal.TRACES]), self
        )

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return str(self._receiver.grpc.endpoint)

    def admit(self, byte_size: int) -> None:
        """Take anything."""

    async def consume(self, batch: Batch) -> None:
        """Take a request."""
        if self._slowness:
            await asyncio.sleep(self._slowness)
        self._deliveries.take(batch)

    async def __aenter__(self) -> Self:
        await self._receiver.start(StubHost())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._receiver.shutdown()


class CommitWatch:
    """Looks at the committed offsets again and again, and compares them with what was delivered by then."""

    def __init__(self, bootstrap: str, group: str, topic: str, deliveries: Deliveries) -> None:
        self.looks = 0
        self.faults: list[str] = []
        self._client = KafkaClient(bootstrap)
        self._group, self._topic = group, topic
        self._deliveries = deliveries
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()

    async def run(self) -> None:
        """Look until stopped. What is committed is read first: deliveries only grow."""
        while not self._stopped.is_set():
            try:
                committed = await asyncio.to_thread(self._client.committed, self._group, self._topic)
            except KafkaException:  # the broker is away
                committed = {}
            self.looks += bool(committed)
            for partition, offset in committed.items():
                delivered = self._deliveries.delivered_up_to(partition)
                if offset > delivered:
                    self.faults.append(f"partition {partition}: {offset} is committed, {delivered} was not delivered")
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._stopped.wait()
            except TimeoutError:
                continue
