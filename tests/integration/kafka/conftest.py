"""A real broker, shared by the tests of a process."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from tests.support.peers import KafkaBroker, Kfake, kafka_jars, kfake_binary, peer_or_skip

pytest.importorskip("confluent_kafka", reason="confluent-kafka is not installed: the extra [kafka] brings it")


@pytest.fixture(scope="session")
def kafka_peer() -> None:
    """Skip where Kafka cannot run."""
    with peer_or_skip():
        kafka_jars(build=False)


@pytest.fixture(scope="session")
def broker(kafka_peer: None) -> Iterator[KafkaBroker]:
    """A broker that nobody stops."""
    with KafkaBroker() as running:
        yield running


@pytest.fixture
def own_broker(kafka_peer: None) -> Iterator[KafkaBroker]:
    """A broker that the test may stop, kill and restart."""
    with KafkaBroker() as running:
        yield running


@pytest.fixture
def kfake() -> Iterator[Callable[..., Kfake]]:
    """Start kfake clusters that end with the test; skips where it is not built."""
    with peer_or_skip():
        kfake_binary(build=False)
    running: list[Kfake] = []

    def start(*topics: str, partitions: int = 4) -> Kfake:
        running.append(Kfake(topics, partitions=partitions).__enter__())
        return running[-1]

    yield start
    for one in running:
        one.__exit__(None, None, None)


_numbers = itertools.count()


@pytest.fixture
def topic(request: pytest.FixtureRequest) -> str:
    """The name of a topic that no other test uses."""
    return f"{request.node.originalname.removeprefix('test_')[:60]}.{next(_numbers)}"
