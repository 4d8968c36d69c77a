"""Our exporter and receiver beside the Collector's: the same YAML, the same messages, one consumer group."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.collector.harness import Case, input_items, send
from tests.support.kafka_client import KafkaClient
from tests.support.peers import (
    Collector,
    ConfiguredProcess,
    Daemon,
    KafkaBroker,
    collector_binary,
    peer_or_skip,
)
from tests.support.peers.canonical import (
    SignalName,
    canonical_items,
    describe_difference,
    parse_json,
    parse_proto,
    read_framed,
)
from untrace_pipeline.data import Batch, Field, Level, Signal
from untrace_pipeline.testing import make_batch

pytestmark = [pytest.mark.peer, pytest.mark.timeout(300)]

SIGNALS: tuple[SignalName, ...] = ("traces", "metrics", "logs")
CASE = Case("kafka", "kafka")
SECONDS = 60.0
SUBJECTS: dict[str, type[ConfiguredProcess]] = {"ours": Daemon, "theirs": Collector}
TRACE_ID = Field(Level.ITEM, "trace_id")


@pytest.fixture(scope="module", autouse=True)
def _collector() -> None:
    with peer_or_skip():
        collector_binary(build=False)


def writer(broker: KafkaBroker, topic: str, encoding: str = "otlp_proto", **options: Any) -> dict[str, Any]:
    """Return a configuration that writes what it is sent to a topic per signal."""
    topics = {signal: {"topic": f"{topic}.{signal}", "encoding": encoding} for signal in SIGNALS}
    protocols = {"grpc": {"endpoint": "127.0.0.1:${env:KAFKA_PORT}", "include_metadata": True}}
    return {
        "receivers": {"otlp": {"protocols": protocols}},
        "exporters": {"kafka": {"brokers": [broker.bootstrap], **topics, **options}},
        "service": {"pipelines": {signal: {"receivers": ["otlp"], "exporters": ["kafka"]} for signal in SIGNALS}},
    }


def reader(broker: KafkaBroker, topic: str, encoding: str = "otlp_proto", **options: Any) -> dict[str, Any]:
    """Return a configuration that reads a topic per signal from its beginning into files."""
    topics = {signal: {"topics": [f"{topic}.{signal}"], "encoding": encoding} for signal in SIGNALS}
    kafka = {"brokers": [broker.bootstrap], "group_id": topic, "initial_offset": "earliest", **topics, **options}
    return {
        "receivers": {"kafka": kafka},
        "exporters": {
            f"file/{signal}": {"path": f"{signal}.bin", "format": "proto", "flush_interval": "100ms"}
            for signal in SIGNALS
        },
        "service": {
            "pipelines": {signal: {"receivers": ["kafka"], "exporters": [f"file/{signal}"]} for signal in SIGNALS}
        },
    }


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)


def records(directory: Path) -> Counter[Any]:
    """Return the items in the files of a reader."""
    found: Counter[Any] = Counter()
    for signal in SIGNALS:
        bodies = read_framed(directory / f"{signal}.bin")
        found += canonical_items(signal, (parse_proto(signal, body) for body in bodies))
    return found


def stored(broker: KafkaBroker, topic: str, encoding: str) -> Counter[Any]:
    """Return the items in the messages of a topic."""
    client, found = KafkaClient(broker.bootstrap), Counter[Any]()
    for signal in SIGNALS:
        values = [message.value() or b"" for message in client.read(f"{topic}.{signal}")]
        if encoding == "otlp_json":
            found += canonical_items(signal, (parse_json(signal, value.decode()) for value in values))
        else:
            found += canonical_items(signal, (parse_proto(signal, value) for value in values))
    return found


@pytest.mark.parametrize("encoding", ["otlp_proto", "otlp_json"])
@pytest.mark.parametrize(("out", "back"), [("ours", "theirs"), ("theirs", "ours")])
def test_one_reads_what_the_other_wrote(
    broker: KafkaBroker, topic: str, tmp_path: Path, out: str, back: str, encoding: str
) -> None:
    """All signals, in both encodings: nothing lost, nothing changed, in the topic and behind the receiver."""
    wanted = input_items(CASE)
    with SUBJECTS[out](writer(broker, topic, encoding), directory=tmp_path / "out") as process:
        assert set(send(CASE, process.endpoint("KAFKA_PORT"))) == {"OK"}
        until(lambda: all(_ends(broker, topic).values()))
    assert not describe_difference(stored(broker, topic, encoding), wanted)
    with SUBJECTS[back](reader(broker, topic, encoding), directory=tmp_path / "back"):
        until(lambda: records(tmp_path / "back").total() >= wanted.total())
    assert not describe_difference(records(tmp_path / "back"), wanted)


def _ends(broker: KafkaBroker, topic: str) -> dict[str, int]:
    client = KafkaClient(broker.bootstrap)
    known = client.topics()
    names = [f"{topic}.{signal}" for signal in SIGNALS]
    return {name: sum(client.ends(name).values()) if name in known else 0 for name in names}


def test_a_trace_goes_where_the_collector_puts_it(broker: KafkaBroker, topic: str, tmp_path: Path) -> None:
    """The same key, and the same partition for the same key: both can write to one topic."""
    client = KafkaClient(broker.bootstrap)
    client.create(f"{topic}.traces", 8)
    batch = make_batch(Signal.TRACES, 200)
    traces = {value.hex().encode() for value in batch.column(TRACE_ID) if isinstance(value, bytes)}
    places: dict[str, set[tuple[Any, Any]]] = {}
    for name, subject in SUBJECTS.items():
        before = sum(client.ends(f"{topic}.traces").values())
        with subject(writer(broker, topic, partition_traces_by_id=True), directory=tmp_path / name) as process:
            _send(process, batch)
            until(lambda before=before: sum(client.ends(f"{topic}.traces").values()) >= before + len(traces))  # type: ignore[misc]
        places[name] = {(message.key(), message.partition()) for message in client.read(f"{topic}.traces")}
    assert {key for key, _ in places["ours"]} == traces
    assert places["ours"] == places["theirs"]  # what theirs added changed nothing
    assert len({partition for _, partition in places["ours"]}) == 8


def test_headers_come_across(broker: KafkaBroker, topic: str, tmp_path: Path) -> None:
    """Metadata that one writes as headers the other extracts, as the same resource attributes."""
    extraction = {"header_extraction": {"extract_headers": True, "headers": ["x-team"]}}
    found: dict[str, Any] = {}
    for out, back in (("ours", "theirs"), ("theirs", "ours")):
        name = f"{topic}.{out}"
        config = writer(broker, name, include_metadata_keys=["x-team"])
        with SUBJECTS[out](config, directory=tmp_path / f"{out}-out") as process:
            _send(process, make_batch(Signal.TRACES, 3), metadata=(("x-team", "red"),))
            until(lambda name=name: bool(_ends(broker, name)[f"{name}.traces"]))  # type: ignore[misc]
        directory = tmp_path / f"{out}-back"
        with SUBJECTS[back](reader(broker, name, **extraction), directory=directory):
            until(lambda directory=directory: records(directory).total() >= 3)  # type: ignore[misc]
        (body,) = read_framed(directory / "traces.bin")
        resource = parse_proto("traces", body).resource_spans[0].resource  # type: ignore[attr-defined]
        found[back] = {each.key: each.value.string_value for each in resource.attributes}
    assert found["ours"]["kafka.header.x-team"] == "red"
    assert found["ours"] == found["theirs"]


def test_both_in_one_group(broker: KafkaBroker, topic: str, tmp_path: Path) -> None:
    """They divide the partitions of a topic, and each message is read by one of them."""
    client = KafkaClient(broker.bootstrap)
    for signal in SIGNALS:
        client.create(f"{topic}.{signal}", 4)
    quick = {"heartbeat_interval": "500ms", "session_timeout": "6s"}
    directories = {name: tmp_path / name for name in SUBJECTS}
    written = 0

    def write_until(holds: Callable[[], bool]) -> None:
        nonlocal written
        deadline = time.monotonic() + SECONDS
        while not holds() and time.monotonic() < deadline:
            for partition in range(4):
                values = [make_batch(Signal.TRACES, 1, seed=written + n).to_otlp() for n in range(5)]
                client.produce(f"{topic}.traces", values, partition)
                written += 5
            time.sleep(0.2)

    def read(name: str) -> int:
        return records(directories[name]).total()

    with Collector(reader(broker, topic, **quick), directory=directories["theirs"]):
        write_until(lambda: read("theirs") > 20)
        with Daemon(reader(broker, topic, **quick), directory=directories["ours"]):
            write_until(lambda: read("ours") > 20)
            until(lambda: read("ours") + read("theirs") >= written)
    assert read("ours") > 20
    both = records(directories["ours"]) + records(directories["theirs"])
    sent = canonical_items(
        "traces", (parse_proto("traces", make_batch(Signal.TRACES, 1, seed=n).to_otlp()) for n in range(written))
    )
    assert not describe_difference(both, sent)


def _send(process: ConfiguredProcess, batch: Batch, metadata: tuple[tuple[str, str], ...] = ()) -> None:
    import grpc  # noqa: PLC0415

    with grpc.insecure_channel(process.endpoint("KAFKA_PORT")) as channel:
        export = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        export(batch.to_otlp(), timeout=20, metadata=metadata)
