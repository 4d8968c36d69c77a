"""Kafka: reads OTLP requests from topics, as a member of a consumer group.

A message counts as read when every pipeline has accepted it; only then is its offset committed. Messages of a partition
are handed on one after the other, partitions at the same time. What is refused for now is offered again, and its
partition pauses; what is refused for good is counted, logged with its offset, and skipped unless told otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from untrace_pipeline.api import Aggregation, Intake, MetricKind, MetricSpec, ReceiverFactory, Settings, Stability
from untrace_plugins.receivers.kafka.config import KafkaReceiverConfig

if TYPE_CHECKING:
    from untrace_plugins.receivers.kafka.receiver import KafkaReceiver

__all__ = ["FACTORY"]

COUNTER, GAUGE = MetricKind.COUNTER, MetricKind.GAUGE
PARTITION = ("receiver", "topic", "partition")
DELAYS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
"""Seconds: from a quiet topic to half an hour of lag."""


def _create(config: KafkaReceiverConfig, settings: Settings, next: Intake) -> KafkaReceiver:
    from untrace_plugins.receivers.kafka.receiver import KafkaReceiver  # noqa: PLC0415

    return KafkaReceiver(config, settings, next)


FACTORY = ReceiverFactory(
    type_name="kafka",
    config=KafkaReceiverConfig,
    description="reads OTLP requests from Kafka topics, in a consumer group",
    create=_create,
    stability=Stability.BETA,
    extra="kafka",
    metrics=(
        MetricSpec(
            "kafka_receiver_records",
            COUNTER,
            "Messages that were dealt with; outcome: success (accepted) or failure (skipped).",
            (*PARTITION, "outcome"),
        ),
        MetricSpec("kafka_receiver_bytes_uncompressed", COUNTER, "Bytes of those messages.", (*PARTITION, "outcome")),
        MetricSpec(
            "kafka_receiver_current_offset",
            GAUGE,
            "Offset of the next message to be dealt with.",
            PARTITION,
            aggregation=Aggregation.MAX,
        ),
        MetricSpec(
            "kafka_receiver_offset_lag",
            GAUGE,
            "Messages in a partition that were not dealt with yet; 0 for partitions of other members.",
            PARTITION,
        ),
        MetricSpec("kafka_receiver_partition_start", COUNTER, "Partitions that this member was given.", ("receiver",)),
        MetricSpec("kafka_receiver_partition_close", COUNTER, "Partitions that this member gave up.", ("receiver",)),
        *(
            MetricSpec(
                f"kafka_receiver_unmarshal_failed_{items}",
                COUNTER,
                f"Messages of {items.replace('_', ' ')} that are no OTLP.",
                PARTITION,
            )
            for items in ("spans", "metric_points", "log_records")
        ),
        MetricSpec(
            "kafka_receiver_records_delay",
            MetricKind.HISTOGRAM,
            "Seconds from producing to receiving, for the last message of each bunch; off unless asked for.",
            PARTITION,
            DELAYS,
        ),
        MetricSpec(
            "kafka_receiver_skipped_records",
            COUNTER,
            "Messages that were given up; reason: malformed, refused, expired.",
            ("receiver", "topic", "reason"),
        ),
        MetricSpec(
            "kafka_receiver_rebalances",
            COUNTER,
            "Changes of the assignment; event: assigned, revoked or lost.",
            ("receiver", "event"),
        ),
        MetricSpec(
            "kafka_receiver_commits",
            COUNTER,
            "Commits of offsets; outcome: success or failure.",
            ("receiver", "outcome"),
        ),
        MetricSpec(
            "kafka_receiver_waiting_partitions",
            GAUGE,
            "Partitions whose next message is refused for now, or that stopped at a message.",
            ("receiver",),
        ),
        MetricSpec(
            "kafka_receiver_buffered_bytes",
            GAUGE,
            "Bytes of messages that were received and not dealt with yet.",
            ("receiver",),
        ),
    ),
)
