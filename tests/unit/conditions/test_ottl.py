"""OTTL conditions: what they mean, and what is said about those that mean nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from untrace_pipeline.conditions import compile_condition
from untrace_pipeline.conditions.functions import FUNCTIONS
from untrace_pipeline.data import Batch, Context, Level, Signal, Value
from untrace_pipeline.errors import ConditionError, EvaluationError
from untrace_pipeline.testing import make_batch

ATTRIBUTES: Mapping[str, Value] = {
    "i": 7,
    "f": 1.5,
    "s": "Hello",
    "n": "12",
    "b": True,
    "raw": b"abc",
    "list": ["a", 2, {"deep": "x"}],
    "map": {"k": {"l": [10, 20]}},
    "json": '{"a":[1,"two"]}',
    "ip": "10.1.2.3",
}
CONTEXT = Context(
    metadata={"x-tenant": ("acme", "other")}, auth={"subject": "me", "groups": ("a", "b")}, peer="[::1]:4711"
)


def batch(signal: Signal = Signal.TRACES) -> Batch:
    return make_batch(signal, 6, resources=2, attributes=ATTRIBUTES, resource={"env": "prod"}, context=CONTEXT)


ALWAYS = [
    'attributes["i"] == 7',
    'attributes["i"] >= 6.5 and attributes["f"] < 2',
    '7 == attributes["i"]',
    'attributes["missing"] == nil and nil == attributes["missing"]',
    'attributes["b"] == true and not (attributes["b"] == false)',
    'attributes["raw"] == 0x616263',
    'attributes["list"][2]["deep"] == "x"',
    'attributes["map"]["k"]["l"][1] == 20',
    'attributes["map"]["nope"]["deeper"] == nil',
    'attributes["list"] == ["a", 2, {"deep": "x"}]',
    'attributes["map"] == {"k": {"l": [10, 20]}}',
    'attributes["i"] * 2 - 4 / 2 == 12',
    'attributes["i"] / 2 == 3 and -attributes["i"] / 2 == -3',
    'attributes["i"] / 2.0 == 3.5',
    '(attributes["i"] + 1) * 2 == 16',
    "1 + 2 * 3 == 7 and -1 < .5 and +1 == 1",
    'resource.attributes["env"] == "prod"',
    'scope.name == "untrace.testing" and instrumentation_scope.version == "1"',
    'IsMatch(attributes["s"], "^H.l+o$") and IsMatch(attributes["i"], "7")',
    'not IsMatch(attributes["missing"], ".*")',
    'IsMatch("static", "tat") and IsMatch(attributes["s"], attributes["s"])',
    'IsString(attributes["s"]) and IsInt(attributes["i"]) and IsDouble(attributes["f"]) and IsBool(attributes["b"])',
    'IsMap(attributes["map"]) and IsList(attributes["list"]) and not IsString(attributes["missing"])',
    'IsEmpty(attributes["missing"]) and not IsEmpty(attributes["s"])',
    'Len(attributes["s"]) == 5 and Len(attributes["list"]) == 3 and Len(attributes["raw"]) == 3',
    'Concat([attributes["s"], attributes["i"], attributes["missing"]], "-") == "Hello-7-<nil>"',
    'Concat(delimiter="", values=["a", "b"]) == "ab"',
    'Int(attributes["n"]) == 12 and Int(attributes["f"]) == 1 and Int("x") == nil and Int(true) == 1',
    'Double(attributes["n"]) == 12.0 and Bool("true") and Bool(attributes["i"])',
    'String(attributes["i"]) == "7" and String(attributes["raw"]) == "616263"',
    'ToLowerCase(attributes["s"]) == "hello" and ConvertCase(attributes["s"], "upper") == "HELLO"',
    'HasPrefix(attributes["s"], "He") and HasSuffix(attributes["s"], "lo")',
    'ContainsValue(attributes["list"], "a") and not ContainsValue(attributes["list"], "z")',
    'Trim("  a ") == "a" and TrimPrefix("abc", "a") == "bc" and TrimSuffix("abc", "c") == "ab"',
    'Split("a,b", ",")[1] == "b"',
    'Substring(attributes["s"], 1, 3) == "ell" and Substring("aüb", 0, 2, utf8_safe=true) == "a"',
    'Index("üb", "b") == 2 and Index("ab", "x") == -1 and Index(attributes["list"], 2) == 1',
    'ParseJSON(attributes["json"])["a"][1] == "two" and ParseJSON(attributes["json"])["a"][0] == 1.0',
    'SHA256("a") == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"',
    'Hex(attributes["raw"]) == "616263"',
    'Coalesce([attributes["missing"], attributes["s"]]) == "Hello"',
    'IsInCIDR(attributes["ip"], ["192.168.0.0/16", "10.0.0.0/8"])',
    'request["X-Tenant"] == "other" and request["x-tenant"] != "acme"',
    'otelcol.client.metadata["X-Tenant"][0] == "acme" and otelcol.client.auth.attributes["subject"] == "me"',
    'otelcol.client.addr == "[::1]:4711"',
    'HasPrefix(request["X-Tenant"], "ac")',
    'Len(attributes) > 10 and attributes["i"] == 7',
    '"a\\"b\\\\\\n\\x41\\u00fc" == "a\\"b\\\\\nAü"',
    "true and not false",
]

HOSTILE = [
    'ParseXML("<!DOCTYPE a [<!ENTITY x \\"y\\">]><a>&x;</a>")["tag"] == "a"',
    f'ParseXML("{"<a>" * 5000}")["tag"] == "a"',
    'Format("%99999999d", [1]) == ""',
    'ParseInt(attributes["s"], 10) == 1',
    'Time(attributes["s"], "%Y-%m-%d") == Now()',
    'Decode(attributes["s"], "no-such-charset") == ""',
    'ParseKeyValue("a=\'b") == nil',
]

SPANS = [
    'kind == SPAN_KIND_CLIENT and kind.string == "Client" and kind.deprecated_string == "SPAN_KIND_CLIENT"',
    'span.name != "" and IsMatch(name, "^chat")',
    "IsRootSpan() and parent_span_id == SpanID(0x0000000000000000) and IsEmpty(parent_span_id)",
    'parent_span_id == SpanID("0000000000000000")',
    'trace_id != nil and trace_id != TraceID("00000000000000000000000000000000") and Len(trace_id.string) == 32',
    "trace_id != 0x00000000000000000000000000000000",
    'end_time - start_time > Duration("1ms") and end_time > start_time and start_time + Duration("1ns") > start_time',
    "Nanoseconds(end_time - start_time) == duration_nanos and Seconds(end_time - start_time) > 0",
    "UnixNano(start_time) == start_time_unix_nano and start_time < Now() and start_time != nil",
    'trace_state == "" and trace_state["ot"] == ""',
]


@pytest.mark.parametrize("text", ALWAYS)
def test_holds_for_every_signal(text: str) -> None:
    """What is said about attributes, literals and the request means the same for spans, records and points."""
    for signal in Signal:
        data = batch(signal)
        assert compile_condition(text, signal).answers(data) == [True] * 6
        assert compile_condition(f"not ({text})", signal).answers(data) == [False] * 6


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_values_have_no_answer(text: str) -> None:
    """What cannot be parsed, or would take all memory, is an error of its row, or of a constant condition."""
    try:
        answers = compile_condition(text, Signal.TRACES).answers(batch())
    except ConditionError:
        return
    assert all(isinstance(answer, EvaluationError) for answer in answers)


@pytest.mark.parametrize("text", SPANS)
def test_holds_for_spans(text: str) -> None:
    """Paths, ids, times and functions of spans."""
    assert compile_condition(text, Signal.TRACES).answers(batch()) == [True] * 6


def test_rows_are_told_apart() -> None:
    """A mask has one answer per row, in order."""
    data = batch()
    assert compile_condition('name == "chat 1"', Signal.TRACES).mask(data) == [False, True, False] * 2
    in_second = compile_condition('resource.attributes["service.name"] == "service-1"', Signal.TRACES)
    assert in_second.mask(data) == [False] * 3 + [True] * 3
    assert compile_condition("status.code == STATUS_CODE_ERROR", Signal.TRACES).mask(data) == [True, False, False] * 2


def test_levels_have_rows_of_their_own() -> None:
    """The same language asks resources, scopes, metrics and events."""
    data = batch()
    service = compile_condition('attributes["service.name"] == "service-1"', Signal.TRACES, Level.RESOURCE)
    assert service.mask(data) == [False, True]
    assert compile_condition('name == "untrace.testing"', Signal.TRACES, Level.SCOPE).mask(data) == [True, True]
    event = compile_condition('name == "gen_ai.choice" and span.name == "chat 0"', Signal.TRACES, Level.EVENT)
    assert event.mask(data) == [True, False, False] * 2


def test_logs() -> None:
    """Bodies, severities and their constants."""
    data = batch(Signal.LOGS)
    assert compile_condition('body == "message 1"', Signal.LOGS).mask(data) == [False, True, False] * 2
    warned = compile_condition("log.severity_number >= SEVERITY_NUMBER_WARN", Signal.LOGS)
    assert warned.mask(data) == [False, True, True] * 2
    assert compile_condition('IsMatch(body.string, "2$")', Signal.LOGS).mask(data) == [False, False, True] * 2


def test_metrics() -> None:
    """Types by constant, values by type, and points asked from their metric."""
    data = make_batch(Signal.METRICS, 5)
    kinds = compile_condition("metric.type == METRIC_DATA_TYPE_SUM", Signal.METRICS)
    assert kinds.mask(data) == [False, True, False, False, False]
    assert compile_condition("value_int == 1", Signal.METRICS).mask(data) == [False, True, False, False, False]
    assert compile_condition("value_double > 0.0", Signal.METRICS).mask(data) == [True] + [False] * 4
    has = compile_condition('HasAttrOnDatapoint("n", "")', Signal.METRICS, Level.METRIC)
    assert has.mask(data) == [True] * 5
    assert not any(compile_condition('HasAttrKeyOnDatapoint("x")', Signal.METRICS, Level.METRIC).mask(data))


@pytest.mark.parametrize(
    "text",
    [
        'attributes["list"][9] == 1',
        'attributes["s"]["x"] == 1',
        'attributes["i"] / 0 == 1',
        'attributes["s"] + 1 == 2',
        'HasPrefix(attributes["missing"], "a")',
        'not HasPrefix(attributes["missing"], "a")',
        'Double(attributes["s"]) == 1',
        'Len(attributes["i"]) == 1',
        'Substring(attributes["s"], 1, 99) == "x"',
        'Index(attributes["i"], 1) == 0',
        'ParseJSON(attributes["s"])["x"] == 1',
        'IsMatch(attributes["s"], attributes["raw"])',
        'IsMatch(attributes["s"], Concat(["(", attributes["s"]], ""))',
        'Coalesce([attributes["missing"], attributes["i"]]) == 7 and String(attributes["s"])[9] == 1',
        'attributes["i"] == 7 and attributes["list"][9] == 1',
        'attributes["i"] == 8 or attributes["list"][9] == 1',
        'attributes["list"][9] == 1 or attributes["i"] == 7',
    ],
)
def test_no_answer_is_neither_true_nor_an_exception(text: str) -> None:
    """Where OTTL has an error, the row has one, and the mask is false there."""
    condition = compile_condition(text, Signal.TRACES)
    assert {type(answer) for answer in condition.answers(batch())} == {EvaluationError}
    assert condition.mask(batch()) == [False] * 6


@pytest.mark.parametrize(
    "text",
    ['attributes["i"] == 8 and attributes["list"][9] == 1', 'attributes["i"] == 7 or attributes["list"][9] == 1'],
)
def test_what_is_not_needed_cannot_fail(text: str) -> None:
    """and, or stop where the answer is known, as they do in OTTL."""
    answers = compile_condition(text, Signal.TRACES).answers(batch())
    assert {type(answer) for answer in answers} == {bool}


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("nam == 1", "did you mean name?", 0),
        ('name == "x" and status.cod == 1', "did you mean status.code?", 16),
        ("name == SPAN_KIND_SERVR", "did you mean SPAN_KIND_SERVER?", 8),
        ('IsMatsh(name, "x")', "did you mean IsMatch?", 0),
        ('isMatch(name, "x")', "functions begin with a capital letter", 0),
        ("IsMatch(name)", "takes (target, pattern)", 0),
        ('IsMatch(target=name, patern="x")', "did you mean pattern?", 0),
        ('IsMatch(name, "(")', "missing )", 0),
        ("log.body == 1", "stands at a span", 0),
        ('attributes["x"]', "compare it", 0),
        ("1", "not true or false", 0),
        ("name == ", "the end is not expected here", 7),
        ("name = 1", "comparison is written ==", 5),
        ("name == 'x'", "double quotes", 8),
        ('name == "x', "has no end", 8),
        ('name == "\\d"', "no escape", 9),
        ('name == "x" && true', "'&' means nothing", 12),
        ("name == 0xabc", "even number", 8),
        ("flags == 99999999999999999999", "64 bits", 9),
        ("(name == nil", "expected", 12),
        ('name["x"] == 1', "cannot be indexed", 0),
        ('attributes["x"].y == 1', "followed by a name", 0),
        ("start_time + end_time == 1", "does not work on a time and a time", 11),
        ('Duration("x") > Duration("1s")', "no duration", 0),
        ("Seconds(name) == 1", "needs a duration", 0),
        ("TraceID(0xab) == trace_id", "16 bytes", 0),
        ('HasAttrKeyOnDatapoint("x")', "only a metric", 0),
        ('Concat(name, "x") == "x"', "a list written out", 7),
        ('ConvertCase(name, "title") == "x"', "one of lower, upper, snake, camel", 0),
        ("otelcol.client.nope == 1", "there is no otelcol.client.nope", 0),
        ("request == 1", "headers are written", 0),
        ("(name == nil) == 1", "cannot be used as a value", 6),
        ("1 / 0 == 1", "division", 2),
        ("", "is empty", None),
    ],
)
def test_mistakes_are_pointed_at(text: str, message: str, column: int | None) -> None:
    """A condition that cannot be compiled says what is wrong, with a caret under the place."""
    with pytest.raises(ConditionError) as caught:
        compile_condition(text, Signal.TRACES)
    assert message in str(caught.value)
    assert caught.value.position == column
    if column is not None:
        assert str(caught.value).endswith(f"\n  {text}\n  {' ' * column}^")


def test_the_caret_stands_in_the_right_line() -> None:
    """In a condition of several lines only the guilty one is shown."""
    with pytest.raises(ConditionError) as caught:
        compile_condition('name == "a"\nor nam == "b"', Signal.TRACES)
    assert str(caught.value).endswith('\n  or nam == "b"\n     ^')


def test_nesting_is_bounded() -> None:
    """A condition nested beyond reason is refused, not a crash."""
    deep = "not " * 3000 + "true"
    with pytest.raises(ConditionError, match="too deep"):
        compile_condition(deep, Signal.TRACES)


def test_only_the_fields_needed_are_read() -> None:
    """A condition on the request alone reads nothing; equal texts are compiled once."""
    assert compile_condition('request["a"] == "b"', Signal.TRACES).fields == ()
    assert len(compile_condition('name == "a" or name == "b"', Signal.TRACES).fields) == 1
    assert compile_condition("true", Signal.LOGS) is compile_condition("true", Signal.LOGS)


def test_every_function_is_documented() -> None:
    """docs/conditions.md lists exactly the functions that conditions know."""
    page = (Path(__file__).parents[3] / "docs" / "conditions.md").read_text(encoding="utf-8")
    listed = page.partition("<!-- functions -->")[2].partition("<!-- /functions -->")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == set(FUNCTIONS)
