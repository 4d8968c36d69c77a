"""The room between the library's thread and the event loop, and where a member begins to read."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, OFFSET_INVALID, KafkaError, KafkaException, TopicPartition

from untrace_plugins.receivers.kafka.member import Member, MemberSettings, Room


def test_room_is_full_and_roomy() -> None:
    """Full at its capacity, worth beginning again at half of it; what is larger than all of it is taken alone."""
    room = Room(100)
    assert (room.full, room.roomy) == (False, True)
    room.take(500)
    assert (room.full, room.roomy) == (True, False)
    room.give_back(449)
    assert (room.full, room.roomy) == (False, False)
    room.give_back(1)
    assert (room.full, room.roomy) == (False, True)


def test_waiting_for_room_is_bounded() -> None:
    """The thread must go on answering to the group."""
    room = Room(100)
    room.take(100)
    started = time.monotonic()
    room.wait(0.05)
    assert time.monotonic() - started >= 0.05


def test_waiting_ends_with_room() -> None:
    """As soon as the event loop gives some back."""
    room = Room(100)
    room.take(100)
    waiting = threading.Thread(target=room.wait, args=(60,))
    waiting.start()
    room.give_back(60)
    waiting.join(10)
    assert not waiting.is_alive()


# ------------------------------------------------------------- where to begin


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


class Ears:
    """Knows how far it got."""

    def __init__(self, **reached: int) -> None:
        self._reached = reached

    def reached(self, key: tuple[str, int]) -> int | None:
        return self._reached.get(f"p{key[1]}")


async def starts(broker: Broker, ears: Any, *, from_latest: bool) -> list[int | None]:
    settings = MemberSettings({}, ["t"], from_latest=from_latest, cooperative=True, release_seconds=1)
    member = Member(settings, Room(100), ears, logging.getLogger("untrace_pipeline.test"))
    asked = [TopicPartition("t", number) for number in range(len(broker._committed))]
    consumer: Any = broker
    return list(member._starts(consumer, asked).values())


@pytest.mark.parametrize(("from_latest", "begin"), [(True, 70), (False, OFFSET_BEGINNING)])
async def test_where_nothing_is_committed(from_latest: bool, begin: int) -> None:
    """`latest` is the end as it is now, `earliest` the beginning; committed offsets are the library's to find."""
    broker = Broker([5, OFFSET_INVALID], [60, 70])
    assert await starts(broker, Ears(), from_latest=from_latest) == [None, begin]


async def test_where_a_commit_had_failed() -> None:
    """What we delivered ourselves is not read again; where others got further, theirs counts."""
    broker = Broker([5, 5, 5], [60, 60, 60])
    assert await starts(broker, Ears(p0=9, p1=3, p2=5), from_latest=True) == [9, None, None]


async def test_a_topic_that_was_made_anew() -> None:
    """Its offsets are gone, and what we reached was in another topic of that name."""
    broker = Broker([OFFSET_INVALID], [60])
    assert await starts(broker, Ears(p0=9000), from_latest=False) == [OFFSET_BEGINNING]


async def test_brokers_that_do_not_answer() -> None:
    """Then the library goes by what is committed, and where nothing is, begins at the beginning: nothing is skipped."""
    broker = Broker([5], [60], KafkaError(KafkaError._TIMED_OUT))
    assert await starts(broker, Ears(p0=9), from_latest=True) == [None]
