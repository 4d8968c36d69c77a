"""Kafka, read by another client than the exporter's."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from tests.support.kafka_client import KafkaClient
from tests.support.peers import KafkaBroker
from tests.support.proofs.place import SpanPlace, Stored, stored
from tests.support.proofs.versions import pinned
from untrace_pipeline.data import Batch, Signal

__all__ = ["KafkaPlace"]

TOPIC = "proofs"


class KafkaPlace(SpanPlace):
    """A real broker."""

    name = "kafka"
    splits = False

    def __init__(self) -> None:
        self._broker: KafkaBroker | None = None
        self._client: KafkaClient | None = None

    @property
    def peer(self) -> str:
        return f"Kafka {pinned('kafka', 'kafka_2.13')}"

    @property
    def url(self) -> str:
        return ""

    def options(self, url: str) -> dict[str, Any]:
        assert self._broker is not None
        return {"brokers": [self._broker.bootstrap], "traces": {"topic": TOPIC}}

    def read(self) -> list[Stored]:
        assert self._client is not None
        messages = self._client.read(TOPIC) if TOPIC in self._client.topics() else []
        return [span for one in messages for span in stored(Batch(Signal.TRACES, one.value() or b""))]

    def __enter__(self) -> Self:
        self._broker = KafkaBroker()
        self._broker.start()
        self._client = KafkaClient(self._broker.bootstrap)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._broker is not None:
            self._broker.__exit__(kind, error, trace)
