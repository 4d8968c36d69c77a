"""The upb codec: what it refuses, and fixed fields."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from untrace_pipeline.data import Batch, Field, Level, Signal, attribute
from untrace_pipeline.data.codecs.upb import UpbCodec
from untrace_pipeline.data.codecs.upb_fields import FIELDS
from untrace_pipeline.data.codecs.upb_schema import REQUESTS
from untrace_pipeline.data.fields import READ_ONLY, ZERO_VALUES
from untrace_pipeline.errors import DecodeError
from untrace_pipeline.testing.generate import make_batch, make_request

pytestmark = pytest.mark.usefixtures("each_codec")

METRIC_TYPES = ["gauge", "sum", "histogram", "exponential_histogram", "summary"]


@pytest.mark.parametrize(("name", "size"), [("trace_id", 4), ("trace_id", 8), ("span_id", 16), ("parent_span_id", 7)])
def test_ids_of_a_wrong_length_are_refused(name: str, size: int) -> None:
    """A span id or trace id is empty or complete."""
    request: Any = make_request(Signal.TRACES, 2)
    setattr(request.resource_spans[0].scope_spans[0].spans[1], name, b"x" * size)
    with pytest.raises(DecodeError, match=f"{name} of a span has {size} bytes"):
        Batch(Signal.TRACES, request.SerializeToString()).validate()


def test_ids_of_links_records_and_exemplars_are_checked_too() -> None:
    """Wrong ids are refused wherever the protocol has ids."""
    traces: Any = make_request(Signal.TRACES, 1)
    traces.resource_spans[0].scope_spans[0].spans[0].links.add(span_id=b"x")
    logs: Any = make_request(Signal.LOGS, 1)
    logs.resource_logs[0].scope_logs[0].log_records[0].trace_id = b"x"
    metrics: Any = make_request(Signal.METRICS, 1)
    metrics.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points[0].exemplars.add(trace_id=b"x")
    for signal, request in ((Signal.TRACES, traces), (Signal.LOGS, logs), (Signal.METRICS, metrics)):
        with pytest.raises(DecodeError, match="has 1 bytes"):
            Batch(signal, request.SerializeToString()).validate()


@pytest.mark.parametrize("signal", list(Signal))
def test_text_that_is_not_utf8_is_refused(signal: Signal) -> None:
    """Protobuf strings are UTF-8."""
    payload = make_request(signal, 1, attributes={"key": "SENTINEL"}).SerializeToString()
    with pytest.raises(DecodeError, match="not an OTLP"):
        Batch(signal, payload.replace(b"SENTINEL", b"\xff\xfe\xfd\xfc\xff\xfe\xfd\xfc")).validate()


def test_too_deep_values_are_refused() -> None:
    """A value nested deeper than protobuf reads is a DecodeError, not a crash."""
    value = b"\x0a\x01x"
    for _ in range(150):
        value = b"\x0a" + _sized(value)
        value = b"\x2a" + _sized(value)
    key_value = b"\x0a\x01k\x12" + _sized(value)
    payload = b"\x0a" + _sized(b"\x0a" + _sized(b"\x0a" + _sized(key_value)))
    assert Batch(Signal.TRACES, payload).item_count == 0
    with pytest.raises(DecodeError):
        Batch(Signal.TRACES, payload).validate()


def _sized(body: bytes) -> bytes:
    size, out = len(body), bytearray()
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*out, size]) + body


@pytest.mark.parametrize("cut", [1, 5, 300])
def test_truncated_request_names_the_place(cut: int) -> None:
    """A request that ends early is refused with an offset, by the count and by the table."""
    payload = make_request(Signal.TRACES, 3).SerializeToString()[:-cut]
    codec = UpbCodec()
    for read in (codec.count, codec.table):
        with pytest.raises(DecodeError) as caught:
            read(Signal.TRACES, payload)
        assert caught.value.offset is not None


NEW_VALUES: dict[str, Any] = {
    "body": {"a": [1]},
    "value": 7,
    "count": 7,
    "sum": 7.5,
    "is_monotonic": True,
    "aggregation_temporality": 1,
    **{name: 5 for name, zero in ZERO_VALUES.items() if zero == 0},
    **{name: "new" for name, zero in ZERO_VALUES.items() if zero == ""},
    **dict.fromkeys(("span_id", "parent_span_id"), b"\x01" * 8),
    "trace_id": b"\x02" * 16,
}
WRITABLE = [
    (signal, Field(level, name)) for (signal, level), names in FIELDS.items() for name in names if name not in READ_ONLY
]


@pytest.mark.parametrize(("signal", "field"), WRITABLE, ids=str)
def test_fixed_fields_read_what_was_set(signal: Signal, field: Field) -> None:
    """Each fixed field reads its new value through the overlay and after the rewrite; removed, it reads as absent."""
    request: Any = make_request(signal, 5)
    if signal is Signal.TRACES:
        request.resource_spans[0].scope_spans[0].spans[0].links.add()
    batch = Batch(signal, request.SerializeToString())
    kinds = batch.column(Field(Level.METRIC, "type"), Level.ITEM) if signal is Signal.METRICS else [None] * 5
    rows = [row for row in range(batch.row_count(field.level)) if _has(field.name, kinds[row % 5])]
    assert rows
    value = NEW_VALUES[field.name]
    batch.set(field, [value] * len(rows), rows)
    assert batch.columns([field], rows=rows) == [[value] * len(rows)]
    batch.to_otlp()
    assert batch.columns([field], rows=rows) == [[value] * len(rows)]
    batch.remove(field, rows)
    batch.to_otlp()
    empty = 0 if field.name == "aggregation_temporality" else False if field.name == "is_monotonic" else None
    zeros = {empty, ZERO_VALUES.get(field.name), 0 if field.name in ("count", "sum") else None}
    assert set(batch.columns([field], rows=rows)[0]) <= zeros


def _has(name: str, kind: object) -> bool:
    match name:
        case "value":
            return kind in ("gauge", "sum")
        case "count" | "sum":
            return kind not in ("gauge", "sum")
        case "is_monotonic":
            return kind == "sum"
        case "aggregation_temporality":
            return kind in ("sum", "histogram", "exponential_histogram")
    return True


def test_metric_fields_by_type() -> None:
    """A field that a type of metric does not have reads as None there."""
    batch = make_batch(Signal.METRICS, 5)
    names = ["type", "aggregation_temporality", "is_monotonic"]
    kinds, temporality, monotonic = batch.columns([Field(Level.METRIC, name) for name in names])
    assert kinds == METRIC_TYPES
    assert temporality == [None, 2, 1, 1, None]
    assert monotonic == [None, True, None, None, None]
    values, counts, sums = batch.columns([Field(Level.ITEM, name) for name in ("value", "count", "sum")])
    assert [value is None for value in values] == [False, False, True, True, True]
    assert counts == [None, None, 3, 2, 2]
    assert sums == [None, None, 1.5, 3.0, 3.0]


def test_duration_follows_pending_edits() -> None:
    """The duration of a span is that of its edited times."""
    batch = make_batch(Signal.TRACES, 2)
    batch.set(Field(Level.ITEM, "start_time_unix_nano"), [10, 20])
    batch.set(Field(Level.ITEM, "end_time_unix_nano"), [15, 50])
    assert batch.column(Field(Level.ITEM, "duration_nanos")) == [5, 30]


@pytest.mark.parametrize(
    ("signal", "field"),
    [(Signal.TRACES, Field(Level.ITEM, "duration_nanos")), (Signal.METRICS, Field(Level.METRIC, "type"))],
)
def test_derived_fields_cannot_be_set(signal: Signal, field: Field) -> None:
    """Fields that follow from others are refused at once."""
    batch = make_batch(signal, 2)
    with pytest.raises(ValueError, match="cannot be set"):
        batch.set(field, [1, 2])


def test_unknown_fields_are_a_key_error() -> None:
    """A fixed field that the signal lacks is refused on reading and on setting."""
    batch = make_batch(Signal.LOGS, 1)
    field = Field(Level.ITEM, "kind")
    with pytest.raises(KeyError, match=r"logs have no field item\.kind"):
        batch.column(field)
    with pytest.raises(KeyError, match=r"logs have no field item\.kind"):
        batch.set(field, [1])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (Field(Level.ITEM, "name"), 5),
        (Field(Level.ITEM, "kind"), "client"),
        (Field(Level.ITEM, "flags"), 2**40),
        (Field(Level.ITEM, "trace_id"), b"short"),
        (attribute("a"), object()),
        (Field(Level.ITEM, "attributes"), {"a": object()}),
        (Field(Level.ITEM, "attributes"), "text"),
    ],
)
def test_values_that_do_not_fit_name_the_field(field: Field, value: Any) -> None:
    """A value of a wrong type or size is a ValueError with the field's name when the bytes are asked for."""
    batch = make_batch(Signal.TRACES, 1)
    batch.set(field, [value])
    with pytest.raises(ValueError, match=field.name):
        batch.to_otlp()


def test_a_value_on_a_point_without_one_is_refused() -> None:
    """A number cannot be given to a histogram."""
    batch = make_batch(Signal.METRICS, 5)
    batch.set(Field(Level.ITEM, "value"), [1.0] * 5)
    with pytest.raises(ValueError, match=r"item\.value: this kind of metric"):
        batch.to_otlp()


def test_every_signal_has_its_levels() -> None:
    """Levels that a signal does not have have no rows."""
    counts = {signal: [make_batch(signal, 4, resources=2).row_count(level) for level in Level] for signal in REQUESTS}
    assert counts == {
        Signal.TRACES: [2, 2, 0, 4, 4, 0],
        Signal.LOGS: [2, 2, 0, 4, 0, 0],
        Signal.METRICS: [2, 2, 4, 4, 0, 0],
    }


def test_validation_of_many_empty_items_keeps_no_objects() -> None:
    """A request of many empty items is validated and counted without an object of Python for each."""
    tracemalloc.start()
    batch = Batch(Signal.TRACES, b"\x0a" + _sized(b"\x12" + _sized(b"\x12\x00" * 100_000)))
    before = tracemalloc.get_traced_memory()[0]
    batch.validate()
    assert batch.item_count == 100_000
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert kept < 100_000
