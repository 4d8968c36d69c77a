"""From a message to a batch: signal by topic, payload by encoding, headers as metadata. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from untrace_pipeline.api import DecodeError
from untrace_pipeline.data import Batch, Context, Level, Signal, attribute
from untrace_plugins.kafka.config import Encoding
from untrace_plugins.receivers.kafka.config import KafkaReceiverConfig, TopicConfig
from untrace_plugins.receivers.kafka.partition import Record

__all__ = ["Decoder"]

PREFIX = "kafka.header."
"""Before the name of a header that becomes a resource attribute; the Collector's."""


class Decoder:
    """Makes batches of messages."""

    def __init__(self, config: KafkaReceiverConfig, signals: Iterable[Signal]) -> None:
        wanted = set(signals)
        self._topics = {signal: topics for signal, topics in config.topics().items() if signal in wanted}
        self._known: dict[str, tuple[Signal, TopicConfig]] = {}
        extraction = config.header_extraction
        self._extracted = extraction.headers if extraction.extract_headers else []
        self._tenant_header = config.tenant_header.lower()

    @property
    def subscription(self) -> list[str]:
        """All topics to read."""
        return [name for config in self._topics.values() for name in config.names]

    @property
    def excluded(self) -> list[str]:
        """Expressions of topics to leave out."""
        return [pattern for config in self._topics.values() for pattern in config.excluded]

    def signal_of(self, topic: str) -> Signal:
        """Return the signal that a topic holds."""
        return self._find(topic)[0]

    def decode(self, record: Record) -> Batch:
        """Return the batch, decoded whole: one bad message must not spoil others that it is merged with later.

        Raises :class:`DecodeError`.
        """
        signal, config = self._find(record.topic)
        context = self._context(record)
        if config.encoding is Encoding.OTLP_JSON:
            batch = Batch.from_json(signal, record.value, context)
        else:
            batch = Batch(signal, record.value, context)
        batch.validate()
        if self._extracted:
            self._extract(batch, record)
        return batch

    def _find(self, topic: str) -> tuple[Signal, TopicConfig]:
        found = self._known.get(topic)
        if found is None:
            found = next((item for item in self._topics.items() if item[1].holds(topic)), None)
            if found is None:
                msg = f"topic {topic} was not asked for"
                raise DecodeError(msg)
            self._known[topic] = found
        return found

    def _context(self, record: Record) -> Context:
        metadata: dict[str, tuple[str, ...]] = {
            "kafka.topic": (record.topic,),
            "kafka.partition": (str(record.partition),),
            "kafka.offset": (str(record.offset),),
        }
        for name, value in record.headers:
            key = name.lower()
            metadata[key] = (*metadata.get(key, ()), _text(value))
        tenant = metadata.get(self._tenant_header) if self._tenant_header else None
        return Context(
            metadata=metadata,
            tenant=tenant[0] if tenant else None,
            peer=f"{record.topic}[{record.partition}]",
            transport="kafka",
        )

    def _extract(self, batch: Batch, record: Record) -> None:
        rows = batch.row_count(Level.RESOURCE)
        for wanted in self._extracted:
            value = next((value for name, value in record.headers if name == wanted), None)
            if value is not None:
                batch.set(attribute(PREFIX + wanted, Level.RESOURCE), [_text(value)] * rows)


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")
