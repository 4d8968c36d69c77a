"""Options of the receiver ``kafka``; keys and defaults are the Collector's, but for those that lose data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Self

from pydantic import Field, field_validator, model_validator

from untrace_pipeline.api import ComponentConfig, ConfigModel, Duration, Keeps, Size, Upstream
from untrace_pipeline.data import Signal
from untrace_pipeline.delivery import RetryConfig
from untrace_plugins.kafka.config import Encoding, KafkaClientConfig

__all__ = ["InitialOffset", "KafkaReceiverConfig", "RebalanceStrategy", "TopicConfig"]


class InitialOffset(StrEnum):
    """Where a group begins in a partition that it has never read."""

    LATEST = "latest"
    EARLIEST = "earliest"


class RebalanceStrategy(StrEnum):
    """How partitions are divided among the members of a group."""

    RANGE = "range"
    ROUNDROBIN = "roundrobin"
    COOPERATIVE_STICKY = "cooperative-sticky"


class TopicConfig(ConfigModel):
    """``traces``, ``metrics`` or ``logs``: which topics hold the signal."""

    topics: list[str] = Field(min_length=1)
    """Topics to read; one that begins with ``^`` is a regular expression."""
    topic: str | None = Field(None, min_length=1, json_schema_extra={"deprecated": "use topics"})
    """One topic, instead of ``topics``."""
    encoding: Encoding = Encoding.OTLP_PROTO
    """``otlp_proto`` or ``otlp_json``: one message is one OTLP request."""
    exclude_topics: list[str] = []
    """Regular expressions; topics that match are left out, for all signals of the receiver. Only together with a
    regular expression in ``topics``."""
    exclude_topic: str | None = Field(None, min_length=1, json_schema_extra={"deprecated": "use exclude_topics"})
    """One regular expression, instead of ``exclude_topics``."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.excluded and not any(topic.startswith("^") for topic in self.names):
            msg = "exclude_topics needs a regular expression in topics: one that begins with ^"
            raise ValueError(msg)
        for pattern in (*self.excluded, *(topic for topic in self.names if topic.startswith("^"))):
            _check_pattern(pattern)
        return self

    @property
    def names(self) -> list[str]:
        """The topics, from whichever spelling was used."""
        return [self.topic] if self.topic else self.topics

    @property
    def excluded(self) -> list[str]:
        """The topics left out, from whichever spelling was used."""
        return [self.exclude_topic] if self.exclude_topic else self.exclude_topics

    def holds(self, topic: str) -> bool:
        """Return whether a topic is one of these."""
        return any(_matches(name, topic) for name in self.names)


def _matches(name: str, topic: str) -> bool:
    return re.search(name, topic) is not None if name.startswith("^") else name == topic


def _check_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        msg = f"{pattern!r} is no regular expression: {error}"
        raise ValueError(msg) from error
    if not pattern or "," in pattern:
        msg = f"{pattern!r}: an expression must not be empty or contain a comma"
        raise ValueError(msg)


class TracesTopicConfig(TopicConfig):
    """``traces``."""

    topics: list[str] = Field(["otlp_spans"], min_length=1)
    """Topics to read; one that begins with ``^`` is a regular expression."""


class MetricsTopicConfig(TopicConfig):
    """``metrics``."""

    topics: list[str] = Field(["otlp_metrics"], min_length=1)
    """Topics to read; one that begins with ``^`` is a regular expression."""


class LogsTopicConfig(TopicConfig):
    """``logs``."""

    topics: list[str] = Field(["otlp_logs"], min_length=1)
    """Topics to read; one that begins with ``^`` is a regular expression."""


class AutoCommitConfig(ConfigModel):
    """``autocommit``: when progress is written to the group."""

    enable: bool = True
    """Every ``interval``; ``false`` = after every few messages, which costs a request each time."""
    interval: Duration = Field(1.0, gt=0)
    """How often; what was accepted since is read again after a crash."""


class MessageMarkingConfig(ConfigModel):
    """``message_marking``: when a message counts as read. Whatever it says, offsets are never ahead of it."""

    after: bool = True
    """When every pipeline has accepted it. Differs from the Collector, whose default (``false``: when it is handed to
    the pipelines) loses what was under way in a crash."""
    on_error: bool = False
    """Give a message up, counted and logged, when the pipelines still refuse it for now after
    ``error_backoff.max_elapsed_time`` (which must be set for that); ``false`` = offer it for ever."""
    on_permanent_error: bool = True
    """Skip a message that can never be accepted, counted and logged with its offset; ``false`` = stop reading the
    partition there, until a rebalance or restart. Differs from the Collector, where one broken message stops a
    partition unless ``on_error`` is set."""


class HeaderExtractionConfig(ConfigModel):
    """``header_extraction``: message headers as resource attributes."""

    extract_headers: bool = False
    """Add ``headers`` to each resource, as ``kafka.header.<name>``."""
    headers: list[str] = []
    """Names of headers, exactly as they are in the message."""


class ErrorBackoffConfig(RetryConfig):
    """``error_backoff``: waits while the pipelines refuse a message for now.

    Differs from the Collector: on, because without it a partition stops at the first refusal.
    """

    enabled: bool = True
    """``false`` = the first refusal is final: see ``message_marking.on_error``."""
    initial_interval: Duration = Field(0.1, ge=0)
    """Wait after the first refusal; a longer wish of who refuses wins."""
    max_interval: Duration = Field(5.0, ge=0)
    """Longest wait."""
    max_elapsed_time: Duration = Field(0.0, ge=0)
    """When to give up, where ``message_marking.on_error`` says so; ``0`` = never."""


class OptionalMetricConfig(ConfigModel):
    """A metric that is off unless asked for."""

    enabled: bool = False
    """Whether it is measured."""


class MetricsTelemetryConfig(ConfigModel):
    """``telemetry.metrics``."""

    kafka_receiver_records_delay: OptionalMetricConfig = OptionalMetricConfig()
    """Seconds from producing to receiving, as a histogram; needs clocks that agree."""


class TelemetryConfig(ConfigModel):
    """``telemetry``."""

    metrics: MetricsTelemetryConfig = MetricsTelemetryConfig()
    """Metrics that are off unless asked for."""


class KafkaReceiverConfig(KafkaClientConfig, ComponentConfig):
    """The keys of the Collector's ``kafka`` receiver."""

    traces: TracesTopicConfig = TracesTopicConfig()
    """Topics with spans; read where a pipeline of traces names the receiver."""
    metrics: MetricsTopicConfig = MetricsTopicConfig()
    """Topics with metric points."""
    logs: LogsTopicConfig = LogsTopicConfig()
    """Topics with log records."""
    group_id: str = Field("otel-collector", min_length=1)
    """Consumer group: all receivers of a group divide the partitions among themselves."""
    group_instance_id: str = ""
    """Makes this a static member, which keeps its partitions over a quick restart. Unique in the group."""
    initial_offset: InitialOffset = InitialOffset.LATEST
    """Where the group begins in a partition that it has never read: ``latest`` or ``earliest``. It is written down at
    once, so that nothing is skipped when the partition changes hands before the first message."""
    session_timeout: Duration = Field(10.0, ge=1, le=300)
    """A member that is not heard of for that long loses its partitions."""
    heartbeat_interval: Duration = Field(3.0, gt=0)
    """How often a member lets itself be heard."""
    group_rebalance_strategies: list[RebalanceStrategy] = []
    """How partitions are divided, best first: ``cooperative-sticky`` (default), ``range``, ``roundrobin``.
    ``cooperative-sticky`` cannot be listed with others: the library does not change between the protocols."""
    group_rebalance_strategy: RebalanceStrategy | None = Field(
        None, json_schema_extra={"deprecated": "use group_rebalance_strategies"}
    )
    """One strategy, instead of ``group_rebalance_strategies``."""
    min_fetch_size: Size = Field(1, ge=1)
    """Bytes that a broker waits for before it answers a fetch, up to ``max_fetch_wait``."""
    default_fetch_size: Size | None = Field(
        None, ge=1, json_schema_extra={"deprecated": "use max_partition_fetch_size"}
    )
    """The older name of ``max_partition_fetch_size``."""
    max_fetch_size: Size = Field(1024 * 1024, ge=1)
    """Most bytes in one answer of a broker; a larger message still comes."""
    max_fetch_wait: Duration = Field(0.25, ge=0)
    """Longest time that a broker waits for ``min_fetch_size`` bytes."""
    max_partition_fetch_size: Size = Field(1024 * 1024, ge=1)
    """Most bytes of one partition in one answer; a larger message still comes."""
    max_buffered_size: Size = Field(64 * 1024 * 1024, ge=1024 * 1024)
    """Most bytes of messages in memory that no pipeline has accepted: half of them fetched ahead by the library. The
    Collector does not have it."""
    autocommit: AutoCommitConfig = AutoCommitConfig()
    """When progress is written to the group."""
    message_marking: MessageMarkingConfig = MessageMarkingConfig()
    """When a message counts as read."""
    header_extraction: HeaderExtractionConfig = HeaderExtractionConfig()
    """Message headers as resource attributes. Besides, all of them are request metadata for the pipelines."""
    tenant_header: str = ""
    """Header of the message that holds the tenant of the request, as the ``tenant_header`` of the exporter writes it.
    The Collector does not have it."""
    error_backoff: ErrorBackoffConfig = ErrorBackoffConfig()
    """Waits while the pipelines refuse a message for now."""
    telemetry: TelemetryConfig = TelemetryConfig()
    """Metrics that are off unless asked for."""

    def upstream(self) -> Upstream:
        """Return what Kafka is good for: it has everything, but gives again only what was not marked as read."""
        if self.message_marking.after:
            return Upstream(Keeps.STORED)
        why = "messages count as read before the pipelines have accepted them"
        return Upstream(Keeps.NOTHING, why, "message_marking.after", "message_marking.after: true")

    @field_validator("group_rebalance_strategies")
    @classmethod
    def _one_protocol(cls, strategies: list[RebalanceStrategy]) -> list[RebalanceStrategy]:
        if RebalanceStrategy.COOPERATIVE_STICKY in strategies and len(strategies) > 1:
            msg = "cooperative-sticky alone, or range and roundrobin: the library does not change between the protocols"
            raise ValueError(msg)
        return strategies

    @model_validator(mode="after")
    def _check(self) -> Self:
        for problem in self._problems():
            raise ValueError(problem)
        return self

    def _problems(self) -> Iterator[str]:
        if self.group_rebalance_strategy and self.group_rebalance_strategies:
            yield "either group_rebalance_strategy or group_rebalance_strategies, not both"
        if self.heartbeat_interval >= self.session_timeout:
            yield "heartbeat_interval must be less than session_timeout, best a third of it"
        if self.max_fetch_size < self.min_fetch_size:
            yield f"max_fetch_size ({self.max_fetch_size}) must not be less than min_fetch_size ({self.min_fetch_size})"
        signals = self.topics()
        for signal, config in signals.items():
            for name in config.names:
                other = next((s for s, c in signals.items() if s > signal and name in c.names), None)
                if other:
                    yield f"topic {name} stands in {signal}.topics and {other}.topics: a topic holds one signal"

    def topics(self) -> Mapping[Signal, TopicConfig]:
        """Return the topics of each signal."""
        return {Signal.TRACES: self.traces, Signal.METRICS: self.metrics, Signal.LOGS: self.logs}

    @property
    def strategies(self) -> list[RebalanceStrategy]:
        """How partitions are divided, from whichever spelling was used."""
        one = self.group_rebalance_strategy
        return [one] if one else self.group_rebalance_strategies or [RebalanceStrategy.COOPERATIVE_STICKY]

    def unshared(self) -> Mapping[str, str]:
        """Return what several worker processes cannot have in common."""
        if not self.group_instance_id:
            return {}
        return {"group_instance_id": "members of a group with the same id put each other out"}

    @property
    def partition_fetch_size(self) -> int:
        """Most bytes of one partition in one answer, from whichever spelling was used."""
        return self.default_fetch_size or self.max_partition_fetch_size
