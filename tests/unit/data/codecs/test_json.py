"""OTLP/JSON: the exact text, what is accepted, and how refusals read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from untrace_pipeline.data import Batch, Field, Level, Signal, attribute
from untrace_pipeline.data.codecs.json_read import MAX_NODES
from untrace_pipeline.data.codecs.upb_schema import REQUESTS
from untrace_pipeline.errors import DecodeError
from untrace_pipeline.testing.generate import make_batch, to_any_value

pytestmark = pytest.mark.usefixtures("each_codec")


def span_json(**span: Any) -> bytes:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()


def read_span(**span: Any) -> Any:
    payload = Batch.from_json(Signal.TRACES, span_json(**span)).to_otlp()
    return REQUESTS[Signal.TRACES].FromString(payload).resource_spans[0].scope_spans[0].spans[0]


def attribute_json(value: Any) -> bytes:
    return span_json(attributes=[{"key": "k", "value": value}])


def test_span_is_written_as_the_collector_does() -> None:
    """Ids in hex, 64-bit numbers as text, enums as numbers, zero values left out, single messages always there."""
    request: Any = REQUESTS[Signal.TRACES]()
    span = (
        request.resource_spans.add()
        .scope_spans.add()
        .spans.add(
            trace_id=bytes(range(16)),
            parent_span_id=bytes(8),
            name="chat",
            kind=3,
            flags=257,
            start_time_unix_nano=2**63,
        )
    )
    for key, value in {
        "i": -5,
        "d": 0.5,
        "n": float("-inf"),
        "b": b"\xff\x00",
        "l": [True, None],
        "m": {"": "x"},
    }.items():
        span.attributes.add(key=key, value=to_any_value(value))
    assert Batch(Signal.TRACES, request.SerializeToString()).to_json().decode() == (
        '{"resourceSpans":[{"resource":{},"scopeSpans":[{"scope":{},"spans":[{'
        '"traceId":"000102030405060708090a0b0c0d0e0f","flags":257,"name":"chat","kind":3,'
        '"startTimeUnixNano":"9223372036854775808","attributes":['
        '{"key":"i","value":{"intValue":"-5"}},{"key":"d","value":{"doubleValue":0.5}},'
        '{"key":"n","value":{"doubleValue":"-Infinity"}},{"key":"b","value":{"bytesValue":"/wA="}},'
        '{"key":"l","value":{"arrayValue":{"values":[{"boolValue":true},{}]}}},'
        '{"key":"m","value":{"kvlistValue":{"values":[{"value":{"stringValue":"x"}}]}}}],'
        '"status":{}}]}]}]}'
    )


def test_points_are_written_as_the_collector_does() -> None:
    """Optional fields are written when set, whatever their value; buckets always."""
    request: Any = REQUESTS[Signal.METRICS]()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    metrics.add(name="g").gauge.data_points.add(as_int=0)
    metrics.add(name="e").exponential_histogram.data_points.add(sum=0.0, count=1)
    text = Batch(Signal.METRICS, request.SerializeToString()).to_json().decode()
    assert '{"name":"g","gauge":{"dataPoints":[{"asInt":"0"}]}}' in text
    assert '{"dataPoints":[{"count":"1","sum":0,"positive":{},"negative":{}}]}' in text


def test_empty_request() -> None:
    """An empty object is an empty request, and back."""
    batch = Batch.from_json(Signal.LOGS, b"{}")
    assert batch.to_otlp() == b""
    assert batch.to_json() == b"{}"


@pytest.mark.parametrize("signal", list(Signal))
def test_generated_requests_survive(signal: Signal) -> None:
    """Realistic requests are the same after JSON and back."""
    batch = make_batch(signal, 10, resources=2)
    assert Batch.from_json(signal, batch.to_json()).to_json() == batch.to_json()


@pytest.mark.parametrize(
    ("given", "name", "expected"),
    [
        ({"traceId": "AB" * 16}, "trace_id", b"\xab" * 16),
        ({"traceId": ""}, "trace_id", b""),
        ({"trace_id": "ab" * 16}, "trace_id", b"\xab" * 16),
        ({"kind": 3}, "kind", 3),
        ({"kind": "SPAN_KIND_CLIENT"}, "kind", 3),
        ({"kind": 77}, "kind", 77),
        ({"startTimeUnixNano": "18446744073709551615"}, "start_time_unix_nano", 2**64 - 1),
        ({"startTimeUnixNano": 18446744073709551615}, "start_time_unix_nano", 2**64 - 1),
        ({"startTimeUnixNano": 1.7e18}, "start_time_unix_nano", 1_700_000_000_000_000_000),
        ({"flags": "7"}, "flags", 7),
        ({"name": None, "spanId": None, "attributes": None}, "name", ""),
        ({"name": "x", "unknown": {"deeply": [1]}}, "name", "x"),
    ],
)
def test_accepted_spellings(given: dict[str, Any], name: str, expected: Any) -> None:
    """Whatever the Collector accepts is accepted."""
    assert getattr(read_span(**given), name) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"doubleValue": "NaN"}, "nan"),
        ({"doubleValue": "-Infinity"}, "-inf"),
        ({"doubleValue": "1.5e3"}, "1500.0"),
        ({"doubleValue": 2}, "2.0"),
        ({"intValue": "-9223372036854775808"}, "-9223372036854775808"),
        ({"intValue": 42}, "42"),
        ({"boolValue": False}, "False"),
        ({"bytesValue": "/wA="}, r"b'\xff\x00'"),
        ({"stringValue": ""}, "''"),
        ({"arrayValue": {}}, "[]"),
        ({"kvlistValue": {"values": [{"key": "a", "value": {"intValue": 1}}]}}, "{'a': 1}"),
        ({}, "None"),
    ],
)
def test_attribute_values(given: dict[str, Any], expected: str) -> None:
    """Each kind of value is read as its Python type."""
    batch = Batch.from_json(Signal.TRACES, attribute_json(given))
    assert repr(batch.column(attribute("k"))[0]) == expected


SPAN = r"resourceSpans\[0\]\.scopeSpans\[0\]\.spans\[0\]"
VALUE = rf"{SPAN}\.attributes\[0\]\.value"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"resourceSpans": NaN}', "not JSON"),
        (b'{"a": "\xff"}', "not JSON"),
        (b'{"resourceSpans":[{"schemaUrl":"\\ud800"}]}', "not JSON"),
        (b"[" * 5000, "not JSON"),
        (b"[]", "expected an object, not an array"),
        (b'"text"', "expected an object, not a string of 4 characters"),
        (b'{"resourceSpans":{}}', "resourceSpans: expected an array, not an object"),
        (b'{"resourceSpans":[null]}', r"resourceSpans\[0\]: expected an object, not null"),
        (span_json(traceId="zz" * 16), rf"{SPAN}\.traceId: expected 32 hexadecimal digits, not a string of 32 c"),
        (span_json(traceId="ab"), rf"{SPAN}\.traceId: expected 32 hexadecimal digits"),
        (span_json(spanId="AAECAwQFBgc="), rf"{SPAN}\.spanId: expected 16 hexadecimal digits"),
        (span_json(spanId="ab cd ef 01 23 45 67 89"), rf"{SPAN}\.spanId: expected 16 hexadecimal digits"),
        (span_json(spanId="é" * 16), rf"{SPAN}\.spanId: expected 16 hexadecimal digits"),
        (span_json(spanId=5), rf"{SPAN}\.spanId: expected a string, not 5"),
        (span_json(name=5), rf"{SPAN}\.name: expected a string, not 5"),
        (span_json(name=["x" * 100]), rf"{SPAN}\.name: expected a string, not an array"),
        (span_json(kind="CLIENT"), rf"{SPAN}\.kind: expected a number or a name of SpanKind"),
        (span_json(kind=2**31), rf"{SPAN}\.kind: 2147483648 is out of range"),
        (span_json(flags=-1), rf"{SPAN}\.flags: -1 is out of range"),
        (span_json(flags=True), rf"{SPAN}\.flags: expected an integer, not true"),
        (span_json(startTimeUnixNano="1_000"), rf"{SPAN}\.startTimeUnixNano: expected an integer"),
        (span_json(startTimeUnixNano="٣"), rf"{SPAN}\.startTimeUnixNano: expected an integer"),
        (span_json(startTimeUnixNano=1.5), rf"{SPAN}\.startTimeUnixNano: expected an integer, not 1.5"),
        (span_json(startTimeUnixNano="18446744073709551616"), rf"{SPAN}\.startTimeUnixNano: 1844674407\d+ is out"),
        (span_json(attributes={}), rf"{SPAN}\.attributes: expected an array, not an object"),
        (attribute_json("text"), rf"{VALUE}: expected an object, not a string of 4 characters"),
        (attribute_json({"intValue": "9" * 5000}), rf"{VALUE}\.intValue: expected an integer"),
        (attribute_json({"boolValue": "true"}), rf"{VALUE}\.boolValue: expected true or false"),
        (attribute_json({"doubleValue": "1e999"}), rf"{VALUE}\.doubleValue: expected a number"),
        (attribute_json({"doubleValue": "inf"}), rf"{VALUE}\.doubleValue: expected a number"),
        (attribute_json({"bytesValue": "_-"}), rf"{VALUE}\.bytesValue: expected base64"),
        (attribute_json({"bytesValue": "é"}), rf"{VALUE}\.bytesValue: expected base64"),
    ],
)  # fmt: skip
def test_refusals_name_the_path(data: bytes, problem: str) -> None:
    """What is not as the schema says is a DecodeError with the JSON path, the expectation and what was found."""
    with pytest.raises(DecodeError, match=problem) as caught:
        Batch.from_json(Signal.TRACES, data)
    assert len(str(caught.value)) < 300


def test_list_elements_are_named_too() -> None:
    """An element of a list of numbers that is none is named by its index."""
    point = {"bucketCounts": ["1", "x"]}
    data = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"histogram": {"dataPoints": [point]}}]}]}]}
    with pytest.raises(DecodeError, match=r"dataPoints\[0\]\.bucketCounts\[1\]: expected an integer"):
        Batch.from_json(Signal.METRICS, json.dumps(data).encode())


@pytest.mark.parametrize("depth", range(40, 60))
def test_accepted_depth_is_protobufs(depth: int) -> None:
    """Nesting is accepted exactly as deep as protobuf can read it again."""
    text = '{"arrayValue":{"values":[' * depth + '{"stringValue":"x"}' + "]}}" * depth
    data = f'{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"k","value":{text}}}]}}}}]}}'.encode()
    accepted = True
    try:
        batch = Batch.from_json(Signal.TRACES, data)
    except DecodeError:
        accepted = False
    else:
        batch.validate()
        assert batch.column(attribute("k", Level.RESOURCE), Level.RESOURCE) != [None]
    assert accepted == (depth <= 47)  # 4 messages above the value, 2 per list, 100 in all


def test_unreadable_payload_has_no_json() -> None:
    """Writing JSON of bytes that are no request is a DecodeError."""
    with pytest.raises(DecodeError):
        Batch(Signal.TRACES, b"\x0a\xff").to_json()


def test_fixed_fields_of_logs() -> None:
    """A log record arrives with body and severity."""
    record = {"severityNumber": "SEVERITY_NUMBER_WARN", "body": {"stringValue": "hot"}, "eventName": "e"}
    data = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()
    names = ("severity_number", "body", "event_name")
    columns = Batch.from_json(Signal.LOGS, data).columns([Field(Level.ITEM, name) for name in names])
    assert columns == [[13], ["hot"], ["e"]]


@pytest.mark.parametrize("empty", [b"{}", b"[]"])
def test_millions_of_empty_values_are_refused(empty: bytes) -> None:
    """They are refused before they are read, and braces in texts are not taken for them."""
    with pytest.raises(DecodeError, match=f"more than {MAX_NODES} objects and arrays"):
        Batch.from_json(Signal.TRACES, b'{"resourceSpans":[' + (empty + b",") * MAX_NODES + empty + b"]}")
    text = r"\"[{" * (MAX_NODES // 2)
    data = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"%b"}]}]}]}' % text.encode()
    assert Batch.from_json(Signal.TRACES, data).item_count == 1
