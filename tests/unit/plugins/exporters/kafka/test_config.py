"""Options of the exporter `kafka`."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from untrace_plugins.exporters.kafka import FACTORY
from untrace_plugins.exporters.kafka.config import KafkaExporterConfig


def read(**options: Any) -> KafkaExporterConfig:
    return FACTORY.config.model_validate(options)


def test_defaults() -> None:
    """The Collector's, but for acknowledgement by all replicas, idempotence and a short linger."""
    config = read()
    assert (config.traces.topic, config.metrics.topic, config.logs.topic) == ("otlp_spans", "otlp_metrics", "otlp_logs")
    assert config.traces.encoding == "otlp_proto"
    producer = config.producer
    assert (producer.max_message_bytes, producer.compression, producer.flush_max_messages) == (
        1_000_000,
        "none",
        10_000,
    )
    assert (producer.required_acks, producer.with_idempotence, producer.linger) == (-1, True, 0.001)
    assert config.timeout == 5
    assert config.message_key is None


def test_one_option_of_a_signal_keeps_the_others() -> None:
    """Each signal has its own default topic, also where something else is set."""
    config = read(logs={"encoding": "otlp_json"}, metrics={"topic": "m"})
    assert (config.logs.topic, config.logs.encoding, config.metrics.topic) == ("otlp_logs", "otlp_json", "m")


@pytest.mark.parametrize(
    ("written", "acks", "idempotent"), [("all", -1, True), (-1, -1, True), (1, 1, False), (0, 0, False)]
)
def test_acknowledgements(written: Any, acks: int, idempotent: bool) -> None:
    """`all` is -1; with less there is no idempotence."""
    producer = read(producer={"required_acks": written}).producer
    assert (producer.required_acks, producer.with_idempotence) == (acks, idempotent)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"producer": {"required_acks": 1, "idempotent": True}}, "idempotent: true needs required_acks: all"),
        ({"producer": {"required_acks": 2}}, "required_acks"),
        ({"producer": {"compression": "gzip", "compression_params": {"level": 11}}}, "gzip has levels up to 9"),
        ({"producer": {"linger": "10s"}}, r"producer.linger \(10 s\) must not be longer than timeout \(5 s\)"),
        ({"message_key": {"from": "attribute"}}, "from: attribute needs name"),
        ({"message_key": {"from": "tenant", "name": "x"}}, "from: tenant takes no name"),
        (
            {"message_key": {"from": "tenant"}, "partition_traces_by_id": True},
            "either partition_traces_by_id or message_key, not both",
        ),
        (
            {"traces": {"message_key_from_metadata_key": "k"}, "partition_traces_by_id": True},
            "either partition_traces_by_id or traces.message_key_from_metadata_key, not both",
        ),
        (
            {"partition_logs_by_trace_id": True, "partition_logs_by_resource_attributes": True},
            "either partition_logs_by_resource_attributes or partition_logs_by_trace_id, not both",
        ),
        (
            {"metrics": {"message_key_from_metadata_key": "k"}, "partition_metrics_by_resource_attributes": True},
            "either partition_metrics_by_resource_attributes or metrics.message_key_from_metadata_key",
        ),
        ({"record_partitioner": {"sticky_key": {}, "round_robin": {}}}, "either sticky_key or round_robin"),
        ({"record_partitioner": {"least_backup": {}}}, "least_backup"),
        ({"include_metadata_keys": ["X-A", "b"], "sending_queue": {"batch": {}}}, "must include x-a, b: "),
        (
            {
                "traces": {"topic_from_metadata_key": "topic"},
                "message_key": {"from": "metadata", "name": "Key"},
                "sending_queue": {"batch": {"partition": {"metadata_keys": ["topic"]}}},
            },
            "must include key: ",
        ),
        ({"tenant_header": "t", "sending_queue": {"batch": {}}}, "tenant_header and message_key from tenant"),
        ({"message_key": {"from": "tenant"}, "sending_queue": {"batch": {}}}, "batches of several tenants are merged"),
    ],
)
def test_contradictions(options: dict[str, Any], problem: str) -> None:
    """What cannot both be is found before anything runs."""
    with pytest.raises(ValidationError, match=problem):
        read(**options)


def test_merging_goes_with_headers_that_it_keeps() -> None:
    """Headers that batches are kept apart by survive merging, in any case."""
    kept = {"batch": {"partition": {"metadata_keys": ["X-Tenant"]}}}
    config = read(include_metadata_keys=["X-Tenant"], sending_queue=kept)
    assert list(config.metadata_keys()) == ["x-tenant"]
    assert config.include_metadata_keys == ["X-Tenant"]
