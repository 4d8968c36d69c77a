"""What a rewrite leaves alone, byte by byte."""

from __future__ import annotations

from typing import Any

import pytest

from untrace_pipeline.data import Batch, Field, Level, Signal, attribute
from untrace_pipeline.data.codecs.upb_schema import REQUESTS
from untrace_pipeline.testing.generate import make_request

pytestmark = pytest.mark.usefixtures("each_codec")

FOREIGN = b"\xfa\x7f\x03new"  # a field of a later version, length-delimited


def field(number: int, *pieces: bytes) -> bytes:
    body = b"".join(pieces)
    assert len(body) < 128
    return bytes([number << 3 | 2, len(body)]) + body


def pair(key: str, value: str) -> bytes:
    return field(9, field(1, key.encode()), field(2, field(1, value.encode())))


def span(*pieces: bytes) -> bytes:
    return field(2, *pieces)


def request(*spans: bytes) -> bytes:
    return field(1, FOREIGN, field(2, *spans, FOREIGN), FOREIGN) + FOREIGN


def rewritten(payload: bytes, key: str, values: list[Any]) -> bytes:
    batch = Batch(Signal.TRACES, payload)
    batch.set(attribute(key), values)
    return batch.to_otlp()


def in_order(payload: bytes) -> bytes:
    """Return a request with all fields of a message in the order of their numbers: it is the codec's choice."""
    message: bytes = REQUESTS[Signal.TRACES].FromString(payload).SerializeToString(deterministic=True)
    return message


def test_other_items_and_containers_keep_their_bytes() -> None:
    """Only the changed item is written anew; order and unknown fields of everything else survive."""
    odd = span(field(5, b"name"), pair("a", "1"), FOREIGN, pair("b", "2"), field(1, bytes(16)))
    batch = Batch(Signal.TRACES, request(odd, odd))
    batch.set(attribute("a"), ["new"], rows=[1])
    changed = span(field(1, bytes(16)), field(5, b"name"), pair("a", "new"), pair("b", "2"), FOREIGN)
    written = batch.to_otlp()
    assert in_order(written) == in_order(request(odd, changed))
    assert odd in written
    assert written.endswith(FOREIGN * 3)


def test_new_attributes_are_appended() -> None:
    """A key that an item lacks comes after all its fields."""
    assert rewritten(request(span(field(5, b"x"))), "a", ["1"]) == request(span(field(5, b"x"), pair("a", "1")))


def test_removing_an_absent_key_changes_nothing() -> None:
    """Nothing to remove, nothing to write."""
    payload = request(span(pair("b", "2")), span())
    assert rewritten(payload, "a", [None, None]) == payload


def test_equal_keys_leave_one() -> None:
    """The first of equal keys is read; setting or removing the key leaves no other value of it behind."""
    payload = request(span(pair("a", "1"), pair("b", "2"), pair("a", "secret")))
    assert Batch(Signal.TRACES, payload).column(attribute("a")) == ["1"]
    assert rewritten(payload, "a", ["*"]) == request(span(pair("a", "*"), pair("b", "2")))
    assert rewritten(payload, "a", [None]) == request(span(pair("b", "2")))


def test_equal_keys_leave_one_in_decoded_messages_too() -> None:
    """The same holds where the item is decoded because another field changes."""
    batch = Batch(Signal.TRACES, request(span(pair("a", "1"), pair("b", "2"), pair("a", "secret"))))
    batch.set(attribute("a"), ["*"])
    batch.set(Field(Level.ITEM, "name"), ["n"])
    expected = request(span(field(5, b"n"), pair("a", "*"), pair("b", "2")))
    assert in_order(batch.to_otlp()) == in_order(expected)


def test_odd_attribute_encodings_are_understood() -> None:
    """The value before the key, and a key given twice, are found as protobuf finds them."""
    backwards = field(9, field(2, field(1, b"1")), field(1, b"a"))
    twice = field(9, field(1, b"b"), field(1, b"a"), field(2, field(1, b"2")))
    payload = request(span(backwards), span(twice))
    assert Batch(Signal.TRACES, payload).column(attribute("a")) == ["1", "2"]
    assert rewritten(payload, "a", ["x", "y"]) == request(span(pair("a", "x")), span(pair("a", "y")))


def test_dropped_items_leave_the_rest_alone() -> None:
    """Dropping is cutting."""
    batch = Batch(Signal.TRACES, request(span(field(5, b"x")), span(field(5, b"y"), FOREIGN)))
    batch.keep([False, True])
    assert batch.to_otlp() == request(span(field(5, b"y"), FOREIGN))


def test_values_of_dropped_rows_do_not_matter() -> None:
    """A value that cannot be written is an error only if its row stays, on every level."""
    payload = request(span(field(11), field(11, field(2, b"e"))))
    batch = Batch(Signal.TRACES, payload)
    batch.set(attribute("a", Level.EVENT), [object()], rows=[0])  # type: ignore[list-item]
    batch.keep([False, True], Level.EVENT)
    assert batch.to_otlp() == request(span(field(11, field(2, b"e"))))
    batch.set(attribute("a"), [object()])  # type: ignore[list-item]
    batch.keep([False])
    assert batch.to_otlp() == FOREIGN


def test_resource_edits_do_not_touch_items() -> None:
    """A resource attribute is set without decoding what lies below; a missing resource is made."""
    odd = span(field(1, bytes(16)), field(5, b"x"), FOREIGN)
    batch = Batch(Signal.TRACES, request(odd))
    batch.set(attribute("k", Level.RESOURCE), ["v"])
    batch.set(Field(Level.SCOPE, "version"), ["7"])
    payload = batch.to_otlp()
    assert odd in payload
    found = REQUESTS[Signal.TRACES].FromString(payload).resource_spans[0]
    assert found.resource.attributes[0].key == "k"
    assert found.scope_spans[0].scope.version == "7"
    assert payload.count(FOREIGN) == request(odd).count(FOREIGN)


def test_metric_in_pieces_is_edited_as_a_whole() -> None:
    """A metric whose gauge comes in two pieces reads, edits and splits as the one gauge that protobuf sees."""
    point = field(1, field(7, field(1, b"a"), field(2, field(1, b"1"))))
    pieces = field(5, point) + field(5, point)
    batch = Batch(Signal.METRICS, field(1, field(2, field(2, field(1, b"m"), pieces))))
    assert batch.item_count == 2
    batch.set(Field(Level.METRIC, "unit"), ["s"])
    batch.set(attribute("a"), ["2"], rows=[1])
    whole = field(2, field(1, b"m"), field(3, b"s"), field(5, point, point.replace(b"1", b"2")))
    assert batch.to_otlp() == field(1, field(2, whole))


def test_metric_in_pieces_is_split_as_a_whole() -> None:
    """What one piece says of the metric, temporality for example, holds for the points of all of them."""
    pieces = field(7, field(1)) + field(7, field(1), b"\x10\x02\x18\x01")
    parts = Batch(Signal.METRICS, field(1, field(2, field(2, pieces)))).split(1)
    assert [part.item_count for part in parts] == [1, 1]
    fields = [Field(Level.METRIC, name) for name in ("aggregation_temporality", "is_monotonic")]
    assert [part.columns(fields) for part in parts] == [[[2], [True]]] * 2


def test_replaced_metric_data_stay_dead() -> None:
    """Points that a later member of the oneof replaced are no items, and do not come back."""
    data = field(5, field(1, field(8))) + field(7, field(1), field(1))
    batch = Batch(Signal.METRICS, field(1, field(2, field(2, data))))
    assert batch.item_count == 2
    assert batch.column(Field(Level.METRIC, "type")) == ["sum"]
    batch.keep([True, False])
    batch.to_otlp()
    assert (batch.item_count, batch.column(Field(Level.METRIC, "type"))) == (1, ["sum"])


def test_edits_of_all_point_types() -> None:
    """Attributes are set on every kind of data point."""
    batch = Batch(Signal.METRICS, make_request(Signal.METRICS, 10).SerializeToString())
    batch.set(attribute("new"), list(range(10)))
    batch.set(attribute("n"), list(range(10, 20)))
    batch.to_otlp()
    assert batch.columns([attribute("new"), attribute("n")]) == [list(range(10)), list(range(10, 20))]


def test_repeated_keys_are_reported_until_the_whole_map_is_set() -> None:
    """Rows with a key twice are named; a new whole map leaves one of each."""
    batch = Batch(Signal.TRACES, request(span(pair("a", "1")), span(pair("a", "1"), pair("b", "2"), pair("a", "3"))))
    assert batch.repeated_keys(Level.ITEM) == [1]
    batch.set(Field(Level.ITEM, "attributes"), [{"a": "1", "b": "2"}], rows=[1])
    assert batch.repeated_keys(Level.ITEM) == []
    assert batch.to_otlp() == request(span(pair("a", "1")), span(pair("a", "1"), pair("b", "2")))
