"""From a batch to messages: topic, key, headers and a value that is not too large. Pure: knows no broker."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import orjson

from untrace_pipeline.data import ATTRIBUTES, Batch, Context, Field, Level, Signal, Value, attribute
from untrace_pipeline.errors import OversizeError
from untrace_plugins.exporters.kafka.config import KafkaExporterConfig, KeySource, MessageKeyConfig, SignalConfig
from untrace_plugins.kafka.config import Encoding

__all__ = ["FRAMING_BYTES", "Headers", "Message", "Packer"]

FRAMING_BYTES = 100
"""What the protocol adds to a message that is alone in its batch: 61 bytes of batch, at most 30 of record."""

Headers = list[tuple[str, bytes]]
Key = bytes | None
Keys = Sequence[Key]

TRACE_ID = Field(Level.ITEM, "trace_id")
RESOURCE = Field(Level.RESOURCE, ATTRIBUTES)


@dataclass(slots=True, eq=False)
class Message:
    """One message as it goes to Kafka."""

    topic: str
    key: Key
    value: bytes
    headers: Headers
    part: Batch
    """What the message carries."""

    @property
    def items(self) -> int:
        """Items in it."""
        return self.part.item_count

    @property
    def byte_size(self) -> int:
        """What counts against ``max_message_bytes``."""
        return len(self.value) + _around(self.key, self.headers)


class Packer:
    """Makes messages of batches, as the options say. Only where keys or topics differ within a batch is it decoded."""

    def __init__(self, config: KafkaExporterConfig) -> None:
        self._config = config
        self._limit = config.producer.max_message_bytes
        self._fixed_headers: Headers = [(name, value.encode()) for name, value in config.record_headers.items()]
        self._signals: dict[Signal, SignalConfig] = {
            Signal.TRACES: config.traces,
            Signal.METRICS: config.metrics,
            Signal.LOGS: config.logs,
        }
        self._item_keys = {signal: _item_keys(config, signal) for signal in Signal}

    def pack(self, batch: Batch) -> list[Message]:
        """Return the messages of a batch, all of them at most ``max_message_bytes`` large.

        Raises :class:`OversizeError` if an item alone is larger, :class:`DecodeError` for what is no OTLP.
        """
        config = self._signals[batch.signal]
        headers = self._headers(batch.context)
        return [
            message
            for topic, key, part in self._parts(config, batch)
            for message in self._fitting(config.encoding, part, topic, key, headers)
        ]

    # ------------------------------------------------------------ topics, keys

    def _parts(self, config: SignalConfig, batch: Batch) -> Iterator[tuple[str, Key, Batch]]:
        """Yield parts of a batch with their topic and key."""
        context = batch.context
        topic = context.first(config.topic_from_metadata_key) if config.topic_from_metadata_key else None
        by_attribute = bool(self._config.topic_from_attribute) and not topic
        key_of_items = self._item_keys[batch.signal]
        if not by_attribute and key_of_items is None:
            yield topic or config.topic, self._batch_key(config, context), batch
            return
        # A handle of its own: what is decoded here must not stay in memory with the request.
        apart = Batch(batch.signal, batch.to_otlp(), context)
        topics = self._topics(apart, config) if by_attribute else [topic or config.topic] * apart.item_count
        keys = key_of_items(apart) if key_of_items else [self._batch_key(config, context)] * len(topics)
        for found, part in apart.partition(list(zip(topics, keys, strict=True))).items():
            assert isinstance(found, tuple)
            yield *found, part

    def _topics(self, batch: Batch, config: SignalConfig) -> list[str]:
        found = batch.column(attribute(self._config.topic_from_attribute, Level.RESOURCE), Level.ITEM)
        return [value if isinstance(value, str) and value else config.topic for value in found]

    def _batch_key(self, config: SignalConfig, context: Context) -> Key:
        """Return the key that all items of a batch share."""
        wanted = self._config.message_key
        name = config.message_key_from_metadata_key
        if wanted and wanted.source is KeySource.TENANT:
            return context.tenant.encode() if context.tenant else None
        if wanted and wanted.source is KeySource.METADATA:
            name = wanted.name
        value = context.first(name) if name else None
        return value.encode() if value else None

    def _headers(self, context: Context) -> Headers:
        names = self._config.include_metadata_keys
        found = [(name, value.encode()) for name in names for value in context.metadata.get(name.lower(), ())]
        if self._config.tenant_header and context.tenant:
            found.append((self._config.tenant_header, context.tenant.encode()))
        return [*self._fixed_headers, *found]

    # ------------------------------------------------------------------- sizes

    def _fitting(self, encoding: Encoding, batch: Batch, topic: str, key: Key, headers: Headers) -> Iterator[Message]:
        """Yield the batch as one message, or as many as it takes."""
        room = self._limit - _around(key, headers)
        value = batch.to_otlp() if encoding is Encoding.OTLP_PROTO else batch.to_json()
        items = batch.item_count
        if len(value) <= room:
            yield Message(topic, key, value, headers, batch)
            return
        if items <= 1:
            msg = f"{len(value)} bytes in one item, and producer.max_message_bytes is {self._limit}"
            raise OversizeError(msg)
        # Proto is cut to measure. JSON has other lengths: halves, until they fit.
        by_bytes = encoding is Encoding.OTLP_PROTO
        parts = batch.split(max_bytes=room) if by_bytes else batch.split(max_items=(items + 1) // 2)
        for part in parts:
            yield from self._fitting(encoding, part, topic, key, headers)


def _around(key: Key, headers: Headers) -> int:
    """Return the bytes of a message besides its value."""
    size = FRAMING_BYTES + (len(key) if key else 0)
    return size + sum(len(name) + len(value) + 10 for name, value in headers) if headers else size


def _item_keys(config: KafkaExporterConfig, signal: Signal) -> Callable[[Batch], Keys] | None:
    """Return what finds the key of each item, or ``None`` where a batch has one key or none."""
    wanted = config.message_key
    by_trace = config.partition_traces_by_id if signal is Signal.TRACES else config.partition_logs_by_trace_id
    if signal is not Signal.METRICS and (by_trace or (wanted and wanted.source is KeySource.TRACE_ID)):
        return _trace_keys
    if wanted and wanted.source is KeySource.ATTRIBUTE:
        return lambda batch: _attribute_keys(batch, wanted)
    by_resource = {
        Signal.METRICS: config.partition_metrics_by_resource_attributes,
        Signal.LOGS: config.partition_logs_by_resource_attributes,
    }
    return _resource_keys if by_resource.get(signal) else None


def _trace_keys(batch: Batch) -> Keys:
    return [value.hex().encode() if isinstance(value, bytes) and value else None for value in batch.column(TRACE_ID)]


def _attribute_keys(batch: Batch, wanted: MessageKeyConfig) -> Keys:
    own, outer = batch.columns([attribute(wanted.name), attribute(wanted.name, Level.RESOURCE)], Level.ITEM)
    return [_key(b if a is None else a) for a, b in zip(own, outer, strict=True)]


def _key(value: Value) -> Key:
    """Return a value of an attribute as a key; lists and maps make none."""
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, str | int | float):
        return str(value).encode() or None
    return value or None if isinstance(value, bytes) else None


def _resource_keys(batch: Batch) -> Keys:
    """Return a hash of the resource's attributes for each item; equal ones have equal hashes, whatever their order."""
    hashes = [
        hashlib.blake2b(orjson.dumps(found, default=_hex, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()
        for found in batch.column(RESOURCE)
    ]
    return [hashes[row] for row in batch.parents(Level.ITEM, Level.RESOURCE)]


def _hex(value: object) -> str:
    """Return what JSON has no form for: bytes, and integers beyond 64 bits do not occur."""
    return value.hex() if isinstance(value, bytes) else str(value)
