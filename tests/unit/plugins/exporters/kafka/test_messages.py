"""From batches to messages."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from untrace_pipeline.api import OversizeError
from untrace_pipeline.data import Batch, Context, Field, Level, Signal, attribute
from untrace_pipeline.testing import make_batch, make_request
from untrace_plugins.exporters.kafka import FACTORY
from untrace_plugins.exporters.kafka.messages import FRAMING_BYTES, Message, Packer

TRACE_ID = Field(Level.ITEM, "trace_id")
SPAN_ID = Field(Level.ITEM, "span_id")


def pack(batch: Batch, **options: Any) -> list[Message]:
    return Packer(FACTORY.config.model_validate(options)).pack(batch)


def read(message: Message, signal: Signal = Signal.TRACES) -> Batch:
    return Batch(signal, message.value)


def all_span_ids(messages: list[Message]) -> Counter[Any]:
    return Counter(value for message in messages for value in read(message).column(SPAN_ID))


def of(*tenants: str, metadata: dict[str, tuple[str, ...]] | None = None) -> Context:
    return Context(metadata=metadata or {}, tenant=tenants[0] if tenants else None)


@pytest.mark.parametrize(
    ("signal", "topic"),
    [(Signal.TRACES, "otlp_spans"), (Signal.METRICS, "otlp_metrics"), (Signal.LOGS, "otlp_logs")],
)
def test_one_request_is_one_message(signal: Signal, topic: str) -> None:
    """Byte for byte, without key and headers, on the topic of its signal."""
    batch = make_batch(signal, 7, resources=2)
    (message,) = pack(batch)
    assert (message.topic, message.key, message.headers, message.items) == (topic, None, [], 7)
    assert message.value == batch.to_otlp()


@pytest.mark.parametrize("signal", list(Signal))
def test_json(signal: Signal) -> None:
    """`otlp_json` is one request as OTLP/JSON."""
    batch = make_batch(signal, 7)
    (message,) = pack(batch, **{signal.value: {"encoding": "otlp_json"}})
    assert message.value == batch.to_json()


# ---------------------------------------------------------------------- topics


def test_topic_from_a_header_wins() -> None:
    """Before the resource attribute, and before the configured topic; without the header they count."""
    options = {"traces": {"topic": "t", "topic_from_metadata_key": "X-Topic"}, "topic_from_attribute": "service.name"}
    batch = make_batch(Signal.TRACES, 4, context=of(metadata={"x-topic": ("from-header",)}))
    assert [message.topic for message in pack(batch, **options)] == ["from-header"]
    assert [message.topic for message in pack(make_batch(Signal.TRACES, 4), **options)] == ["service-0"]


def test_topic_from_a_resource_attribute() -> None:
    """Resources go where their attribute says, those without to the configured topic; every span once."""
    request = make_request(Signal.TRACES, 9, resources=3)
    request.resource_spans[1].resource.attributes[0].key = "other.name"  # type: ignore[attr-defined]
    batch = Batch(Signal.TRACES, request.SerializeToString())
    messages = pack(batch, topic_from_attribute="service.name", traces={"topic": "rest"})
    assert {message.topic: message.items for message in messages} == {"service-0": 3, "rest": 3, "service-2": 3}
    assert all_span_ids(messages) == Counter(batch.column(SPAN_ID))


# ------------------------------------------------------------------------ keys


@pytest.mark.parametrize("options", [{"partition_traces_by_id": True}, {"message_key": {"from": "trace_id"}}])
def test_traces_by_id(options: dict[str, Any]) -> None:
    """One message per trace with its id in hex as the key, as the Collector writes it; every span once."""
    batch = make_batch(Signal.TRACES, 30, resources=2)
    messages = pack(batch, **options)
    assert len(messages) == len(set(batch.column(TRACE_ID)))
    assert all_span_ids(messages) == Counter(batch.column(SPAN_ID))
    for message in messages:
        assert {value.hex().encode() for value in read(message).column(TRACE_ID)} == {message.key}  # type: ignore[union-attr]


@pytest.mark.parametrize("options", [{"partition_logs_by_trace_id": True}, {"message_key": {"from": "trace_id"}}])
def test_logs_by_trace_id(options: dict[str, Any]) -> None:
    """Records without a trace go into a message without a key."""
    batch = make_batch(Signal.LOGS, 6)
    batch.set(TRACE_ID, [b"", b"a" * 16, b"b" * 16, b"", b"a" * 16, b""])
    found = {message.key: message.items for message in pack(batch, **options)}
    assert found == {None: 3, b"a".hex().encode() * 16: 2, b"b".hex().encode() * 16: 1}


def test_metrics_have_no_trace() -> None:
    """`message_key: {from: trace_id}` leaves metrics whole and without a key."""
    (message,) = pack(make_batch(Signal.METRICS, 6, resources=2), message_key={"from": "trace_id"})
    assert message.key is None


@pytest.mark.parametrize("signal", [Signal.METRICS, Signal.LOGS])
def test_by_resource(signal: Signal) -> None:
    """One message per resource; equal attributes make equal keys, whatever their order."""
    option = {f"partition_{signal}_by_resource_attributes": True}
    batch = make_batch(signal, 8, resources=2)
    first, second = pack(batch, **option)
    assert first.items == second.items == 4
    assert first.key is not None
    assert first.key != second.key
    turned = make_request(signal, 4)
    groups = turned.resource_logs if signal is Signal.LOGS else turned.resource_metrics  # type: ignore[attr-defined]
    groups[0].resource.attributes.reverse()
    (same,) = pack(Batch(signal, turned.SerializeToString()), **option)
    assert same.key == first.key


def test_resources_with_odd_values_have_keys() -> None:
    """Bytes, maps and lists in resource attributes do not disturb."""
    odd = {"bytes": b"\xff", "map": {"a": [1, 2.5, None]}, "yes": True}
    (message,) = pack(make_batch(Signal.LOGS, 2, resource=odd), partition_logs_by_resource_attributes=True)
    assert message.key
    assert len(message.key) == 16


def test_key_from_an_attribute() -> None:
    """The item's own attribute, else its resource's; lists and empty values make no key."""
    batch = make_batch(Signal.TRACES, 7, resource={"customer.id": "of the resource"})
    batch.set(attribute("customer.id"), ["acme", 42, None, True, 1.5, ["a"], ""])
    found = {
        message.key: message.items for message in pack(batch, message_key={"from": "attribute", "name": "customer.id"})
    }
    assert found == {b"acme": 1, b"42": 1, b"of the resource": 1, b"true": 1, b"1.5": 1, None: 2}


def test_key_from_the_tenant_and_from_a_header() -> None:
    """Whole batches keep together; without a tenant or header there is no key."""
    tenant = {"message_key": {"from": "tenant"}}
    assert [m.key for m in pack(make_batch(context=of("acme")), **tenant)] == [b"acme"]
    assert [m.key for m in pack(make_batch(), **tenant)] == [None]
    context = of(metadata={"x-customer": ("first", "second")})
    for option in (
        {"message_key": {"from": "metadata", "name": "X-Customer"}},
        {"traces": {"message_key_from_metadata_key": "X-Customer"}},
    ):
        assert [m.key for m in pack(make_batch(context=context), **option)] == [b"first"]
        assert [m.key for m in pack(make_batch(), **option)] == [None]


def test_key_and_topic_together() -> None:
    """Both split: spans of one trace on two topics are two messages with one key."""
    batch = make_batch(Signal.TRACES, 4, resources=2)
    batch.set(TRACE_ID, [b"t" * 16] * 4)
    messages = pack(batch, partition_traces_by_id=True, topic_from_attribute="service.name")
    assert [(m.topic, m.key, m.items) for m in messages] == [
        ("service-0", b"74" * 16, 2),
        ("service-1", b"74" * 16, 2),
    ]


# --------------------------------------------------------------------- headers


def test_headers() -> None:
    """Fixed ones, then request headers by the names that were configured, with all their values, then the tenant."""
    metadata = {"x-tenant": ("a", "b"), "traceparent": ("00-1-2-01",), "authorization": ("secret",)}
    messages = pack(
        make_batch(context=of("acme", metadata=metadata)),
        record_headers={"source": "tests"},
        include_metadata_keys=["X-Tenant", "traceparent", "absent"],
        tenant_header="tenant",
    )
    assert messages[0].headers == [
        ("source", b"tests"),
        ("X-Tenant", b"a"),
        ("X-Tenant", b"b"),
        ("traceparent", b"00-1-2-01"),
        ("tenant", b"acme"),
    ]


# ----------------------------------------------------------------------- sizes


@pytest.mark.parametrize("encoding", ["otlp_proto", "otlp_json"])
def test_large_requests_become_several_messages(encoding: str) -> None:
    """None is larger than allowed, with everything that counts; no span is lost or repeated."""
    batch = make_batch(Signal.TRACES, 200, resources=3)
    options = {"traces": {"encoding": encoding}, "producer": {"max_message_bytes": 20_000}}
    messages = pack(batch, record_headers={"name": "x" * 1000}, **options)
    assert len(messages) >= batch.byte_size // 20_000
    assert max(message.byte_size for message in messages) <= 20_000
    assert all(message.byte_size >= len(message.value) + 1000 + FRAMING_BYTES for message in messages)
    read_back = [
        m.value if encoding == "otlp_proto" else Batch.from_json(Signal.TRACES, m.value).to_otlp() for m in messages
    ]
    found = Counter(value for data in read_back for value in Batch(Signal.TRACES, data).column(SPAN_ID))
    assert found == Counter(batch.column(SPAN_ID))
    assert sum(message.items for message in messages) == 200


def test_parts_of_a_large_trace_keep_its_key() -> None:
    """So they stay in one partition."""
    batch = make_batch(Signal.TRACES, 60)
    batch.set(TRACE_ID, [b"t" * 16] * 60)
    messages = pack(batch, partition_traces_by_id=True, producer={"max_message_bytes": 20_000})
    assert len(messages) > 1
    assert {message.key for message in messages} == {b"74" * 16}


@pytest.mark.parametrize("encoding", ["otlp_proto", "otlp_json"])
def test_an_item_that_is_too_large_alone(encoding: str) -> None:
    """Nothing is sent then; the delivery cuts the request until the item stands alone."""
    batch = make_batch(Signal.TRACES, 5)
    batch.set(attribute("long"), ["x" * 30_000, None, None, None, None])
    options = {"traces": {"encoding": encoding}, "producer": {"max_message_bytes": 20_000}}
    with pytest.raises(OversizeError, match=r"producer\.max_message_bytes is 20000"):
        pack(batch, **options)


def test_what_is_decoded_is_not_kept() -> None:
    """The request of the caller holds no decoded form afterwards: it waits in memory."""
    batch = Batch(Signal.TRACES, make_batch(Signal.TRACES, 5).to_otlp())
    pack(batch, partition_traces_by_id=True)
    assert batch._request.table is None
