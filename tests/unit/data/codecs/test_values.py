"""Python values as AnyValue and back."""

from __future__ import annotations

import math
from typing import Any

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from untrace_pipeline.data.codecs.values import encode_value, read_value


def round_trip(value: Any) -> Any:
    return read_value(AnyValue.FromString(encode_value(value)))


@pytest.mark.parametrize(
    "value",
    [None, "", "text", "ключ", True, False, 0, -1, 2**63 - 1, -(2**63), 0.0, -1.5, math.inf, b"", b"\xff",
     [], [1, "a", None, [True]], {}, {"a": {"b": [1.5, b"x"]}, "": None}],
)  # fmt: skip
def test_round_trip_keeps_value_and_type(value: Any) -> None:
    """Every value that OTLP knows comes back equal and of the same type."""
    assert repr(round_trip(value)) == repr(value)


def test_bool_is_not_an_integer() -> None:
    """Booleans are written as booleans although Python counts them among the integers."""
    assert AnyValue.FromString(encode_value(True)).WhichOneof("value") == "bool_value"


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**30])
def test_integers_beyond_64_bits_become_text(value: int) -> None:
    """OTLP has no such integers, so that their decimal digits are kept instead."""
    assert round_trip(value) == str(value)


def test_lone_surrogates_are_replaced() -> None:
    """A string that has no UTF-8 form is sent all the same."""
    assert round_trip("a\ud800b") == "a?b"


def test_tuples_are_lists() -> None:
    """Tuples are written as arrays."""
    assert round_trip((1, 2)) == [1, 2]


@pytest.mark.parametrize("value", [object(), {1, 2}, 1j])
def test_other_types_are_refused(value: Any) -> None:
    """A type without OTLP form is a ValueError that names it."""
    with pytest.raises(ValueError, match=type(value).__name__):
        encode_value(value)


def test_keys_that_are_not_text_are_refused() -> None:
    """OTLP maps have text as keys; anything else is a ValueError too."""
    with pytest.raises(ValueError, match="must be text"):
        encode_value({1: "x"})  # type: ignore[dict-item]


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"k": inner}])
def test_nesting_ends_where_protobuf_stops_reading(wrap: Any) -> None:
    """What is written can be read, and deeper values are a ValueError, not a RecursionError."""
    value: Any = "x"
    for _ in range(29):
        value = wrap(value)
    assert repr(round_trip(value)) == repr(value)
    for _ in range(5000):
        value = wrap(value)
    with pytest.raises(ValueError, match="too deep"):
        encode_value(value)


def test_first_of_equal_keys_wins() -> None:
    """A map with a key twice reads as its first value."""
    pairs = encode_value({"a": 1})[2:] + encode_value({"a": 2})[2:]
    assert read_value(AnyValue.FromString(b"\x32" + bytes([len(pairs)]) + pairs)) == {"a": 1}
