"""Ids, times and JSON of vendors, as OTLP has them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrace_plugins.runs.ids import span_id_of, trace_id_of
from untrace_plugins.runs.json_text import read_json
from untrace_plugins.runs.times import nanoseconds


@pytest.mark.parametrize(
    ("text", "trace", "span"),
    [
        ("01a1fba8-6d2a-73f0-9116-ff3b5737916a", "01a1fba86d2a73f09116ff3b5737916a", "9116ff3b5737916a"),
        ("01A1FBA86D2A73F09116FF3B5737916A", "01a1fba86d2a73f09116ff3b5737916a", "9116ff3b5737916a"),
        ("00000000-0000-0000-9116-ff3b5737916a", "00000000000000009116ff3b5737916a", "9116ff3b5737916a"),
        ("9116ff3b5737916a", None, "9116ff3b5737916a"),
        ("0" * 32, "0" * 31 + "1", "0" * 15 + "1"),
    ],
)
def test_ids_that_are_readable(text: str, trace: str | None, span: str) -> None:
    """UUIDs and hexadecimal digits are the ids themselves, never the zeros that OTLP forbids."""
    if trace is not None:
        assert trace_id_of(text).hex() == trace
    assert span_id_of(text).hex() == span


@given(st.text())
def test_any_text_is_an_id(text: str) -> None:
    """The same text is the same id, of the right size, and not zero."""
    for make, size in ((trace_id_of, 16), (span_id_of, 8)):
        assert make(text) == make(text)
        assert len(make(text)) == size
        assert any(make(text))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-11-21T01:11:21.642105+00:00", 1795223481642105000),
        ("2026-11-21T01:11:21.642105", 1795223481642105000),
        ("2026-11-21T02:11:21+01:00", 1795223481000000000),
        ("2026-11-21T01:11:21Z", 1795223481000000000),
        (1795223481642, 1795223481642000000),
        (1795223481, 1795223481000000000),
        (1795223481.5, 1795223481500000000),
        ("yesterday", None),
        ("", None),
        (True, None),
        (None, None),
        (-5, None),
        (float("nan"), None),
        (float("inf"), None),
        (10**40, None),
        ("0001-01-01T00:00:00", None),
    ],
)
def test_times(value: object, expected: int | None) -> None:
    """ISO 8601 to the microsecond, seconds and milliseconds; everything else is no time."""
    assert nanoseconds(value) == expected


def test_json_of_python() -> None:
    """What Python writes is read; what is no JSON says where it is wrong."""
    assert read_json(b'{"a": NaN, "b": -Infinity, "c": "\\ud800x"}') == {"a": None, "b": None, "c": "?x"}
    with pytest.raises(ValueError, match=r"no JSON: .* at byte"):
        read_json(b'{"a": 1')
    with pytest.raises(ValueError, match="no JSON"):
        read_json(b"[" * 100_000)
