"""The receiver `kafka`: what it makes of what its member hears. Groups that change are in tests/integration/kafka."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from confluent_kafka import KafkaError

from tests.support.peers import free_port
from tests.support.receivers import Receiving
from tests.support.receivers import receiving as run_receiver
from untrace_pipeline.api import StartError, Status
from untrace_pipeline.data import Signal
from untrace_pipeline.testing import BlockingSink, make_batch
from untrace_plugins.receivers.kafka import FACTORY
from untrace_plugins.receivers.kafka.partition import Key, Record

A: Key = ("otlp_spans", 0)
B: Key = ("otlp_spans", 1)


def message(key: Key, offset: int) -> Record:
    return Record(*key, offset, make_batch(Signal.TRACES, 1, seed=offset).to_otlp(), timestamp=1.0)


@asynccontextmanager
async def receiving(sink: Any = None, **options: Any) -> AsyncIterator[Receiving]:
    """Start a receiver of traces that finds no broker."""
    nobody = {"brokers": f"127.0.0.1:{free_port()}"}
    async with run_receiver(FACTORY, {**nobody, **options}, signals=[Signal.TRACES], sink=sink) as made:
        yield made


async def test_without_brokers_it_starts_and_stops() -> None:
    """They may come up later; meanwhile the status says that they are down."""
    async with receiving() as r:
        await r.until(lambda: r.host.reports)
        assert r.host.reports[0][0] is Status.RECOVERABLE_ERROR


async def test_messages_of_partitions() -> None:
    """What arrives for partitions of ours is handed on and shows in the metrics, per partition."""
    async with receiving() as r:
        r.receiver.assigned({A: None, B: None})
        r.receiver.arrived([message(A, 10), message(A, 11), message(B, 5)])
        await r.sink.wait_for_items(3)
        await r.until(lambda: r.meter.value("kafka_receiver_buffered_bytes") <= 0)
        r.receiver._partitions.saw_ends({A: 20, B: 6})
        assert r.meter.value("kafka_receiver_offset_lag", topic="otlp_spans", partition="0") == 8
        assert r.meter.value("kafka_receiver_offset_lag", topic="otlp_spans", partition="1") == 0
        assert r.meter.value("kafka_receiver_current_offset", partition="0") == 12
        assert r.meter.value("kafka_receiver_records", topic="otlp_spans", outcome="success") == 3
        assert r.meter.value("kafka_receiver_partition_start") == 2


async def test_partitions_that_go() -> None:
    """Their positions are handed over, their lag is others' business, and nothing of them is handed on any more."""
    async with receiving() as r:
        r.receiver.assigned({A: None, B: 3})
        r.receiver.arrived([message(A, 10)])
        await r.sink.wait_for_items(1)
        assert await r.receiver.release([A]) == {A: 11}
        assert await r.receiver.release(None) == {B: 3}
        r.receiver._partitions.saw_ends({A: 100, B: 100})
        assert r.meter.value("kafka_receiver_offset_lag") == 0
        r.receiver.arrived([message(A, 11)])
        assert r.sink.item_count == 1
        assert r.meter.value("kafka_receiver_partition_close") == 2
        assert r.meter.value("kafka_receiver_rebalances", event="revoked") == 2


async def test_partitions_are_handed_on_concurrently() -> None:
    """One that waits does not hold the others."""
    async with receiving(BlockingSink()) as r:
        r.receiver.assigned({A: None, B: None})
        r.receiver.arrived([message(A, 1), message(A, 2), message(B, 1)])
        await r.until(lambda: r.sink.waiting == 2)
        r.sink.release.set()
        await r.sink.wait_for_items(3)


async def test_a_rebalance_that_brings_nothing_is_none() -> None:
    """The group asks everybody now and then; that is not worth a line."""
    async with receiving() as r:
        r.receiver.assigned({})
        assert await r.receiver.release([A]) == {}
        assert r.meter.value("kafka_receiver_rebalances") == 0


async def test_lost_partitions() -> None:
    """What is under way is cancelled, nothing is committed, and it is counted."""
    async with receiving(BlockingSink()) as r:
        r.receiver.assigned({A: None})
        r.receiver.arrived([message(A, 1)])
        await r.until(lambda: r.sink.waiting == 1)
        r.receiver.lost([A])
        await r.until(lambda: r.sink.waiting == 0)
        assert r.meter.value("kafka_receiver_rebalances", event="lost") == 1
        assert await r.receiver.release(None) == {}


async def test_commits_that_fail_are_made_again() -> None:
    """They are counted, and the position stays to be committed."""
    async with receiving(autocommit={"interval": "1h"}) as r:
        r.receiver.assigned({A: 7})
        assert r.receiver._partitions.commits() == {A: 7}
        r.receiver.committed([A], KafkaError(KafkaError.REBALANCE_IN_PROGRESS))
        assert r.receiver._partitions.commits() == {A: 7}
        r.receiver.committed([A], None)
        assert r.receiver._partitions.commits() == {}
        assert r.meter.value("kafka_receiver_commits", outcome="failure") == 1
        assert r.meter.value("kafka_receiver_commits", outcome="success") == 1


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("_ALL_BROKERS_DOWN", Status.RECOVERABLE_ERROR),
        ("UNKNOWN_TOPIC_OR_PART", Status.RECOVERABLE_ERROR),
        ("_AUTHENTICATION", Status.PERMANENT_ERROR),
        ("GROUP_AUTHORIZATION_FAILED", Status.PERMANENT_ERROR),
        ("TOPIC_AUTHORIZATION_FAILED", Status.PERMANENT_ERROR),
    ],
)
async def test_troubles(name: str, status: Status) -> None:
    """What mends itself is recoverable, what needs a human is not; partitions end either."""
    async with receiving() as r:
        r.receiver._health.right("brokers")
        r.receiver.troubled(KafkaError(getattr(KafkaError, name), "because"))
        assert r.host.reports[-1][0] is status
        r.receiver.assigned({A: None})
        assert r.host.reports[-1][0] is Status.OK


async def test_put_out_of_the_group() -> None:
    """A member that cannot go on says so until somebody restarts it."""
    async with receiving(BlockingSink()) as r:
        r.receiver.assigned({A: None})
        r.receiver.arrived([message(A, 1)])
        await r.until(lambda: r.sink.waiting == 1)
        r.receiver.ended("fenced by another member")
        await r.until(lambda: r.sink.waiting == 0)
        assert r.host.reports[-1] == (
            Status.PERMANENT_ERROR,
            "out of the group otel-collector: fenced by another member",
        )


async def test_a_partition_that_stands_still_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its message is blocked, not refused: people must see it all the same."""
    monkeypatch.setattr("untrace_plugins.receivers.kafka.receiver.LOOK_INTERVAL_SECONDS", 0.01)
    monkeypatch.setattr("untrace_plugins.receivers.kafka.worker.STALL_SECONDS", 0.05)
    async with receiving(BlockingSink()) as r:
        r.receiver.assigned({A: None, B: None})
        r.receiver.arrived([message(A, 1), message(A, 2)])
        await r.until(lambda: r.meter.value("kafka_receiver_waiting_partitions") == 1)
        assert r.meter.value("kafka_receiver_buffered_bytes") <= 0
        r.sink.release.set()
        await r.until(lambda: r.meter.value("kafka_receiver_waiting_partitions") == 0)


async def test_delay_is_measured_when_asked_for() -> None:
    """One value per bunch and partition: how old its last message is."""
    asked = {"metrics": {"kafka_receiver_records_delay": {"enabled": True}}}
    async with receiving(telemetry=asked) as r:
        r.receiver.assigned({A: None})
        r.receiver.arrived([message(A, 1), message(A, 2)])
        await r.sink.wait_for_items(2)
        assert len(r.meter.recorded("kafka_receiver_records_delay")) == 1
    async with receiving() as r:
        r.receiver.assigned({A: None})
        r.receiver.arrived([message(A, 1)])
        assert r.meter.recorded("kafka_receiver_records_delay") == []


async def test_settings_that_the_library_refuses() -> None:
    """The start ends with a reason, and no secret in it."""
    tls = {"ca_pem": "no certificate", "cert_pem": "none", "key_pem": "topsecret"}
    with pytest.raises(StartError, match="the Kafka library refuses the settings") as caught:
        async with receiving(tls=tls):
            pass
    assert "topsecret" not in str(caught.value)
