"""Exporter, broker, receiver: what goes in comes out, under every option that concerns the way between."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from tests.support.exporters import QUICK_RETRY, running
from tests.support.kafka_client import KafkaClient
from tests.support.peers import KafkaBroker
from tests.support.peers.kafka import PASSWORD, USER
from tests.support.receivers import receiving
from untrace_pipeline.api import Status
from untrace_pipeline.data import Batch, Context, Field, Level, Signal, attribute
from untrace_pipeline.testing import make_batch
from untrace_plugins.exporters.kafka import FACTORY as EXPORTER
from untrace_plugins.receivers.kafka import FACTORY as RECEIVER

pytestmark = pytest.mark.peer

SPAN_ID = Field(Level.ITEM, "span_id")
EARLIEST = {"initial_offset": "earliest"}


def both(address: str, topic: str, **client: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return options of an exporter and a receiver of the same topic, for all signals."""
    signals = [signal.value for signal in Signal]
    out = {"brokers": address, "retry_on_failure": QUICK_RETRY, **client}
    return (
        out | {signal: {"topic": f"{topic}.{signal}"} for signal in signals},
        {"brokers": address, "group_id": topic, **EARLIEST, **client}
        | {signal: {"topics": [f"{topic}.{signal}"]} for signal in signals},
    )


async def exchange(
    sending: dict[str, Any], reading: dict[str, Any], batches: list[Batch], items: int | None = None
) -> list[Batch]:
    """Send batches, and return what the receiver hands on."""
    signals = {batch.signal for batch in batches}
    async with running(EXPORTER, sending, signals=signals) as out:
        for batch in batches:
            await out.consume(batch.copy())
        await out.until_idle(30)
        assert out.dropped == {}
    async with receiving(RECEIVER, reading, signals=signals) as r:
        await r.sink.wait_for_items(items or sum(batch.item_count for batch in batches), timeout=30)
        return list(r.sink.batches)


def contents(batches: list[Batch]) -> Counter[tuple[str, bytes]]:
    return Counter((batch.signal.value, batch.to_otlp()) for batch in batches)


async def test_every_signal_comes_out_as_it_went_in(broker: KafkaBroker, topic: str) -> None:
    """Byte for byte, one message per request, through one group."""
    batches = [make_batch(signal, 9, resources=2, seed=seed) for signal in Signal for seed in range(3)]
    assert contents(await exchange(*both(broker.bootstrap, topic), batches)) == contents(batches)


@pytest.mark.parametrize("signal", list(Signal))
async def test_json_comes_out_as_it_went_in(broker: KafkaBroker, topic: str, signal: Signal) -> None:
    """Also in the encoding that people can read."""
    sending, reading = both(broker.bootstrap, topic)
    sending[signal.value]["encoding"] = reading[signal.value]["encoding"] = "otlp_json"
    batch = make_batch(signal, 9, resources=2)
    (found,) = await exchange(sending, reading, [batch])
    assert found.to_json() == batch.to_json()
    (stored,) = await asyncio.to_thread(KafkaClient(broker.bootstrap).read, f"{topic}.{signal}")
    assert stored.value() == batch.to_json()


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
async def test_compression(broker: KafkaBroker, topic: str, compression: str) -> None:
    """Every codec that Kafka knows."""
    sending, reading = both(broker.bootstrap, topic)
    batches = [make_batch(Signal.TRACES, 50, seed=seed) for seed in range(5)]
    found = await exchange({**sending, "producer": {"compression": compression}}, reading, batches)
    assert contents(found) == contents(batches)


async def test_who_sent_it_comes_along(broker: KafkaBroker, topic: str) -> None:
    """Request headers and tenant reach the second tier; messages of one customer stand in one partition."""
    sending, reading = both(broker.bootstrap, topic)
    sending |= {"include_metadata_keys": ["x-team", "traceparent"], "tenant_header": "tenant"}
    sending["message_key"] = {"from": "tenant"}
    batches = []
    for number in range(12):
        metadata = {"x-team": (f"team-{number}",), "traceparent": (f"00-{number:032}-01",), "authorization": ("no",)}
        context = Context(metadata=metadata, tenant=f"customer-{number % 3}")
        batches.append(make_batch(Signal.TRACES, 2, seed=number, context=context))
    found = await exchange(sending, {**reading, "tenant_header": "tenant"}, batches)
    partitions: dict[str | None, set[str | None]] = {}
    for batch in found:
        (number,) = [n for n, sent in enumerate(batches) if sent.to_otlp() == batch.to_otlp()]
        assert batch.context.tenant == f"customer-{number % 3}"
        assert batch.context.first("x-team") == f"team-{number}"
        assert batch.context.first("traceparent") == f"00-{number:032}-01"
        assert batch.context.first("authorization") is None
        partitions.setdefault(batch.context.tenant, set()).add(batch.context.first("kafka.partition"))
    assert {len(places) for places in partitions.values()} == {1}


async def test_traces_stay_together_and_in_order(broker: KafkaBroker, topic: str) -> None:
    """All spans of a trace come from one partition, in the order in which they were sent."""
    sending, reading = both(broker.bootstrap, topic)
    batches = [make_batch(Signal.TRACES, 8, seed=0, attributes={"round": number}) for number in range(6)]
    # one sender: with several, requests may overtake each other before Kafka sees them
    sending |= {"partition_traces_by_id": True, "sending_queue": {"num_consumers": 1}}
    found = await exchange(sending, reading, batches)
    rounds: dict[Any, list[tuple[Any, Any]]] = {}
    for batch in found:
        (trace,) = {str(value) for value in batch.column(Field(Level.ITEM, "trace_id"))}
        place = batch.context.first("kafka.partition")
        rounds.setdefault(trace, []).append((place, batch.column(attribute("round"))[0]))
    assert all(len({place for place, _ in seen}) == 1 for seen in rounds.values())
    assert all([number for _, number in seen] == list(range(6)) for seen in rounds.values())


async def test_topics_by_attribute_and_by_expression(broker: KafkaBroker, topic: str) -> None:
    """Each team's topic is found by one expression, one of them is left out."""
    sending, reading = both(broker.bootstrap, topic)
    batch = make_batch(Signal.TRACES, 9, resources=3)
    names = [f"{topic}.{team}" for team in ("red", "green", "hidden")]
    batch.set(attribute("kafka.topic", Level.RESOURCE), names)
    reading["traces"] = {"topics": [f"^{topic}\\..*"], "exclude_topics": [".*hidden$"]}
    found = await exchange({**sending, "topic_from_attribute": "kafka.topic"}, reading, [batch], items=6)
    assert {one.context.first("kafka.topic") for one in found} == {f"{topic}.red", f"{topic}.green"}
    assert sum(one.item_count for one in found) == 6


# ----------------------------------------------------------------------- sizes


async def test_large_requests_are_split_before_they_are_sent(broker: KafkaBroker, topic: str) -> None:
    """Everything arrives, in messages that the broker takes."""
    sending, reading = both(broker.bootstrap, topic)
    batch = make_batch(Signal.TRACES, 5000)
    assert batch.byte_size > 4_000_000
    found = await exchange(sending, reading, [batch])
    assert max(one.byte_size for one in found) < 1_000_000
    assert Counter(value for one in found for value in one.column(SPAN_ID)) == Counter(batch.column(SPAN_ID))


async def test_a_topic_that_takes_less_than_we_were_told(
    broker: KafkaBroker, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Small messages whose batch was too large arrive one by one; large ones are split until the topic takes them."""
    client = KafkaClient(broker.bootstrap)
    await asyncio.to_thread(client.create, f"{topic}.traces", 1, max_message_bytes="50000")
    sending, reading = both(broker.bootstrap, topic)
    batches = [make_batch(Signal.TRACES, 20, seed=seed) for seed in range(20)]  # 17 kB each: more than two are too much
    batches.append(make_batch(Signal.TRACES, 200, seed=100))  # 170 kB
    found = await exchange({**sending, "producer": {"linger": "100ms"}}, reading, batches)
    wanted = Counter(value for one in batches for value in one.column(SPAN_ID))
    assert Counter(value for one in found for value in one.column(SPAN_ID)) == wanted
    assert any("max.message.bytes of the topic" in record.getMessage() for record in caplog.records)


async def test_one_item_that_the_topic_does_not_take(broker: KafkaBroker, topic: str) -> None:
    """It is dropped as too large, and its neighbours arrive."""
    client = KafkaClient(broker.bootstrap)
    await asyncio.to_thread(client.create, f"{topic}.traces", 1, max_message_bytes="50000")
    sending, reading = both(broker.bootstrap, topic)
    batch = make_batch(Signal.TRACES, 9)
    noise = "".join(chr(0x4E00 + (n * 7919) % 20000) for n in range(40_000))
    batch.set(attribute("long"), [noise if number == 4 else None for number in range(9)])
    async with running(EXPORTER, sending, signals=[Signal.TRACES]) as out:
        await out.consume(batch.copy())
        await out.until_idle(30)
        assert out.dropped == {"too_large": 1}
    async with receiving(RECEIVER, reading, signals=[Signal.TRACES]) as r:
        await r.sink.wait_for_items(8, timeout=30)


async def test_a_topic_that_must_not_be_made(broker: KafkaBroker, topic: str) -> None:
    """With `allow_auto_topic_creation: false` data waits until somebody makes it."""
    sending, reading = both(broker.bootstrap, topic)
    sending["producer"] = {"allow_auto_topic_creation": False}
    batch = make_batch(Signal.TRACES, 3)
    async with running(EXPORTER, {**sending, "timeout": "500ms"}, signals=[Signal.TRACES]) as out:
        await out.consume(batch.copy())
        await out.until(lambda: any(status is Status.RECOVERABLE_ERROR for status, _ in out.host.reports))
        await asyncio.to_thread(KafkaClient(broker.bootstrap).create, f"{topic}.traces")
        await out.until_idle(60)
        assert out.dropped == {}
    async with receiving(RECEIVER, reading, signals=[Signal.TRACES]) as r:
        await r.sink.wait_for_items(3, timeout=30)


# -------------------------------------------------------------------- security


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def secured(kafka_peer: None, authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A broker with TLS and SASL, whose topics nobody may touch without them."""
    certificate = authority.issue_cert("127.0.0.1")
    key = serialization.load_pem_private_key(certificate.private_key_pem.bytes(), None)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + b"".join(part.bytes() for part in certificate.cert_chain_pems)
    path: Path = tmp_path_factory.mktemp("tls") / "broker.pem"
    path.write_bytes(pem)
    with KafkaBroker(certificate=path) as running_broker:
        yield running_broker


def login(mechanism: str, password: str = PASSWORD) -> dict[str, Any]:
    return {"auth": {"sasl": {"mechanism": mechanism, "username": USER, "password": password}}}


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_sasl(secured: KafkaBroker, topic: str, mechanism: str) -> None:
    """User and password, by each mechanism."""
    batch = make_batch(Signal.TRACES, 3)
    found = await exchange(*both(secured.address("SASL"), topic, **login(mechanism)), [batch])
    assert contents(found) == contents([batch])


async def test_tls(secured: KafkaBroker, authority: trustme.CA, topic: str) -> None:
    """With the authority that signed the broker's certificate, from text and beside those of the system."""
    ca = authority.cert_pem.bytes().decode()
    batch = make_batch(Signal.TRACES, 3)
    for number, tls in enumerate(({"ca_pem": ca}, {"ca_pem": ca, "include_system_ca_certs_pool": True})):
        found = await exchange(*both(secured.address("TLS"), f"{topic}.{number}", tls=tls), [batch])
        assert contents(found) == contents([batch])


async def test_sasl_over_tls(secured: KafkaBroker, topic: str) -> None:
    """Both; without verification it does not matter who signed."""
    options = {"tls": {"insecure_skip_verify": True}, **login("SCRAM-SHA-512")}
    batch = make_batch(Signal.TRACES, 3)
    assert contents(await exchange(*both(secured.address("SASLTLS"), topic, **options), [batch])) == contents([batch])


async def test_a_wrong_password(secured: KafkaBroker, topic: str) -> None:
    """Exporter and receiver say that a human must act, the password stays out of it, and the data waits."""
    sending, reading = both(secured.address("SASL"), topic, **login("PLAIN", "wrong-password"))
    async with (
        running(EXPORTER, {**sending, "timeout": "300ms"}, signals=[Signal.TRACES]) as out,
        receiving(RECEIVER, reading, signals=[Signal.TRACES]) as r,
    ):
        await out.consume(make_batch())
        for host in (out.host, r.host):
            await r.until(lambda host=host: any(status is Status.PERMANENT_ERROR for status, _ in host.reports))  # type: ignore[misc]
            assert not any("wrong-password" in text for _, text in host.reports)
        assert out.exporter.pending_items() == 10
        stopping = asyncio.create_task(out.exporter.shutdown())
        await asyncio.sleep(0.05)
        stopping.cancel()
        await asyncio.wait({stopping})


async def test_an_authority_that_is_not_trusted(secured: KafkaBroker, topic: str) -> None:
    """Nothing is sent to whoever cannot show a certificate that is trusted."""
    other = trustme.CA().cert_pem.bytes().decode()
    sending, _ = both(secured.address("TLS"), topic, tls={"ca_pem": other})
    retry = {**QUICK_RETRY, "max_elapsed_time": "1s"}
    async with running(
        EXPORTER, {**sending, "timeout": "300ms", "retry_on_failure": retry}, signals=[Signal.TRACES]
    ) as out:
        await out.consume(make_batch())
        await out.until_idle(20)
        assert out.dropped == {"expired": 10}
