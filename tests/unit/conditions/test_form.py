"""Conditions of our own form."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from untrace_pipeline.conditions import ConditionConfig, compile_condition
from untrace_pipeline.data import Batch, Context, Level, Signal
from untrace_pipeline.errors import ConditionError
from untrace_pipeline.testing import make_batch

CONTEXT = Context(metadata={"x-tenant": ("acme", "other")}, auth={"subject": "me"}, peer="127.0.0.1:4711")


def batch(signal: Signal = Signal.TRACES) -> Batch:
    attributes: Any = {"deep": {"a": [1, {"b": "x"}]}, "dotted.key": "d", "tags": ["red", "blue"], "cost": 0.5}
    return make_batch(signal, 6, resources=2, attributes=attributes, context=CONTEXT)


def mask(condition: dict[str, Any], signal: Signal = Signal.TRACES, level: Level = Level.ITEM) -> list[bool]:
    return compile_condition(ConditionConfig.model_validate(condition), signal, level).mask(batch(signal))


ODD = [False, True, False] * 2


@pytest.mark.parametrize(
    ("field", "operator", "value"),
    [
        ('attributes["dotted.key"]', "eq", "d"),
        ("attributes.dotted.key", "eq", "d"),
        ("$.attributes['dotted.key']", "eq", "d"),
        ("span.attributes.dotted.key", "eq", "d"),
        ('attributes["deep"]["a"][1]["b"]', "eq", "x"),
        ("attributes.deep", "contains", "a"),
        ('attributes["deep"]["a"][7]["b"]', "exists", False),
        ("attributes.missing", "eq", None),
        ("attributes.missing", "neq", "x"),
        ("attributes.missing", "exists", False),
        ("attributes.cost", "exists", None),
        ("attributes.cost", "gt", 0),
        ("attributes.cost", "lte", 0.5),
        ("attributes.cost", "in", [1, 0.5]),
        ("attributes.cost", "regex", r"^0\.5$"),
        ("attributes.tags", "contains", "red"),
        ("attributes.dotted.key", "in", ["c", "d"]),
        ('resource.attributes["host.name"]', "eq", "test"),
        ("resource.attributes.host.name", "contains", "es"),
        ("scope.name", "eq", "untrace.testing"),
        ("kind", "eq", "CLIENT"),
        ("kind", "in", ["SPAN_KIND_CLIENT", "server"]),
        ("status.code", "lte", 2),
        ("duration_nanos", "gte", 1_000_000),
        ("parent_span_id", "exists", False),
        ("trace_id", "exists", True),
        ("trace_id", "neq", "00" * 16),
        ("start_time_unix_nano", "gt", 1),
        ('request["X-Tenant"]', "eq", "other"),
        ("metadata.x-tenant", "regex", "^ac"),
        ("metadata.nope", "exists", False),
        ("client.address", "eq", "127.0.0.1"),
        ("auth.subject", "eq", "me"),
        ("auth.nobody", "exists", False),
        ("$..b", "eq", "x"),
        ("attributes.*", "eq", 0.5),
        ("$.attributes.tags[*]", "regex", "^bl"),
        ("$.resource.attributes.*", "in", ["test"]),
        ("$.attributes[?(@.zz)]", "exists", False),
        ("$.nothing.here", "exists", False),
        ("span.name", "regex", "^chat [0-2]$"),
    ],
)
def test_holds_for_every_span(field: str, operator: str, value: Any) -> None:
    """Fields, operators and values, simple paths and JSONPath."""
    condition = {"field": field, "operator": operator, "value": value}
    assert mask(condition) == [True] * 6
    assert mask({"not": condition}) == [False] * 6


def test_conditions_nest() -> None:
    """all, any and not hold further conditions, OTTL strings among them."""
    named = {"field": "name", "operator": "eq", "value": "chat 1"}
    assert mask(named) == ODD
    assert mask({"all": [named, {"any": [{"not": named}, 'name == "chat 1"']}]}) == ODD
    assert mask({"any": ['name == "chat 1"', {"field": "attributes.nope", "operator": "exists"}]}) == ODD


def test_levels_and_signals() -> None:
    """The same form asks resources, metrics, records and events."""
    second = {"field": 'attributes["service.name"]', "operator": "eq", "value": "service-1"}
    assert mask(second, level=Level.RESOURCE) == [False, True]
    warned = {"field": "severity_number", "operator": "gte", "value": "WARN"}
    assert mask(warned, Signal.LOGS) == [False, True, True] * 2
    sums = {"field": "metric.type", "operator": "eq", "value": "sum"}
    assert mask(sums, Signal.METRICS) == ODD
    event = {"field": "span.name", "operator": "eq", "value": "chat 1"}
    assert mask(event, level=Level.EVENT) == ODD


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ({"field": "kind", "operator": "eq", "value": "CLIENTT"}, "did you mean CLIENT?"),
        ({"field": "trace_id", "operator": "eq", "value": "abc"}, "32 hexadecimal digits"),
        ({"field": "foo[", "operator": "exists"}, "no known field and no JSONPath"),
        ({"field": "$.a[?(@.b =~ '(a+)+')]", "operator": "exists"}, "use the operator regex"),
        ({"field": "name", "operator": "regex", "value": "("}, "no regular expression"),
        ({"field": "name", "operator": "regex", "value": 5}, "as a string"),
        ({"field": "name", "operator": "in", "value": "x"}, "a list"),
        ({"field": "name", "operator": "exists", "value": "yes"}, "true or false"),
        ({"field": "name", "operator": "eq", "value": 2**70}, "no value that telemetry can have"),
        ({"any": ["nam == 1"]}, "did you mean name?"),
    ],
)
def test_mistakes_are_told(condition: dict[str, Any], message: str) -> None:
    """What cannot be compiled says why."""
    with pytest.raises(ConditionError, match=message.replace("?", r"\?")):
        mask(condition)


@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"field": "name"},
        {"operator": "eq", "value": 1},
        {"field": "name", "operator": "like", "value": 1},
        {"field": "name", "operator": "eq", "all": ["true"]},
        {"all": []},
        {"all": ["true"], "value": 1},
        {"all": ["true"], "any": ["true"]},
        {"feild": "name", "operator": "eq"},
    ],
)
def test_shapes_are_checked(condition: dict[str, Any]) -> None:
    """Exactly one of the four forms, whole, and nothing unknown."""
    with pytest.raises(ValidationError):
        ConditionConfig.model_validate(condition)
