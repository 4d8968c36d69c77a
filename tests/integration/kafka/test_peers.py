"""The Kafka peers themselves: fetched once, started on free ports, restarted with their data, failing on demand."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from tests.support.peers import KafkaBroker, Kfake, PeerUnavailable, kafka_jars

pytestmark = pytest.mark.peer

NOT_LEADER = 6
INVALID_RECORD = 87


def produce(bootstrap: str, topic: str) -> str:
    """Produce one message; return the name of the error that came back, empty for none."""
    answers: list[KafkaError | None] = []
    producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0})
    producer.produce(topic, b"message", partition=0, on_delivery=lambda error, _message: answers.append(error))
    assert producer.flush(30) == 0
    return answers[0].name() if answers[0] else ""


def end_offset(bootstrap: str, topic: str) -> int:
    """Return how many messages partition 0 has."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    (answer,) = admin.list_offsets({TopicPartition(topic, 0): OffsetSpec.latest()}).values()
    return int(answer.result(30).offset)


def test_broker_keeps_data_and_ports_over_a_restart(own_broker: KafkaBroker, topic: str) -> None:
    """After a restart, and after SIGKILL, everything is where it was."""
    bootstrap = own_broker.bootstrap
    assert produce(bootstrap, topic) == ""
    own_broker.restart()
    assert produce(bootstrap, topic) == ""
    own_broker.kill()
    own_broker.start()
    assert own_broker.bootstrap == bootstrap
    assert end_offset(bootstrap, topic) == 2


def test_kfake_fails_as_often_as_told(kfake: Callable[..., Kfake]) -> None:
    """An error that may pass is overcome, one that is final comes back, and the next message goes through."""
    running = kfake("spans")
    running.fault(code=NOT_LEADER, count=2)
    assert produce(running.bootstrap, "spans") == ""
    running.fault(code=INVALID_RECORD, count=1)
    assert produce(running.bootstrap, "spans") == "INVALID_RECORD"
    assert produce(running.bootstrap, "spans") == ""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A path with nothing on it, and an empty cache."""
    directory = tmp_path / "tools"
    directory.mkdir()
    monkeypatch.setenv("PATH", str(directory))
    monkeypatch.setenv("UNTRACE_PEERS_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("UNTRACE_PEER_KAFKA", raising=False)
    return directory


def tool(directory: Path, name: str, script: str) -> None:
    (directory / name).write_text(f"#!/bin/sh\n{script}\n")
    os.chmod(directory / name, 0o755)


def test_what_is_missing_is_named(tools: Path) -> None:
    """Without Java, without the jars and without Maven the caller learns which of them it is."""
    with pytest.raises(PeerUnavailable, match="no java"):
        kafka_jars()
    tool(tools, "java", "exit 0")
    with pytest.raises(PeerUnavailable, match="make peers"):
        kafka_jars(build=False)
    with pytest.raises(PeerUnavailable, match="no mvn"):
        kafka_jars()
    tool(tools, "mvn", "echo 'no such artifact'; exit 1")
    with pytest.raises(PeerUnavailable, match="no such artifact"):
        kafka_jars()
