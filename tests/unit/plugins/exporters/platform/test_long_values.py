"""Values that are longer than a platform takes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Signal, Value
from untrace_pipeline.data.compose import NewEvent, NewLog, NewSpan, Scope, compose_logs, compose_spans
from untrace_plugins.destinations.model import Limits
from untrace_plugins.exporters.platform.long_values import LongValueCutter
from untrace_plugins.exporters.platform.shortening import level_for, shortened, size_in_bytes, size_in_chars

SPAN, EVENT, RESOURCE = (Field(level, ATTRIBUTES) for level in (Level.ITEM, Level.EVENT, Level.RESOURCE))
MARK = "untrace.truncated"


def batch_of(attributes: dict[str, Value], event: dict[str, Value] | None = None, **resource: Value) -> Batch:
    events = [NewEvent("e", 1, event)] if event is not None else []
    span = NewSpan(b"\1" * 16, b"\2" * 8, "s", 1, 2, attributes=attributes, events=events)
    return Batch(Signal.TRACES, compose_spans({"service.name": "app", **resource}, Scope("t"), [span]))


def cut(batch: Batch, limit: int | None = None, **limits: Any) -> Batch:
    LongValueCutter(Limits.model_validate(limits), limit)(batch)
    return Batch(batch.signal, batch.to_otlp())


def attributes_of(batch: Batch, field: Field = SPAN) -> dict[str, Any]:
    (found,) = batch.column(field)
    assert isinstance(found, dict)
    return found


def test_a_cut_says_how_much_is_missing() -> None:
    """The end of the text and a list of names; short values stay."""
    found = attributes_of(cut(batch_of({"long": "x" * 200, "short": "y" * 100}), value_chars=100))
    assert len(found["long"]) <= 100
    kept, _, rest = found["long"].partition("…[truncated ")
    assert len(kept) + int(rest.removesuffix("]")) == 200
    assert found["short"] == "y" * 100
    assert found[MARK] == ["long"]


def test_json_stays_json() -> None:
    """The long texts within are cut, so that messages are still messages."""
    messages = [{"role": "user", "parts": [{"type": "text", "content": "x" * 5000}]}, {"role": "user", "parts": []}]
    found = attributes_of(cut(batch_of({"gen_ai.input.messages": json.dumps(messages)}), value_chars=1000))
    text = found["gen_ai.input.messages"]
    assert len(text) <= 1000
    parsed = json.loads(text)
    assert [message["role"] for message in parsed] == ["user", "user"]
    assert "…[truncated " in parsed[0]["parts"][0]["content"]


def test_every_level_is_looked_at() -> None:
    """Resources and events have limits, too, and their own marks."""
    found = cut(batch_of({"a": "b"}, event={"exception.stacktrace": "x" * 500}, team="y" * 500), value_chars=100)
    assert attributes_of(found, EVENT)[MARK] == ["exception.stacktrace"]
    assert attributes_of(found, RESOURCE)[MARK] == ["team"]
    assert attributes_of(found) == {"a": "b"}


def test_names_and_lists() -> None:
    """Long names are shortened, long lists cut."""
    found = attributes_of(
        cut(batch_of({"n" * 300: 1, "list": [str(i) for i in range(100)]}), name_chars=255, array_items=64)
    )
    assert [len(name) for name in found if name.startswith("n")] == [255]
    assert found["list"] == [str(i) for i in range(64)]
    assert found[MARK] == ["list"]


def test_bodies_of_records() -> None:
    """The body is what is long in logs."""
    logs = Batch(Signal.LOGS, compose_logs({}, Scope("t"), [NewLog(1, "x" * 500), NewLog(1, "short")]))
    found = cut(logs, value_chars=100)
    bodies = found.column(Field(Level.ITEM, "body"))
    assert len(str(bodies[0])) <= 100
    assert bodies[1] == "short"
    assert found.column(Field(Level.ITEM, ATTRIBUTES)) == [{MARK: ["body"]}, {}]


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "é",
        "😀",
        'x\n"',
    ],
)
def test_bytes_are_bytes(text: str) -> None:
    """Of UTF-8, whatever the characters, which are never cut in two."""
    found = attributes_of(cut(batch_of({"long": text * 2000}), value_bytes=500))
    assert len(found["long"].encode()) <= 500
    assert found["long"].startswith(text)


def test_an_item_that_is_too_large_is_cut_where_it_is_largest() -> None:
    """To one length; small texts stay whole, and so do the other items."""
    large: dict[str, Value] = {"one": "x" * 9000, "two": "y" * 6000, "small": "z" * 200}
    batch = Batch.merge([batch_of(large, event={"three": "w" * 8000}), batch_of({"one": "x" * 900})])
    found = cut(batch, item_bytes=6000)
    starts, ends = found.ranges()
    assert all(end - start <= 6000 for start, end in zip(starts, ends, strict=True))
    one, two = found.column(SPAN)
    assert isinstance(one, dict)
    assert one["small"] == "z" * 200
    assert two == {"one": "x" * 900}
    assert set(one[MARK]) == {"one", "two"}  # type: ignore[arg-type]


def test_nothing_long_is_not_decoded() -> None:
    """The bytes come out as they went in."""
    batch = batch_of({"a": "b"})
    before = batch.to_otlp()
    assert cut(batch, value_chars=4095).to_otlp() is not None
    assert batch.to_otlp() is before


def test_the_users_limit_wins() -> None:
    """In the unit of the platform, or bytes where it has none."""
    assert len(attributes_of(cut(batch_of({"long": "x" * 900}), 200, value_chars=400))["long"]) <= 200
    assert len(attributes_of(cut(batch_of({"long": "x" * 900}), 200))["long"]) <= 200


@given(text=st.text(min_size=1, max_size=400), times=st.integers(1, 20), limit=st.integers(64, 500))
def test_whatever_the_text_it_fits(text: str, times: int, limit: int) -> None:
    """In characters and in bytes; what fits stays as it is."""
    whole = text * times
    for measure in (size_in_chars, size_in_bytes):
        found = shortened(whole, limit, measure)
        assert measure(found) <= limit
        assert (found == whole) == (measure(whole) <= limit)


@given(
    value=st.recursive(
        st.text(max_size=200),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    ),
    limit=st.integers(64, 300),
)
def test_whatever_the_json_it_fits(value: object, limit: int) -> None:
    """Cut within, or as a text where there is too much of it."""
    whole = json.dumps(value, ensure_ascii=False)
    assert size_in_bytes(shortened(whole, limit, size_in_bytes)) <= limit


@given(sizes=st.lists(st.integers(0, 5000), min_size=1, max_size=20), excess=st.integers(0, 20_000))
def test_the_level_frees_what_is_asked_for(sizes: list[int], excess: int) -> None:
    """Unless the texts are not that large in all."""
    level = level_for(sizes, excess)
    freed = sum(max(0, size - level) for size in sizes)
    assert freed >= excess or level == 32
