"""Values as text, as Go writes them."""

import math

import pytest

from untrace_pipeline.data import Value
from untrace_plugins.processors.redaction.text import as_string


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        (None, ""),
        (True, "true"),
        (False, "false"),
        (-(2**63), "-9223372036854775808"),
        (1.0, "1"),
        (0.0, "0"),
        (-0.0, "-0"),
        (1.5, "1.5"),
        (100000.0, "100000"),
        (1e20, "100000000000000000000"),
        (1.2345678901234567e20, "123456789012345670000"),
        (1e21, "1e+21"),
        (1.25e22, "1.25e+22"),
        (1e-6, "0.000001"),
        (1.5e-6, "0.0000015"),
        (-0.00001234, "-0.00001234"),
        (1e-7, "1e-7"),
        (1.5e-10, "1.5e-10"),
        (123456789012345680.0, "123456789012345680"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (b"\x00\xff", "AP8="),
        ([], "[]"),
        ({}, "{}"),
        ([1, "a", None, [True]], '[1,"a",null,[true]]'),
        ({"b": 1.0, "a": b"x"}, '{"a":"eA==","b":1}'),
        ({"a": '<&>"\\\n\t\u2028é'}, '{"a":"<&>\\"\\\\\\n\\t\\u2028é"}'),
        ([math.nan], ""),
    ],
)
def test_text_is_the_collectors(value: Value, expected: str) -> None:
    """Numbers as in ECMAScript, maps and lists as JSON with sorted keys, bytes as Base64."""
    assert as_string(value) == expected
