"""What the actions do, in the Collector's words and values."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import pytest

from untrace_pipeline.api import Kind, StartError
from untrace_pipeline.data import ATTRIBUTES, Batch, Context, Field, Level, Signal, Value, attribute
from untrace_pipeline.testing import make_batch, make_settings
from untrace_plugins.processors.attributes import FACTORY

CONTEXT = Context(
    metadata={"x-tenant": ("acme", "b")}, auth={"subject": "me", "groups": ("a", "b"), "n": 1}, peer="10.0.0.1:5"
)


def run(actions: list[dict[str, Any]], batch: Batch, **options: Any) -> Batch:
    """Process, write, and read again what was written."""
    config = FACTORY.config.model_validate({"actions": actions, **options})
    settings = make_settings(Kind.PROCESSOR, "attributes", signals=[batch.signal])
    result = FACTORY.create(config, settings).process(batch)
    assert result is not None
    return Batch(result.signal, result.to_otlp(), result.context)


def edit(value: Value, *actions: dict[str, Any]) -> dict[str, Value]:
    """Return the attributes that actions make of one span with an attribute ``v``."""
    batch = make_batch(items=1, attributes={} if value is None else {"v": value}, context=CONTEXT)
    before = set(batch.copy().column(Field(Level.ITEM, ATTRIBUTES))[0]) - {"v"}  # type: ignore[arg-type]
    after = run(list(actions), batch).column(Field(Level.ITEM, ATTRIBUTES))[0]
    assert isinstance(after, dict)
    return {key: value for key, value in after.items() if key not in before}


def sha256(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


@pytest.mark.parametrize(
    ("before", "action", "after"),
    [
        (1, {"action": "insert", "value": 2}, 1),
        (None, {"action": "insert", "value": 2}, 2),
        (1, {"action": "update", "value": "x"}, "x"),
        (None, {"action": "update", "value": "x"}, None),
        (1, {"action": "upsert", "value": {"a": [True, 1.5]}}, {"a": [True, 1.5]}),
        (None, {"action": "upsert", "value": False}, False),
        (1, {"action": "upsert", "from_attribute": "nope"}, 1),
        (1, {"action": "upsert", "from_attribute": "nope", "default_value": 5}, 5),
        (None, {"action": "insert", "default_value": 5}, 5),
        (1, {"action": "update", "from_attribute": "gen_ai.operation.name"}, "chat"),
        (None, {"action": "insert", "from_context": "metadata.X-Tenant"}, "acme;b"),
        (None, {"action": "insert", "from_context": "x-tenant"}, "acme;b"),
        (None, {"action": "insert", "from_context": "metadata.nope"}, None),
        (None, {"action": "insert", "from_context": "metadata.nope", "default_value": "d"}, "d"),
        (None, {"action": "insert", "from_context": "auth.subject"}, "me"),
        (None, {"action": "insert", "from_context": "auth.groups"}, "a;b"),
        (None, {"action": "insert", "from_context": "auth.n"}, None),
        (None, {"action": "insert", "from_context": "client.address"}, "10.0.0.1"),
        (1, {"action": "delete"}, None),
        (None, {"action": "delete"}, None),
        ("a", {"action": "hash"}, sha256(b"a")),
        (True, {"action": "hash"}, sha256(b"\x01")),
        (-2, {"action": "hash"}, sha256((2**64 - 2).to_bytes(8, "little"))),
        (1.5, {"action": "hash"}, sha256(bytes.fromhex("000000000000f83f"))),
        (b"a", {"action": "hash"}, ""),
        ([1], {"action": "hash"}, ""),
        (None, {"action": "hash"}, None),
        (1.5, {"action": "convert", "converted_type": "string"}, "1.5"),
        (1e21, {"action": "convert", "converted_type": "string"}, "1e+21"),
        ({"b": b"x", "a": 1}, {"action": "convert", "converted_type": "string"}, '{"a":1,"b":"eA=="}'),
        ("12", {"action": "convert", "converted_type": "int"}, 12),
        ("1.5", {"action": "convert", "converted_type": "int"}, "1.5"),
        (-1.9, {"action": "convert", "converted_type": "int"}, -1),
        (math.inf, {"action": "convert", "converted_type": "int"}, -(2**63)),
        (True, {"action": "convert", "converted_type": "int"}, 1),
        ([1], {"action": "convert", "converted_type": "int"}, [1]),
        ("1e3", {"action": "convert", "converted_type": "double"}, 1000.0),
        ("x", {"action": "convert", "converted_type": "double"}, "x"),
        (7, {"action": "convert", "converted_type": "double"}, 7.0),
    ],
)
def test_each_action(before: Value, action: dict[str, Any], after: Value) -> None:
    """One action on one attribute: present and absent, every type."""
    found = edit(before, {"key": "v", **action})
    assert found == ({} if after is None else {"v": after})
    assert type(found.get("v")) is type(after)


def test_extract_makes_attributes_of_groups() -> None:
    """Named groups become attributes and overwrite; groups that took no part are empty; no match changes nothing."""
    pattern = {"key": "v", "action": "extract", "pattern": "^(?P<one>[a-z]+)(?:-(?P<two>.*))?$"}
    assert edit("ab-c", {"key": "one", "action": "insert", "value": 5}, pattern) == {
        "v": "ab-c",
        "one": "ab",
        "two": "c",
    }
    assert edit("ab", pattern) == {"v": "ab", "one": "ab", "two": ""}
    assert edit("AB", pattern) == {"v": "AB"}
    assert edit(5, pattern) == {"v": 5}


def test_actions_see_those_before_them() -> None:
    """Values move along a chain of actions in one pass."""
    chain = [
        {"key": "a", "action": "insert", "from_attribute": "v"},
        {"key": "v", "action": "delete"},
        {"key": "a", "action": "hash"},
        {"key": "v", "action": "insert", "value": "back"},
    ]
    assert edit("x", *chain) == {"a": sha256(b"x"), "v": "back"}


def test_patterns_mean_keys() -> None:
    """delete and hash take every key that the pattern is found in, those just written too."""
    new = {"key": "gen_ai.new", "action": "insert", "value": "n"}
    hashed = run([new, {"pattern": "^gen_ai.new$", "action": "hash"}], make_batch(items=3))
    assert hashed.column(attribute("gen_ai.new")) == [sha256(b"n")] * 3
    gone = run([new, {"pattern": "^gen_ai", "action": "delete"}], make_batch(items=3))
    maps = gone.column(Field(Level.ITEM, ATTRIBUTES))
    assert [set(one) for one in maps] == [{"session.id", "cached"}] * 3  # type: ignore[arg-type]


@pytest.mark.parametrize("signal", Signal)
def test_every_signal_is_edited(signal: Signal) -> None:
    """Spans, log records and points of every metric type."""
    result = run([{"key": "x", "action": "insert", "value": 1}], make_batch(signal, 10))
    assert result.column(attribute("x")) == [1] * 10


def test_only_selected_items_are_edited() -> None:
    """include selects, exclude takes away again."""
    batch = make_batch(items=6, resources=2)
    match = {"match_type": "strict", "span_names": ["chat 1"]}
    first = {"match_type": "strict", "services": ["service-0"]}
    action = [{"key": "x", "action": "insert", "value": 1}]
    assert run(action, batch.copy(), include=match).column(attribute("x")) == [None, 1, None] * 2
    both = run(action, batch.copy(), include=match, exclude=first)
    assert both.column(attribute("x")) == [None] * 4 + [1, None]
    nothing = run(action, batch.copy(), include=match, exclude=match)
    assert nothing.to_otlp() == batch.to_otlp()


def test_rows_that_stay_are_not_written() -> None:
    """An action that changes nothing leaves the bytes alone."""
    batch = make_batch(items=5)
    before = batch.to_otlp()
    same = [{"key": "nope", "action": "delete"}, {"key": "nope", "action": "hash"}]
    assert run([*same, {"key": "cached", "action": "insert", "value": 1}], batch).to_otlp() == before


def test_selection_must_fit_the_signal() -> None:
    """Selecting logs by span names cannot start, and says why."""
    config = FACTORY.config.model_validate(
        {"actions": [{"key": "x", "action": "delete"}], "include": {"match_type": "strict", "span_names": ["x"]}}
    )
    with pytest.raises(StartError, match="span_names cannot select logs"):
        FACTORY.create(config, make_settings(Kind.PROCESSOR, "attributes", signals=[Signal.LOGS]))
