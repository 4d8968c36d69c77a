"""OTLP/JSON of the native codec is that of the upb codec, for what SDKs send and for what nobody should."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.otlp_strategies import any_signal_requests, doubles, texts
from tests.unit.data.codecs import test_json as reference
from untrace_pipeline.data import Signal
from untrace_pipeline.data.codec import Codec
from untrace_pipeline.data.codecs.upb import UpbCodec
from untrace_pipeline.data.codecs.upb_schema import ID_SIZES, REQUESTS
from untrace_pipeline.errors import DecodeError
from untrace_pipeline.testing.generate import make_batch

native = pytest.importorskip("untrace_pipeline_native", reason="the extension is not installed (make native)")
from untrace_pipeline.data.codecs.native import NativeCodec  # noqa: E402  needs the extension

UPB = UpbCodec()
relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def same(signal: Signal, left: bytes, right: bytes) -> bool:
    return bool(REQUESTS[signal].FromString(left) == REQUESTS[signal].FromString(right))


def check_text(signal: Signal, text: bytes, *, fast: bool = False) -> None:
    """Compare what both codecs make of a text; ``fast``: the native code decides itself."""
    found = native.from_json(signal, text)
    assert found is not None or not fast
    expected, problem = read(UPB, signal, text)
    assert found is None or not problem
    made, native_problem = read(NativeCodec(), signal, text)
    assert native_problem == problem
    assert same(signal, made, expected)


def read(codec: Codec, signal: Signal, text: bytes) -> tuple[bytes, str]:
    """Return what a codec makes of a text, or the error that it words."""
    try:
        return codec.from_json(signal, text), ""
    except DecodeError as error:
        return b"", str(error)


def check_request(signal: Signal, data: bytes, *, fast: bool = False) -> None:
    """Compare the texts that both codecs make of a request."""
    found = native.to_json(signal, data)
    assert found is not None or not fast
    try:
        expected = UPB.to_json(signal, data)
    except DecodeError:
        assert found is None
    else:
        assert found is None or found == expected


@pytest.mark.parametrize("signal", list(Signal))
def test_realistic_requests(signal: Signal) -> None:
    """What SDKs send is read and written natively, small requests and large ones, also with white space and escapes."""
    for count in (0, 1, 100):
        batch = make_batch(signal, count, resources=2)
        data = batch.to_otlp()
        text = UPB.to_json(signal, data)
        assert native.to_json(signal, data) == text
        assert same(signal, native.from_json(signal, text), data)
        loose = json.dumps(json.loads(text), indent=2, ensure_ascii=True).encode()
        assert same(signal, native.from_json(signal, loose), data)


SAMPLES: dict[int, list[Any]] = {
    FieldDescriptor.TYPE_STRING: ["", "plain", 'é"\\\n\x00😀', "x" * 200],
    FieldDescriptor.TYPE_BOOL: [True, False],
    FieldDescriptor.TYPE_BYTES: ["", "AAEC/w=="],
    FieldDescriptor.TYPE_DOUBLE: [0, -0.0, 0.1, 1e300, "NaN", "-Infinity", "1.5"],
    FieldDescriptor.TYPE_ENUM: [0, 1, 77],
    FieldDescriptor.TYPE_INT32: [0, -1, 5],
    FieldDescriptor.TYPE_INT64: ["0", -5, "9223372036854775807"],
    FieldDescriptor.TYPE_SINT32: [0, -7, "7"],
    FieldDescriptor.TYPE_SFIXED64: ["0", -5, "-9223372036854775808"],
    FieldDescriptor.TYPE_UINT32: [0, "1", 4294967295],
    FieldDescriptor.TYPE_UINT64: ["0", 7, "18446744073709551615"],
    FieldDescriptor.TYPE_FIXED32: [0, 1, 4294967295],
    FieldDescriptor.TYPE_FIXED64: ["0", 7, "18446744073709551615"],
}


def filled(descriptor: Descriptor, number: int, depth: int = 0) -> dict[str, Any]:
    """Return an object with every field; the number picks member of a oneof, spelling and samples."""
    made: dict[str, Any] = {}
    for place, field in enumerate(descriptor.fields):
        choices = field.containing_oneof.fields if field.containing_oneof else [field]
        if choices[number % len(choices)] is not field or (field.message_type is not None and depth > 9):
            continue
        value: Any
        if field.message_type is not None:
            value = filled(field.message_type, number + place, depth + 1)
        elif field.name in ID_SIZES:
            value = ["", "00", "aB"][number % 3] * ID_SIZES[field.name]
        elif field.enum_type is not None and number % 4 == 3:
            value = field.enum_type.values[-1].name
        else:
            samples = SAMPLES[field.type]
            value = samples[(number + place) % len(samples)]
        made[field.name if number % 5 == 4 else field.camelcase_name] = [value] if field.is_repeated else value
    return made


@pytest.mark.parametrize("signal", list(Signal))
def test_every_field_is_native(signal: Signal) -> None:
    """Each field that protobuf's descriptors name is read and written, in every kind of value, without help."""
    for number in range(60):
        text = json.dumps(filled(REQUESTS[signal].DESCRIPTOR, number)).encode()
        check_text(signal, text, fast=True)
        check_request(signal, UPB.from_json(signal, text), fast=True)


def parameters(test: Any) -> list[Any]:
    return [case[0] for mark in test.pytestmark for case in mark.args[1]]


CASES = [
    *(reference.span_json(**given) for given in parameters(reference.test_accepted_spellings)),
    *(reference.attribute_json(given) for given in parameters(reference.test_attribute_values)),
]


def test_inputs_of_the_reference() -> None:
    """Everything that the tests of the reference read comes out the same; what they accept is read natively."""
    for text in CASES:
        check_text(Signal.TRACES, text, fast=True)
    for text in parameters(reference.test_refusals_name_the_path):
        check_text(Signal.TRACES, text)


@pytest.mark.parametrize("spaces", [None, (",", ":")])
def test_depth_is_that_of_the_reference(spaces: tuple[str, str] | None) -> None:
    """Lists and maps end where the reference ends them, however they are written."""
    lists: Any = {"stringValue": "x"}
    maps: Any = {"stringValue": "x"}
    for depth in range(60):
        for value in (lists, maps):
            document = {"resourceSpans": [{"resource": {"attributes": [{"key": "k", "value": value}]}}]}
            check_text(Signal.TRACES, json.dumps(document, separators=spaces).encode(), fast=depth < 30)
        lists = {"arrayValue": {"values": [lists]}}
        maps = {"kvlistValue": {"values": [{"key": "k", "value": maps}]}}


@relaxed
@given(any_signal_requests())
def test_generated_requests(made: tuple[Signal, Any]) -> None:
    """Requests of all signals, with unknown fields, are written the same; their text is read the same, natively."""
    signal, request = made
    data = request.SerializeToString()
    check_request(signal, data, fast=b"\xfb\x7f" not in data)
    check_text(signal, UPB.to_json(signal, data), fast=True)


odd_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**65), 2**65),
    st.sampled_from([0, -1, 2**31, 2**32, 2**63, 2**64 - 1, 1e15, 1.5, 2.0**63, 2.0**64, -0.0, 1e308]),
    doubles,
    texts,
    st.sampled_from(["0", "-0", "+7", "1e3", "NaN", "Infinity", "inf", ".5", "5.", "AA==", "AB==", "A", "00" * 16]),
    st.just([]),
    st.just({}),
    st.just([None]),
    st.just({"stringValue": "a", "intValue": 5}),
    st.just({"values": [{}]}),
).map(deepcopy)  # what is put into a document may be changed there


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return container and key of everything within a value."""
    inner = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [(value, key) for key, _ in inner] + [place for _, item in inner for place in places(item)]


@relaxed
@given(any_signal_requests(unknown=False), st.data())
def test_changed_documents(made: tuple[Signal, Any], data: st.DataObject) -> None:
    """Whatever stands in a place that says something else, both codecs make the same of it."""
    signal, request = made
    document = json.loads(UPB.to_json(signal, request.SerializeToString()))
    for _ in range(data.draw(st.integers(1, 3))):
        found = places(document)
        if not found:
            break
        container, key = data.draw(st.sampled_from(found))
        if isinstance(container, dict) and data.draw(st.booleans()):
            other = data.draw(st.sampled_from(["x", "".join("_" + c.lower() if c.isupper() else c for c in key)]))
            container[other] = data.draw(odd_values) if data.draw(st.booleans()) else container.pop(key)
        else:
            container[key] = data.draw(odd_values)
    check_text(signal, json.dumps(document, ensure_ascii=data.draw(st.booleans())).encode())


PIECES = [
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b'"',
    b"\\",
    b"\\u",
    b"\\ud83d",
    b"0",
    b"-",
    b"e",
    b".",
    b"null",
    b" ",
    b"\n",
]


@relaxed
@given(any_signal_requests(unknown=False), st.data())
def test_changed_texts(made: tuple[Signal, Any], data: st.DataObject) -> None:
    """Texts with other bytes here and there are refused, or read the same."""
    signal, request = made
    text = bytearray(UPB.to_json(signal, request.SerializeToString()))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(text)))
        text[place : place + data.draw(st.integers(0, 3))] = data.draw(
            st.one_of(st.sampled_from(PIECES), st.binary(max_size=2))
        )
    check_text(signal, bytes(text))


@relaxed
@given(any_signal_requests(), st.data())
def test_changed_requests(made: tuple[Signal, Any], data: st.DataObject) -> None:
    """Requests with other bytes here and there are left to the reference, or written the same."""
    signal, request = made
    changed = bytearray(request.SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(changed)))
        changed[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    check_request(signal, bytes(changed))


@relaxed
@given(st.floats())
def test_doubles(number: float) -> None:
    """Every double is written in the reference's digits and read back as the same bits."""
    request: Any = REQUESTS[Signal.METRICS]()
    point = request.resource_metrics.add().scope_metrics.add().metrics.add().gauge.data_points.add()
    point.as_double = number
    data = request.SerializeToString()
    check_request(Signal.METRICS, data, fast=True)
    check_text(Signal.METRICS, UPB.to_json(Signal.METRICS, data), fast=True)


@pytest.mark.parametrize("size", [1000, 100_000])
def test_long_texts(size: int) -> None:
    """A prompt, with or without the interpreter's lock, is read and written the same."""
    for text in ("x" * size, 'a "quoted" line\n' * (size // 16), "é😀" * (size // 6)):
        for escaped in (False, True):
            body = {"kvlistValue": {"values": [{"key": "content", "value": {"stringValue": text}}]}}
            record = {"logRecords": [{"severityText": "x", "body": body, "attributes": [{"key": "k"}]}]}
            document = json.dumps({"resourceLogs": [{"scopeLogs": [record]}]}, ensure_ascii=escaped).encode()
            check_text(Signal.LOGS, document, fast=True)
            check_request(Signal.LOGS, UPB.from_json(Signal.LOGS, document), fast=True)
