"""Where a member begins to read the partitions that it is given."""

from __future__ import annotations

import logging
from collections.abc import Callable

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaException, TopicPartition

from untrace_plugins.receivers.kafka.partition import Key

__all__ = ["find_starts", "key_of"]

REQUEST_SECONDS = 5.0
"""Limit of each question to the brokers; meanwhile the group waits."""

Starts = dict[Key, int | None]


def key_of(partition: TopicPartition) -> Key:
    """Return topic and number."""
    return partition.topic, partition.partition


def find_starts(
    consumer: Consumer,
    partitions: list[TopicPartition],
    reached: Callable[[Key], int | None],
    logger: logging.Logger,
    *,
    from_latest: bool,
) -> Starts:
    """Return where to begin; ``None`` where the committed offset says it.

    Where nothing is committed, the end is asked for, to be written down: "latest" must not be another place when the
    partition comes back. Where we got further than what was committed, because a commit failed, we go on there.
    """
    starts: Starts = {key_of(partition): None for partition in partitions}
    try:
        known = consumer.committed(partitions, timeout=REQUEST_SECONDS)
        new = [partition for partition in known if partition.offset < 0 and partition.error is None]
        starts |= {key_of(one): _further(one, reached) for one in known if one.offset >= 0}
        if not from_latest:
            return starts | {key_of(partition): OFFSET_BEGINNING for partition in new}
        wanted = [TopicPartition(partition.topic, partition.partition, OFFSET_END) for partition in new]
        found = consumer.offsets_for_times(wanted, timeout=REQUEST_SECONDS) if wanted else []
        return starts | {key_of(one): one.offset for one in found if one.error is None}
    except KafkaException as error:  # the library finds the committed offset itself, or begins at the beginning
        logger.warning("committed offsets could not be asked for: %s", error.args[0])
        return starts


def _further(committed: TopicPartition, reached: Callable[[Key], int | None]) -> int | None:
    ours = reached(key_of(committed))
    return ours if ours is not None and ours > committed.offset else None
