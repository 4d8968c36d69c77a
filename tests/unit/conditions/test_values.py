"""Conversions as the Collector makes them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrace_pipeline.conditions.values import (
    as_string,
    format_float,
    parse_bool,
    parse_float,
    parse_int,
    same,
    string_like,
    truncate,
    wrap_int64,
)
from untrace_pipeline.data import Value
from untrace_pipeline.errors import EvaluationError


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (1.5, "1.5"),
        (100000000000000000000.0, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (0.000001, "0.000001"),
        (1e-7, "1e-7"),
        (1.25e-10, "1.25e-10"),
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
    ],
)
def test_floats_are_written_as_go_writes_them(number: float, text: str) -> None:
    """Exponents appear below 1e-6 and from 1e21 on, without leading zeros."""
    assert format_float(number) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_written_floats_read_back(number: float) -> None:
    """The text of a float is that float."""
    assert float(format_float(number)) == number
    assert parse_float(format_float(number)) == number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (7, "7"),
        (b"abc", "YWJj"),
        ({"b": [1, 1.5, None], "a": "<&>"}, '{"a":"<&>","b":[1,1.5,null]}'),
        (["ü\u2028\n"], '["ü\\u2028\\n"]'),
        ({"k": b"abc"}, '{"k":"YWJj"}'),
    ],
)
def test_any_value_has_a_text(value: Value, text: str) -> None:
    """Maps and lists are JSON with sorted keys, bytes base64."""
    assert as_string(value) == text


def test_string_like_differs_for_bytes_and_html() -> None:
    """OTTL's own rule writes bytes as hexadecimal and escapes what HTML would read."""
    assert string_like(b"abc") == "616263"
    assert string_like(["<a>"]) == '["\\u003ca\\u003e"]'
    assert string_like(None) is None
    with pytest.raises(EvaluationError):
        string_like(math.nan)


@pytest.mark.parametrize("text", ["", " 1", "1 ", "1_0", "0x10", "1.0", "9223372036854775808", "٣", "1" * 5000])
def test_what_is_no_integer(text: str) -> None:
    """Only plain decimal text within 64 bits is an integer."""
    assert parse_int(text) is None


@pytest.mark.parametrize(("text", "number"), [("+5", 5), ("-9223372036854775808", -(2**63)), ("007", 7)])
def test_integers_are_read(text: str, number: int) -> None:
    """Signs and leading zeros are fine."""
    assert parse_int(text) == number


@pytest.mark.parametrize("text", ["", "1_0", " 1", "1e400", "0x", "e5", ".", "nanx", "1" * 5000])
def test_what_is_no_float(text: str) -> None:
    """Spaces, underscores and overflow are refused."""
    assert parse_float(text) is None


@pytest.mark.parametrize(("text", "number"), [("1.", 1.0), (".5", 0.5), ("Inf", math.inf), ("0x1p-2", 0.25)])
def test_floats_are_read(text: str, number: float) -> None:
    """Go's forms are understood, hexadecimal floats and infinities too."""
    assert parse_float(text) == number


def test_booleans_are_read() -> None:
    """Exactly Go's twelve spellings."""
    assert [parse_bool(text) for text in ("t", "TRUE", "0", "False", "yes", "")] == [
        True,
        True,
        False,
        False,
        None,
        None,
    ]


def test_overflow_behaves_as_in_go() -> None:
    """Integers wrap around, and floats that do not fit become the smallest integer."""
    assert wrap_int64(2**63) == -(2**63)
    assert truncate(-1.9) == -1
    assert truncate(1e300) == truncate(math.nan) == -(2**63)


def test_same_knows_types() -> None:
    """1, 1.0 and true are three values, however deep."""
    assert same({"a": [1]}, {"a": [1]})
    assert not same({"a": [1]}, {"a": [1.0]})
    assert not same([True], [1])
    assert not same([1], [1, 2])
