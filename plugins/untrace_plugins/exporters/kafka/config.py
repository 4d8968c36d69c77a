"""Options of the exporter ``kafka``; keys and defaults are the Collector's, but for those that lose or repeat data."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from untrace_pipeline.api import ConfigModel, Duration, Size
from untrace_pipeline.delivery import DeliveryConfig
from untrace_plugins.kafka.config import Encoding, KafkaClientConfig

__all__ = [
    "Compression",
    "Hasher",
    "KafkaExporterConfig",
    "KeySource",
    "MessageKeyConfig",
    "ProducerConfig",
    "RecordPartitionerConfig",
    "SignalConfig",
]


class Compression(StrEnum):
    """How messages are compressed, several together."""

    NONE = "none"
    GZIP = "gzip"
    SNAPPY = "snappy"
    LZ4 = "lz4"
    ZSTD = "zstd"


class KeySource(StrEnum):
    """Where the key of a message comes from."""

    TRACE_ID = "trace_id"
    TENANT = "tenant"
    ATTRIBUTE = "attribute"
    METADATA = "metadata"


class Hasher(StrEnum):
    """Which partition a key belongs to."""

    SARAMA_COMPAT = "sarama_compat"
    MURMUR2 = "murmur2"


class CompressionParamsConfig(ConfigModel):
    """``producer.compression_params``."""

    level: int = Field(-1, ge=-1, le=12)
    """Level of ``gzip`` (1 to 9), ``lz4`` and ``zstd`` (to 12); -1 = the library's default."""


def _acks(value: object) -> object:
    return -1 if value == "all" else value


Acks = Annotated[
    int, BeforeValidator(_acks, json_schema_input_type=int | str), WithJsonSchema({"enum": [-1, 0, 1, "all"]})
]


class ProducerConfig(ConfigModel):
    """``producer``: how messages are sent."""

    max_message_bytes: Size = Field(1_000_000, ge=1000, le=1_000_000_000)
    """Largest message before compression; larger requests are split, down to one item. Set it to the topic's
    ``max.message.bytes`` where that is less than 1 MiB."""
    max_broker_write_bytes: int = Field(100 * 1024 * 1024, ge=100 * 1024 * 1024)
    """Accepted for the Collector's sake."""
    required_acks: Acks = Field(-1, ge=-1, le=1)
    """``all`` (-1): every in-sync replica has it; ``1``: the leader; ``0``: nobody, which loses data. Differs from the
    Collector, whose default is 1: what a leader alone has is lost with it."""
    idempotent: bool | None = None
    """Let the brokers recognise repeated messages, so that retries of the library never duplicate or reorder. Absent =
    on with ``required_acks: all``, which it needs. The Collector does not have the option."""
    compression: Compression = Compression.NONE
    """``none``, ``gzip``, ``snappy``, ``lz4`` or ``zstd`` (best for LLM text)."""
    compression_params: CompressionParamsConfig = CompressionParamsConfig()
    """How hard to compress."""
    linger: Duration = Field(0.001, ge=0)
    """How long a message may wait for others that go to the same partition. Differs from the Collector (``10ms``): no
    more than ``sending_queue.num_consumers`` requests are under way at once, and while they wait nothing else comes."""
    flush_max_messages: int = Field(10_000, ge=1, le=1_000_000)
    """Most messages in one batch of a partition."""
    allow_auto_topic_creation: bool = True
    """Whether brokers may make a topic that does not exist, if they are set up to."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.idempotent and self.required_acks != -1:
            msg = "idempotent: true needs required_acks: all"
            raise ValueError(msg)
        if self.compression is Compression.GZIP and self.compression_params.level > 9:  # noqa: PLR2004  zlib's highest
            msg = "compression_params.level: gzip has levels up to 9"
            raise ValueError(msg)
        return self

    @property
    def with_idempotence(self) -> bool:
        """Whether the producer is idempotent."""
        return self.required_acks == -1 if self.idempotent is None else self.idempotent


class SignalConfig(ConfigModel):
    """``traces``, ``metrics`` or ``logs``: where messages of the signal go."""

    topic: str = Field(min_length=1)
    """Where messages go, unless ``topic_from_metadata_key`` or ``topic_from_attribute`` finds another topic."""
    encoding: Encoding = Encoding.OTLP_PROTO
    """``otlp_proto`` or ``otlp_json``: one message is one OTLP request."""
    topic_from_metadata_key: str = ""
    """Request header whose value is the topic; wins over ``topic_from_attribute``."""
    message_key_from_metadata_key: str = ""
    """Request header whose value is the message key."""


class TracesConfig(SignalConfig):
    """``traces``."""

    topic: str = Field("otlp_spans", min_length=1)
    """Where messages go, unless ``topic_from_metadata_key`` or ``topic_from_attribute`` finds another topic."""


class MetricsConfig(SignalConfig):
    """``metrics``."""

    topic: str = Field("otlp_metrics", min_length=1)
    """Where messages go, unless ``topic_from_metadata_key`` or ``topic_from_attribute`` finds another topic."""


class LogsConfig(SignalConfig):
    """``logs``."""

    topic: str = Field("otlp_logs", min_length=1)
    """Where messages go, unless ``topic_from_metadata_key`` or ``topic_from_attribute`` finds another topic."""


class MessageKeyConfig(ConfigModel):
    """``message_key``: what must stay in one partition, in order. The Collector does not have it."""

    source: KeySource = Field(alias="from")
    """``trace_id`` (spans and log records), ``tenant`` (as authenticated), ``attribute`` (of the item, else of its
    resource) or ``metadata`` (a request header)."""
    name: str = ""
    """Name of the attribute or header. Example: ``customer.id``."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        named = self.source in {KeySource.ATTRIBUTE, KeySource.METADATA}
        if named != bool(self.name):
            msg = f"from: {self.source} {'needs' if named else 'takes no'} name"
            raise ValueError(msg)
        return self


class StickyKeyConfig(ConfigModel):
    """``record_partitioner.sticky_key``."""

    hasher: Hasher = Hasher.SARAMA_COMPAT
    """``sarama_compat`` (FNV-1a, as the Collector) or ``murmur2`` (as Java clients)."""


class RoundRobinConfig(ConfigModel):
    """``record_partitioner.round_robin``; has no options."""


class RecordPartitionerConfig(ConfigModel):
    """``record_partitioner``: which partition a message goes to; at most one. Absent = ``sticky_key``.

    Differs from the Collector: no ``least_backup`` and no ``extension``.
    """

    sticky_key: StickyKeyConfig | None = None
    """By the hash of the key; messages without one go to a partition for a short while, then to another."""
    round_robin: RoundRobinConfig | None = None
    """To any partition, whatever the key (at random)."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.sticky_key and self.round_robin:
            msg = "either sticky_key or round_robin, not both"
            raise ValueError(msg)
        return self


class KafkaExporterConfig(KafkaClientConfig, DeliveryConfig):
    """The keys of the Collector's ``kafka`` exporter."""

    timeout: Duration = Field(5.0, ge=0)
    """How long one attempt waits for the brokers; ``0`` = no limit. What is still under way then is not sent twice: the
    next attempt waits for the same messages."""
    traces: TracesConfig = TracesConfig()
    """Where spans go."""
    metrics: MetricsConfig = MetricsConfig()
    """Where metric points go."""
    logs: LogsConfig = LogsConfig()
    """Where log records go."""
    topic_from_attribute: str = ""
    """Resource attribute whose value is the topic; resources with different ones go to different topics. Example:
    ``kafka.topic``."""
    include_metadata_keys: list[str] = []
    """Request headers that become headers of the message. Example: ``[x-tenant, traceparent]``."""
    record_headers: dict[str, str] = {}
    """Headers of every message."""
    tenant_header: str = ""
    """Header of the message that holds the tenant of the request, for the ``tenant_header`` of the receiver. The
    Collector does not have it."""
    message_key: MessageKeyConfig | None = None
    """What the key of a message is made of; instead of the options ``partition_…`` and
    ``message_key_from_metadata_key``. Absent = no key, unless one of those is set."""
    partition_traces_by_id: bool = False
    """One message per trace, with its id (hex) as the key."""
    partition_metrics_by_resource_attributes: bool = False
    """One message per resource, with a hash of its attributes as the key."""
    partition_logs_by_resource_attributes: bool = False
    """The same for log records."""
    partition_logs_by_trace_id: bool = False
    """One message per trace, with its id (hex) as the key; records without one have no key."""
    record_partitioner: RecordPartitionerConfig = RecordPartitionerConfig()
    """Which partition a message goes to."""
    producer: ProducerConfig = ProducerConfig()
    """How messages are sent."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for problem in (*self._key_conflicts(), *self._batching_conflicts()):
            raise ValueError(problem)
        if self.timeout and self.producer.linger > self.timeout:
            msg = f"producer.linger ({self.producer.linger:g} s) must not be longer than timeout ({self.timeout:g} s)"
            raise ValueError(msg)
        return self

    def _key_conflicts(self) -> Iterator[str]:
        """Yield pairs of options that would both set the key."""
        keys = {
            "traces": (self.traces, ["partition_traces_by_id"]),
            "metrics": (self.metrics, ["partition_metrics_by_resource_attributes"]),
            "logs": (self.logs, ["partition_logs_by_resource_attributes", "partition_logs_by_trace_id"]),
        }
        for signal, (config, flags) in keys.items():
            chosen = [flag for flag in flags if getattr(self, flag)]
            if config.message_key_from_metadata_key:
                chosen.append(f"{signal}.message_key_from_metadata_key")
            if self.message_key:
                chosen.append("message_key")
            if len(chosen) > 1:
                yield f"either {chosen[0]} or {chosen[1]}, not both"

    def _batching_conflicts(self) -> Iterator[str]:
        """Yield options that need what merging throws away: batches of different senders have no context in common."""
        batch = self.sending_queue.batch
        if batch is None:
            return
        kept = set(batch.partition.metadata_keys)
        lost = [key for key in self.metadata_keys() if key not in kept]
        if lost:
            yield (
                f"sending_queue.batch.partition.metadata_keys must include {', '.join(lost)}: "
                "where batches are merged, other headers are lost"
            )
        if self.tenant_header or (self.message_key and self.message_key.source is KeySource.TENANT):
            yield (
                "tenant_header and message_key from tenant do not go with sending_queue.batch: batches of several "
                "tenants are merged; leave batch out, or use an attribute or a header"
            )

    def metadata_keys(self) -> Iterator[str]:
        """Yield the request headers that the exporter reads, in lower case."""
        names = list(self.include_metadata_keys)
        for signal in (self.traces, self.metrics, self.logs):
            names += [signal.topic_from_metadata_key, signal.message_key_from_metadata_key]
        if self.message_key and self.message_key.source is KeySource.METADATA:
            names.append(self.message_key.name)
        yield from dict.fromkeys(name.lower() for name in names if name)
