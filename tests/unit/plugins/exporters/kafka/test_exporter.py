"""The exporter `kafka` against the cluster that librdkafka brings; brokers that fail are in tests/integration/kafka."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError

from tests.support.exporters import QUICK_RETRY, running
from tests.support.kafka_client import KafkaClient, MockCluster
from tests.support.peers import free_port
from untrace_pipeline.api import StartError, Status
from untrace_pipeline.data import Batch, Context, Field, Level, Signal, attribute
from untrace_pipeline.testing import make_batch
from untrace_plugins.exporters.kafka import FACTORY
from untrace_plugins.exporters.kafka.exporter import producer_settings

SPAN_ID = Field(Level.ITEM, "span_id")


@pytest.fixture(scope="module")
def cluster() -> Iterator[MockCluster]:
    with MockCluster() as made:
        yield made


def settings(**options: Any) -> dict[str, Any]:
    return producer_settings(FACTORY.config.model_validate(options))


def test_the_library_is_told_the_options() -> None:
    """Reliable by default; sizes, waits and partitions as configured."""
    found = settings()
    assert (found["acks"], found["enable.idempotence"]) == (-1, True)
    assert found["message.max.bytes"] == found["batch.size"] == 1_000_000
    assert found["partitioner"] == "fnv1a_random"
    found = settings(
        producer={
            "required_acks": 1,
            "compression": "zstd",
            "compression_params": {"level": 3},
            "linger": "20ms",
            "flush_max_messages": 7,
            "allow_auto_topic_creation": False,
        },
        record_partitioner={"sticky_key": {"hasher": "murmur2"}},
    )
    assert (found["acks"], found["enable.idempotence"]) == (1, False)
    assert (found["compression.type"], found["compression.level"], found["linger.ms"]) == ("zstd", 3, 20)
    assert (found["batch.num.messages"], found["allow.auto.create.topics"]) == (7, False)
    assert found["partitioner"] == "murmur2_random"
    assert settings(record_partitioner={"round_robin": {}})["partitioner"] == "random"


@pytest.mark.parametrize(
    ("options", "patience"),
    [
        ({}, 300_000),
        ({"retry_on_failure": {"max_elapsed_time": "0s"}}, 600_000),
        ({"retry_on_failure": {"enabled": False}}, 5_000),
        ({"retry_on_failure": {"enabled": False}, "timeout": "0s"}, 600_000),
    ],
)
def test_the_library_is_as_patient_as_the_retries(options: dict[str, Any], patience: int) -> None:
    """It must not give up a message that the exporter would send again: only its own attempts have no duplicates."""
    assert settings(**options)["message.timeout.ms"] == patience


@pytest.mark.parametrize("signal", list(Signal))
async def test_every_signal_arrives(cluster: MockCluster, signal: Signal) -> None:
    """One message per request, byte for byte, counted as sent."""
    topic = f"signal-{signal}"
    async with running(FACTORY, {"brokers": cluster.bootstrap, signal.value: {"topic": topic}}) as r:
        await r.consume(make_batch(signal, 9, resources=2))
        await r.until_idle()
        assert r.meter.value(f"exporter_sent_{signal.item}") == 9
        assert r.meter.value("kafka_exporter_records", topic=topic, outcome="success") == 1
        assert r.meter.value("kafka_exporter_outstanding_records") == 0
    (message,) = KafkaClient(cluster.bootstrap).read(topic)
    assert message.value() == make_batch(signal, 9, resources=2).to_otlp()


async def test_keys_and_headers_arrive(cluster: MockCluster) -> None:
    """With the message, for whoever reads it."""
    options = {
        "brokers": cluster.bootstrap,
        "traces": {"topic": "keys"},
        "message_key": {"from": "tenant"},
        "include_metadata_keys": ["X-Tenant"],
        "record_headers": {"source": "tests"},
    }
    async with running(FACTORY, options, signals=[Signal.TRACES]) as r:
        await r.consume(make_batch(context=Context(metadata={"x-tenant": ("a", "b")}, tenant="acme")))
        await r.until_idle()
    (message,) = KafkaClient(cluster.bootstrap).read("keys")
    assert message.key() == b"acme"
    assert message.headers() == [("source", b"tests"), ("X-Tenant", b"a"), ("X-Tenant", b"b")]


async def test_same_key_same_partition(cluster: MockCluster) -> None:
    """Messages of a trace stand in one partition, in order."""
    options = {"brokers": cluster.bootstrap, "traces": {"topic": "order"}, "partition_traces_by_id": True}
    async with running(FACTORY, options, signals=[Signal.TRACES]) as r:
        for seed in range(5):
            await r.consume(make_batch(Signal.TRACES, 8, seed=0, attributes={"round": seed}))
            await r.until_idle()
    places: dict[Any, set[Any]] = {}
    rounds: dict[Any, list[Any]] = {}
    for message in KafkaClient(cluster.bootstrap).read("order"):
        places.setdefault(message.key(), set()).add(message.partition())
        rounds.setdefault(message.key(), []).append(
            Batch(Signal.TRACES, message.value() or b"").column(attribute("round"))[0]
        )
    assert all(len(found) == 1 for found in places.values())
    assert all(found == [0, 1, 2, 3, 4] for found in rounds.values())


async def test_what_is_too_large_alone_is_dropped_alone(cluster: MockCluster) -> None:
    """Its neighbours arrive, and it is counted."""
    batch = make_batch(Signal.TRACES, 8)
    batch.set(attribute("long"), [None, None, "x" * 50_000, None, None, None, None, None])
    options = {"brokers": cluster.bootstrap, "traces": {"topic": "large"}, "producer": {"max_message_bytes": 30_000}}
    async with running(FACTORY, options, signals=[Signal.TRACES]) as r:
        await r.consume(batch.copy())
        await r.until_idle()
        assert r.dropped == {"too_large": 1}
        assert r.meter.value("exporter_sent_spans") == 7
    found = [
        Batch(Signal.TRACES, m.value() or b"").column(SPAN_ID) for m in KafkaClient(cluster.bootstrap).read("large")
    ]
    assert sorted(str(one) for ids in found for one in ids) == sorted(
        str(one) for number, one in enumerate(batch.column(SPAN_ID)) if number != 2
    )


async def test_brokers_that_are_down() -> None:
    """Data waits in the queue, the status says so, and at the end what is left is counted."""
    options = {
        "brokers": [f"127.0.0.1:{free_port()}"],
        "timeout": "100ms",
        "retry_on_failure": {**QUICK_RETRY, "max_elapsed_time": "400ms"},
    }
    async with running(FACTORY, options, signals=[Signal.TRACES]) as r:
        await r.consume(make_batch())
        await r.until(lambda: any(status is Status.RECOVERABLE_ERROR for status, _ in r.host.reports))
        await r.until_idle()
        assert r.dropped == {"expired": 10}
        assert r.meter.value("exporter_retries") >= 1


async def test_status_of_the_connection(cluster: MockCluster) -> None:
    """A refused login needs a human; a broker that takes data again is well."""
    async with running(FACTORY, {"brokers": cluster.bootstrap}, signals=[Signal.TRACES]) as r:
        r.exporter._status.troubled(KafkaError(KafkaError._AUTHENTICATION, "wrong password"))
        assert r.host.reports[-1][0] is Status.PERMANENT_ERROR
        assert "wrong password" in r.host.reports[-1][1]
        await r.consume(make_batch())
        await r.until_idle()
        assert r.host.reports[-1][0] is Status.OK
        r.exporter._status.troubled(KafkaError(KafkaError._TRANSPORT, "one connection was closed"))
        assert r.host.reports[-1][0] is Status.OK


async def test_settings_that_the_library_refuses() -> None:
    """A certificate that is none ends the start with a reason, and no secret in it."""
    options = {"tls": {"ca_pem": "no certificate", "cert_pem": "none", "key_pem": "topsecret"}}
    with pytest.raises(StartError, match="the Kafka library refuses the settings") as caught:
        async with running(FACTORY, options):
            pass
    assert "topsecret" not in str(caught.value)


async def test_a_shutdown_that_is_cut_short() -> None:
    """Cancelled while brokers are down, it counts what was lost, and leaves nothing behind."""
    options = {"brokers": [f"127.0.0.1:{free_port()}"]}
    async with running(FACTORY, options, signals=[Signal.TRACES]) as r:
        await r.consume(make_batch())
        await r.until(lambda: r.meter.value("kafka_exporter_outstanding_records") == 1)
        stopping = asyncio.create_task(r.exporter.shutdown())
        await asyncio.sleep(0.01)
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopping
        assert r.dropped == {"shutdown": 10}


def test_configurations_are_checked_without_the_library() -> None:
    """`validate` needs no confluent-kafka, for exporter and receiver."""
    code = """
import sys
sys.modules["confluent_kafka"] = None
from untrace_pipeline.api import Kind
from untrace_pipeline.registry import Registry
for kind in (Kind.EXPORTER, Kind.RECEIVER):
    factory = Registry().load(kind, "kafka")
    factory.config.model_validate({"brokers": "a:1"})
    assert factory.extra == "kafka"
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["kafka-ingest", "kafka-process"])
def test_a_missing_library_is_named_with_its_extra(name: str) -> None:
    """A valid configuration that cannot run ends with code 2, and says what to install."""
    code = """
import sys
sys.modules["confluent_kafka"] = None
from untrace_pipeline.cli import main
sys.exit(main())
"""
    config = Path(__file__).resolve().parents[5] / "configs" / f"{name}.yaml"
    command = [sys.executable, "-c", code, "run", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "kafka cannot be created" in done.stderr
    assert "pip install 'untrace-pipeline[kafka]'" in done.stderr
