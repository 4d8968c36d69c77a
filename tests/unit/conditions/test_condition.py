"""Conditions over batches: groups, hostile data, and agreement with an evaluator that takes one row at a time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from untrace_pipeline.conditions import (
    ConditionConfig,
    Conditions,
    MatchProperties,
    compile_condition,
    group_level,
    selected,
)
from untrace_pipeline.conditions.compare import Comparison, compare
from untrace_pipeline.data import Batch, Context, Level, Signal, Value
from untrace_pipeline.errors import ConditionError
from untrace_pipeline.testing import make_batch, make_request
from untrace_pipeline.testing.generate import to_any_value

KEYS = ("v", "w")
SIMPLE: list[Value] = [None, 0, 1, -1, 2**62, 1.0, 1.5, math.nan, math.inf, True, False, "", "1", "a", "b", b"", b"a"]
NESTED: list[Value] = [[], [1, "a"], {}, {"k": [1, {"z": "x"}]}, {"k": None}]
Row = dict[str, Value]
Evaluate = Callable[[Row], bool | None]


def spans(rows: list[Row]) -> Batch:
    """Return one span for each row of attributes."""
    request: Any = make_request(Signal.TRACES, len(rows))
    for span, row in zip(request.resource_spans[0].scope_spans[0].spans, rows, strict=True):
        del span.attributes[:]
        for key, value in row.items():
            span.attributes.add(key=key).value.CopyFrom(to_any_value(value))
    return Batch(Signal.TRACES, request.SerializeToString())


# ------------------------------------- an evaluator that is slow and obvious; None is an error


def literal(value: Value) -> str:
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bytes):
        return f"0x{value.hex()}"
    return f"{value:f}" if isinstance(value, float) else str(value)


LITERALS = [value for value in SIMPLE if not (isinstance(value, float) and not math.isfinite(value)) and value != b""]


@st.composite
def comparisons(draw: st.DrawFn) -> tuple[str, Evaluate]:
    key, how, constant = draw(st.sampled_from(KEYS)), draw(st.sampled_from(Comparison)), draw(st.sampled_from(LITERALS))
    if draw(st.booleans()):
        return f'attributes["{key}"] {how} {literal(constant)}', lambda row: compare(how, row.get(key), constant)
    return f'{literal(constant)} {how} attributes["{key}"]', lambda row: compare(how, constant, row.get(key))


@st.composite
def pairs(draw: st.DrawFn) -> tuple[str, Evaluate]:
    how = draw(st.sampled_from(Comparison))
    return f'attributes["v"] {how} attributes["w"]', lambda row: compare(how, row.get("v"), row.get("w"))


@st.composite
def indexed(draw: st.DrawFn) -> tuple[str, Evaluate]:
    key, constant = draw(st.sampled_from(KEYS)), draw(st.sampled_from(LITERALS))

    def evaluate(row: Row) -> bool | None:
        value = row.get(key)
        if value is None:
            return compare(Comparison.EQ, None, constant)
        return compare(Comparison.EQ, value.get("k"), constant) if isinstance(value, dict) else None

    return f'attributes["{key}"]["k"] == {literal(constant)}', evaluate


def prefixed() -> st.SearchStrategy[tuple[str, Evaluate]]:
    def evaluate(row: Row) -> bool | None:
        value = row.get("v")
        return value.startswith("a") if isinstance(value, str) else None

    return st.just(('HasPrefix(attributes["v"], "a")', evaluate))


def both(a: tuple[str, Evaluate], b: tuple[str, Evaluate]) -> tuple[str, Evaluate]:
    def evaluate(row: Row) -> bool | None:
        first = a[1](row)
        return b[1](row) if first is True else first

    return f"({a[0]} and {b[0]})", evaluate


def either(a: tuple[str, Evaluate], b: tuple[str, Evaluate]) -> tuple[str, Evaluate]:
    def evaluate(row: Row) -> bool | None:
        first = a[1](row)
        return b[1](row) if first is False else first

    return f"({a[0]} or {b[0]})", evaluate


def opposite(a: tuple[str, Evaluate]) -> tuple[str, Evaluate]:
    def evaluate(row: Row) -> bool | None:
        found = a[1](row)
        return None if found is None else not found

    return f"(not {a[0]})", evaluate


CONDITIONS = st.recursive(
    comparisons() | pairs() | indexed() | prefixed(),
    lambda inner: st.builds(both, inner, inner) | st.builds(either, inner, inner) | st.builds(opposite, inner),
    max_leaves=6,
)
ROWS = st.lists(st.dictionaries(st.sampled_from(KEYS), st.sampled_from(SIMPLE + NESTED)), min_size=1, max_size=6)


@settings(max_examples=300, deadline=None)
@given(CONDITIONS, ROWS)
def test_columns_agree_with_rows(condition: tuple[str, Evaluate], rows: list[Row]) -> None:
    """A condition over columns gives what evaluating it row by row gives, errors included."""
    text, evaluate = condition
    answers = compile_condition(text, Signal.TRACES).answers(spans(rows))
    assert [answer if isinstance(answer, bool) else None for answer in answers] == [evaluate(row) for row in rows]


# ------------------------------------------------------------------ hostile data

EXPRESSIONS = [
    'attributes["v"] < 5',
    'attributes["v"] == attributes["w"]',
    'attributes["v"]["k"][1]["z"] == "x"',
    'IsMatch(attributes["v"], "^(a+)+$")',
    'Concat([attributes["v"], attributes["w"]], "") == "x"',
    'Int(attributes["v"]) + Int(attributes["w"]) > Len(attributes["v"])',
    'Double(attributes["v"]) / Double(attributes["w"]) > 0.5',
    'ParseJSON(attributes["v"])["a"] == 1',
    'IsInCIDR(attributes["v"], ["10.0.0.0/8"])',
    'TraceID(attributes["v"]) == trace_id',
    'Duration(attributes["v"]) > Duration("1s")',
    'Split(attributes["v"], "")[0] == "a"',
    'IsMatch("a", attributes["v"])',
    'SHA256(attributes["v"]) == "x" or Hex(attributes["v"]) == "y"',
]
FORMS: list[dict[str, Any]] = [
    {"field": "attributes.v", "operator": "regex", "value": "^(a+)+$"},
    {"field": "attributes.v", "operator": "contains", "value": "a"},
    {"field": "attributes.v", "operator": "gt", "value": 1},
    {"field": 'attributes["v"]["k"][1]["z"]', "operator": "eq", "value": "x"},
    {"field": "$..k[?(@.z > 1)]", "operator": "exists"},
    {"field": "$.attributes.v.`len`", "operator": "gt", "value": 1},
    {"field": "attributes.*", "operator": "regex", "value": "a"},
    {"field": "attributes.v", "operator": "in", "value": [1, "a", None, [1, "a"]]},
]


def deep(depth: int) -> Value:
    value: Value = "bottom"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("condition", [*EXPRESSIONS, *FORMS], ids=str)
def test_no_data_makes_a_mask_fail(condition: Any) -> None:
    """Whatever attributes hold, a mask has one boolean per row and no exception leaves it."""
    values = [*SIMPLE, *NESTED, "9" * 5000, "[" * 5000, "\x00", "\ud7ff\U0010ffff", "10.0.0.1", deep(25), -(2**63)]
    rows: list[Row] = [{"v": v, "w": w} for v in values for w in (None, v, 0)]
    source = ConditionConfig.model_validate(condition) if isinstance(condition, dict) else condition
    mask = compile_condition(source, Signal.TRACES).mask(spans(rows))
    assert len(mask) == len(rows)
    assert {type(answer) for answer in mask} <= {bool}


def test_what_went_wrong_is_told_without_the_data() -> None:
    """Errors go to the log: they name types, not what attributes hold."""
    data = spans([{"v": "secret-4711", "w": "secret-4711"}])
    texts = [
        'Duration(attributes["v"]) > Duration("1s")',
        'IsInCIDR(attributes["v"], ["10.0.0.0/8"])',
        'ParseJSON(attributes["v"])["a"] == 1',
        'TraceID(attributes["v"]) == trace_id',
        'Double(attributes["v"]) == 1',
        'attributes["v"][attributes["w"]] == 1',
        'IsMatch("a", Concat(["(", attributes["v"]], ""))',
        'attributes["v"] + 1 == 2',
    ]
    for text in texts:
        (answer,) = compile_condition(text, Signal.TRACES).answers(data)
        assert not isinstance(answer, bool)
        assert "secret" not in str(answer)


def test_patterns_take_linear_time() -> None:
    """A pattern that ruins backtracking engines is searched at once."""
    data = spans([{"v": "a" * 50_000 + "!"}])
    begin = time.process_time()
    assert compile_condition('IsMatch(attributes["v"], "^(a+)+$")', Signal.TRACES).mask(data) == [False]
    assert time.process_time() - begin < 5


def test_an_empty_request_has_an_empty_mask() -> None:
    """No rows, no answers."""
    for text in ('name == "x"', "true", "Now() == nil"):
        assert compile_condition(text, Signal.TRACES).mask(Batch(Signal.TRACES, b"")) == []


# ------------------------------------------------------------------------ groups


def test_any_of_several_passes_over_rows_without_an_answer() -> None:
    """Where one condition has no answer, the next is asked; the first trouble is told with its condition."""
    texts = ['attributes["cached"]["x"] == 1', 'name == "chat 0"', 'name == "chat 1"']
    group = Conditions([compile_condition(text, Signal.TRACES) for text in texts], Level.ITEM)
    mask, trouble = group.any(make_batch(items=6))
    assert mask == [True, True, False] * 2
    assert trouble is not None
    assert trouble.startswith(texts[0])


def test_conditions_on_the_request_need_no_batch() -> None:
    """What asks only the request is answered from its context."""
    condition = compile_condition('request["X-Tenant"] == "acme"', Signal.LOGS)
    assert condition.holds(Context(metadata={"x-tenant": ("acme",)}))
    assert not condition.holds(Context())


@pytest.mark.parametrize(
    ("texts", "context", "level"),
    [
        (["span.name == 1", "spanevent.name == 1"], "", Level.EVENT),
        (["span.name == 1", "resource.schema_url == 1"], "", Level.ITEM),
        (["scope.name == 1", "resource.schema_url == 1"], "", Level.SCOPE),
        (["resource.schema_url == 1"], "", Level.RESOURCE),
        (['request["a"] == "b"'], "", Level.ITEM),
        (["name == 1"], "scope", Level.SCOPE),
        (["name == 1"], "Span", Level.ITEM),
    ],
)
def test_the_innermost_context_decides(texts: list[str], context: str, level: Level) -> None:
    """Conditions that stand together are asked at the level of the innermost context that any of them names."""
    assert group_level(texts, context, Signal.TRACES) is level


def test_a_context_must_be_named() -> None:
    """Bare paths say nothing about their level, and foreign contexts are refused."""
    with pytest.raises(ConditionError, match="Name the context"):
        group_level(['name == "x"'], "", Signal.TRACES)
    with pytest.raises(ConditionError, match="no context of traces"):
        group_level(["true"], "metric", Signal.TRACES)


# -------------------------------------------------------------- include, exclude


FIRST_HALF = [True] * 3 + [False] * 3


@pytest.mark.parametrize(
    ("properties", "signal", "mask"),
    [
        ({"match_type": "strict", "span_names": ["chat 1"]}, Signal.TRACES, [False, True, False] * 2),
        ({"match_type": "regexp", "span_names": ["1$", "2$"]}, Signal.TRACES, [False, True, True] * 2),
        ({"match_type": "strict", "services": ["service-1"]}, Signal.TRACES, [False] * 3 + [True] * 3),
        ({"match_type": "strict", "span_kinds": ["SPAN_KIND_CLIENT"]}, Signal.TRACES, [True] * 6),
        ({"match_type": "strict", "attributes": [{"key": "f", "value": 1e-7}]}, Signal.TRACES, [True] * 6),
        ({"match_type": "strict", "attributes": [{"key": "f", "value": "1e-7"}]}, Signal.TRACES, [False] * 6),
        ({"match_type": "regexp", "attributes": [{"key": "f", "value": "0.0000001"}]}, Signal.TRACES, [True] * 6),
        ({"match_type": "strict", "attributes": [{"key": "f"}, {"key": "nope"}]}, Signal.TRACES, [False] * 6),
        ({"match_type": "strict", "libraries": [{"name": "untrace.testing", "version": "1"}]}, Signal.LOGS, [True] * 6),
        ({"match_type": "strict", "libraries": [{"name": "other"}]}, Signal.LOGS, [False] * 6),
        ({"match_type": "regexp", "log_bodies": ["2$"]}, Signal.LOGS, [False, False, True] * 2),
        ({"match_type": "strict", "log_severity_texts": ["WARN"]}, Signal.LOGS, [False, True, False] * 2),
        ({"match_type": "strict", "log_severity_number": {"min": 13}}, Signal.LOGS, [False, True, True] * 2),
        ({"match_type": "strict", "metric_names": ["gen_ai.metric.1"]}, Signal.METRICS, [False, True, False] * 2),
        ({"match_type": "regexp", "resources": [{"key": "service.name", "value": "0$"}]}, Signal.METRICS, FIRST_HALF),
    ],
)
def test_properties_select(properties: dict[str, Any], signal: Signal, mask: list[bool]) -> None:
    """Each list of names selects, and excluding is the opposite of including."""
    data = make_batch(signal, 6, resources=2, attributes={"f": 1e-7})
    match = MatchProperties.model_validate(properties)
    assert selected(match, None, signal).mask(data) == mask
    assert selected(None, match, signal).mask(data) == [not wanted for wanted in mask]
    assert selected(match, match, signal).mask(data) == [False] * 6


def test_properties_fit_their_signal() -> None:
    """Span names cannot select logs."""
    with pytest.raises(ConditionError, match="span_names cannot select logs"):
        selected(MatchProperties.model_validate({"match_type": "strict", "span_names": ["x"]}), None, Signal.LOGS)
