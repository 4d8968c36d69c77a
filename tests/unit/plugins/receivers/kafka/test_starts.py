"""Where a member begins to read."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, OFFSET_INVALID, KafkaError, KafkaException, TopicPartition

from untrace_plugins.receivers.kafka.starts import find_starts


class Broker:
    """The part of a consumer that a member asks where to begin: offsets by partition."""

    def __init__(self, committed: list[int], ends: list[int], error: KafkaError | None = None) -> None:
        self._committed, self._ends, self._error = committed, ends, error

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        if self._error:
            raise KafkaException(self._error)
        return [TopicPartition(one.topic, one.partition, self._committed[one.partition]) for one in partitions]

    def offsets_for_times(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        return [TopicPartition(one.topic, one.partition, self._ends[one.partition]) for one in partitions]


def starts(broker: Broker, *, from_latest: bool, **reached: int) -> list[int | None]:
    asked = [TopicPartition("t", number) for number in range(len(broker._committed))]
    consumer: Any = broker
    logger = logging.getLogger("untrace_pipeline.test")
    found = find_starts(consumer, asked, lambda key: reached.get(f"p{key[1]}"), logger, from_latest=from_latest)
    return list(found.values())


@pytest.mark.parametrize(("from_latest", "begin"), [(True, 70), (False, OFFSET_BEGINNING)])
def test_where_nothing_is_committed(from_latest: bool, begin: int) -> None:
    """`latest` is the end as it is now, `earliest` the beginning; committed offsets are the library's to find."""
    broker = Broker([5, OFFSET_INVALID], [60, 70])
    assert starts(broker, from_latest=from_latest) == [None, begin]


def test_where_a_commit_had_failed() -> None:
    """What we delivered ourselves is not read again; where others got further, theirs counts."""
    broker = Broker([5, 5, 5], [60, 60, 60])
    assert starts(broker, from_latest=True, p0=9, p1=3, p2=5) == [9, None, None]


def test_a_topic_that_was_made_anew() -> None:
    """Its offsets are gone, and what we reached was in another topic of that name."""
    broker = Broker([OFFSET_INVALID], [60])
    assert starts(broker, from_latest=False, p0=9000) == [OFFSET_BEGINNING]


def test_brokers_that_do_not_answer() -> None:
    """Then the library goes by what is committed, and where nothing is, begins at the beginning: nothing is skipped."""
    broker = Broker([5], [60], KafkaError(KafkaError._TIMED_OUT))
    assert starts(broker, from_latest=True, p0=9) == [None]
