"""From messages to batches."""

from __future__ import annotations

from typing import Any

import pytest

from untrace_pipeline.api import DecodeError
from untrace_pipeline.data import Level, Signal, attribute
from untrace_pipeline.testing import make_batch
from untrace_plugins.receivers.kafka import FACTORY
from untrace_plugins.receivers.kafka.decode import Decoder
from untrace_plugins.receivers.kafka.partition import Record


def decoder(signals: tuple[Signal, ...] = tuple(Signal), **options: Any) -> Decoder:
    return Decoder(FACTORY.config.model_validate(options), signals)


def record(topic: str, value: bytes, *headers: tuple[str, bytes | None]) -> Record:
    return Record(topic, 3, 77, value, headers)


@pytest.mark.parametrize("signal", list(Signal))
def test_both_encodings(signal: Signal) -> None:
    """A message is a request, of the signal that its topic holds."""
    batch = make_batch(signal, 5)
    topics = {signal.value: {"topics": ["json"], "encoding": "otlp_json"}}
    from_json = decoder(**topics).decode(record("json", batch.to_json()))
    topic = {"traces": "otlp_spans", "metrics": "otlp_metrics", "logs": "otlp_logs"}[signal]
    from_proto = decoder().decode(record(topic, batch.to_otlp()))
    for found in (from_json, from_proto):
        assert (found.signal, found.item_count) == (signal, 5)
        assert found.to_json() == batch.to_json()


def test_metadata() -> None:
    """Where a message came from, and its headers, are what request headers are elsewhere; names in lower case."""
    value = make_batch().to_otlp()
    headers = [("X-Tenant", b"a"), ("x-tenant", b"b"), ("odd", b"\xff"), ("empty", None)]
    context = decoder().decode(record("otlp_spans", value, *headers)).context
    assert context.metadata == {
        "kafka.topic": ("otlp_spans",),
        "kafka.partition": ("3",),
        "kafka.offset": ("77",),
        "x-tenant": ("a", "b"),
        "odd": ("\ufffd",),
        "empty": ("",),
    }
    assert (context.transport, context.peer, context.tenant) == ("kafka", "otlp_spans[3]", None)


def test_tenant() -> None:
    """The header that is named says whose data it is; without it there is no tenant."""
    with_tenant = decoder(tenant_header="X-Tenant")
    value = make_batch().to_otlp()
    assert with_tenant.decode(record("otlp_spans", value, ("x-tenant", b"acme"))).context.tenant == "acme"
    assert with_tenant.decode(record("otlp_spans", value)).context.tenant is None


def test_headers_as_resource_attributes() -> None:
    """Named ones, exactly, with the Collector's prefix; the first of several; none where they are absent."""
    options = {"header_extraction": {"extract_headers": True, "headers": ["region", "absent", "Team"]}}
    value = make_batch(Signal.TRACES, 4, resources=2).to_otlp()
    headers = [("region", b"eu"), ("region", b"us"), ("team", b"wrong case")]
    batch = decoder(**options).decode(record("otlp_spans", value, *headers))
    assert batch.column(attribute("kafka.header.region", Level.RESOURCE)) == ["eu", "eu"]
    for name in ("absent", "Team", "team"):
        assert batch.column(attribute(f"kafka.header.{name}", Level.RESOURCE)) == [None, None]
    off = decoder(header_extraction={"headers": ["region"]}).decode(record("otlp_spans", value, *headers))
    assert off.column(attribute("kafka.header.region", Level.RESOURCE)) == [None, None]


@pytest.mark.parametrize("value", [b"\xff\xff", b"{", b"hello"])
@pytest.mark.parametrize("encoding", ["otlp_proto", "otlp_json"])
def test_what_is_no_otlp(value: bytes, encoding: str) -> None:
    """It is found here, before it could spoil others that it is merged with."""
    with pytest.raises(DecodeError):
        decoder(traces={"topics": ["t"], "encoding": encoding}).decode(record("t", value))


def test_only_topics_of_signals_with_a_pipeline() -> None:
    """Others are not read: there would be nobody to take them."""
    only = decoder((Signal.LOGS,), logs={"topics": ["a", "^b-.*"], "exclude_topics": ["^b-x$"]})
    assert (only.subscription, only.excluded) == (["a", "^b-.*"], ["^b-x$"])
    assert only.signal_of("b-1") is Signal.LOGS
    with pytest.raises(DecodeError, match="was not asked for"):
        only.decode(record("otlp_spans", b""))
