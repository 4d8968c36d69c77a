"""Statements on batches: what they write, in which order, and what they say about rows without an answer."""

from __future__ import annotations

from typing import Any

import pytest

from untrace_pipeline.conditions import compile_form
from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Signal, Value, attribute
from untrace_pipeline.errors import ConditionError
from untrace_pipeline.statements import compile_sequence, statement_level
from untrace_pipeline.statements.sequence import Way
from untrace_pipeline.testing import make_batch

NAME = Field(Level.ITEM, "name")
X = attribute("x")


def spans(items: int = 6, **attributes: Value) -> Batch:
    return make_batch(Signal.TRACES, items, resources=2, attributes=attributes, resource={"env": "prod"})


def run(batch: Batch, *statements: str, level: Level = Level.ITEM, conditions: tuple[str, ...] = ()) -> list[Any]:
    """Run statements, write, and read the batch again; return what went wrong."""
    compiled = [compile_form(one, batch.signal, level) for one in conditions]
    troubles = compile_sequence(statements, compiled, batch.signal, level).run(batch)
    batch.to_otlp()
    return [(text, trouble.rows, trouble.first) for text, trouble in troubles]


@pytest.mark.parametrize(
    ("statement", "before", "after"),
    [
        ('set(attributes["x"], 2)', 1, 2),
        ('set(attributes["x"], nil)', 1, 1),
        ('set(attributes["x"], attributes["x"] * 2)', 21, 42),
        ('set(attributes["x"]["a"][1], "b")', {"a": [1, 2]}, {"a": [1, "b"]}),
        ('set(attributes["x"]["new"]["deep"], 1)', {"a": 1}, {"a": 1, "new": {"deep": 1}}),
        ('set(attributes["x"][Concat(["a", "b"], "")], 1)', {}, {"ab": 1}),
        ('delete_key(attributes, "x")', 1, None),
        ('delete_key(attributes["x"], "a")', {"a": 1, "b": 2}, {"b": 2}),
        ('delete_matching_keys(attributes["x"], "^a")', {"a": 1, "ab": 2, "b": 3}, {"b": 3}),
        ('keep_matching_keys(attributes["x"], "^a")', {"a": 1, "b": 3}, {"a": 1}),
        ('keep_keys(attributes["x"], ["a", "z"])', {"a": 1, "b": 3}, {"a": 1}),
        ('limit(attributes["x"], 2, ["c"])', {"a": 1, "b": 2, "c": 3}, {"a": 1, "c": 3}),
        ('truncate_all(attributes["x"], 3)', {"a": "äöü", "b": 12345}, {"a": "ä", "b": 12345}),
        ('truncate_all(attributes["x"], 4, truncation_marker="..")', {"a": "abcdef"}, {"a": "ab.."}),
        ('stringify_all(attributes["x"])', {"a": 1, "b": [True]}, {"a": "1", "b": "[true]"}),
        ('flatten(attributes["x"])', {"a": {"b": [1, {"c": 2}]}}, {"a.b.0": 1, "a.b.1.c": 2}),
        ('flatten(attributes["x"], "p", 1)', {"a": {"b": {"c": 2}}}, {"p.a.b": {"c": 2}}),
        ('merge_maps(attributes["x"], {"a": 9, "b": 9}, "insert")', {"a": 1}, {"a": 1, "b": 9}),
        ('merge_maps(attributes["x"], {"a": 9, "b": 9}, "update")', {"a": 1}, {"a": 9}),
        ('merge_maps(attributes["x"], {"a": 9, "b": 9}, "upsert")', {"a": 1}, {"a": 9, "b": 9}),
        ('append(attributes["x"], "b")', "a", ["a", "b"]),
        ('append(attributes["x"], values=["b", 3])', ["a"], ["a", "b", 3]),
        ('delete_index(attributes["x"], 0)', ["a", "b"], ["b"]),
        ('delete_index(attributes["x"], 0, 2)', ["a", "b"], []),
        ('replace_pattern(attributes["x"], "(b+)", "<$1>")', "abbc", "a<bb>c"),
        ('replace_pattern(attributes["x"], "(?P<n>b)", "${n}$n$$$9")', "abc", "abb$c"),
        ('replace_pattern(attributes["x"], "b", "1", MD5, "{%s}")', "abc", "a{c4ca4238a0b923820dcc509a6f75849b}c"),
        ('replace_pattern(attributes["x"], "b", "c")', 7, 7),
        ('replace_all_patterns(attributes["x"], "value", "b", "c")', {"b": "ab", "n": 1}, {"b": "ac", "n": 1}),
        ('replace_all_patterns(attributes["x"], "key", "b", "c")', {"b": "ab"}, {"c": "ab"}),
        ('replace_match(attributes["x"], "/user/*/list/?", "list")', "/user/1/2/list/3", "list"),
        ('replace_match(attributes["x"], "{a,b}[!c]", "list")', "ac", "ac"),
        ('replace_all_matches(attributes["x"], "a*", "b")', {"k": "abc", "l": "c"}, {"k": "b", "l": "c"}),
    ],
)
def test_editors(statement: str, before: Value, after: Value) -> None:
    """What each editor makes of an attribute, written and read again."""
    batch = spans(x=before)
    assert run(batch, statement) == []
    assert batch.column(X) == [after] * 6


@pytest.mark.parametrize(
    ("statement", "before", "error"),
    [
        ('set(name, attributes["x"])', 1, "a string is needed, not int"),
        ('set(attributes["x"]["a"], 1)', "text", "cannot be indexed"),
        ('set(attributes["x"][5], 1)', [1], "out of bounds"),
        ('set(attributes["new"][99999999], 1)', 1, "out of bounds"),
        ('delete_key(attributes["x"], "a")', 1, "a map is needed"),
        ('append(attributes["x"], attributes["x"][9])', ["a"], "out of bounds"),
        ('delete_index(attributes["x"], 7)', ["a"], "out of bounds"),
        ('replace_pattern(attributes["x"], attributes["x"], "")', "(", "no regular expression"),
        ('set(kind, attributes["x"])', 1 << 40, "does not fit"),
        ('set(attributes["y"], ParseJSON(attributes["x"]))', "[" * 5000 + "]" * 5000, ""),
        ('set(attributes["y"], ParseJSON(attributes["x"]))', "[" * 50 + "]" * 50, "deep"),
        ('set(attributes["y"], 1) where ParseJSON(attributes["x"])["a"] == 1', "no json", "no JSON"),
    ],
)
def test_rows_without_an_answer_stay(statement: str, before: Value, error: str) -> None:
    """A row that a statement has no answer for stays as it is; the others are edited, and later statements run."""
    batch = spans(x=before)
    batch.set(X, [None], [2])
    name = batch.column(NAME)
    ((text, rows, first),) = run(batch, statement, 'set(attributes["later"], true)')
    assert text == statement
    assert rows >= 5
    assert error in first
    assert batch.column(X)[0] == before
    assert batch.column(NAME) == name
    assert batch.column(attribute("later")) == [True] * 6


def test_errors_never_show_data() -> None:
    """What is said about a row names types, not values: it goes to the log."""
    batch = spans(x="jane@example.com")
    troubles = run(batch, 'set(kind, attributes["x"])', 'set(attributes["y"], Int(attributes["x"]) + 1)')
    assert len(troubles) == 2
    assert "jane" not in str([first for _, _, first in troubles])


def test_text_is_always_valid_utf8() -> None:
    """Half a character, or a lone surrogate out of JSON, becomes something that every receiver reads."""
    batch = spans(x="aäb", y='["\\ud800x"]')
    assert (
        run(
            batch,
            'set(attributes["a"], Substring(attributes["x"], 0, 2))',
            'set(attributes["b"], ParseJSON(attributes["y"])[0])',
        )
        == []
    )
    assert batch.column(attribute("a"))[0] == "a\ufffd"
    assert batch.column(attribute("b"))[0] == "?x"


def test_where_and_order() -> None:
    """Statements see what those before them did, on the rows that they are meant for."""
    batch = spans()
    run(
        batch,
        'set(attributes["x"], 1) where name == "chat 1"',
        'set(name, "one") where attributes["x"] == 1',
        'set(attributes["x"], 2) where name != "one"',
    )
    assert batch.column(X) == [2, 1, 2, 2, 1, 2]


def test_group_conditions() -> None:
    """Statements run on rows that satisfy one of the group's conditions; one without an answer counts as not met."""
    batch = spans()
    troubles = run(
        batch, 'set(attributes["x"], 1)', conditions=('name == "chat 1"', "Int(name) / 0 == 1", 'name == "chat 2"')
    )
    assert batch.column(X) == [None, 1, 1, None, 1, 1]
    assert troubles[0][:2] == ("conditions", 6)


def test_cache_belongs_to_a_row_and_a_run() -> None:
    """Notes are kept per row, and are gone in the next group."""
    batch = spans()
    run(batch, 'set(cache["n"]["m"], name)', 'set(attributes["x"], cache["n"]["m"])')
    assert batch.column(X) == batch.column(NAME)
    run(batch, 'set(attributes["x"], "empty") where cache["n"] == nil and Len(cache) == 0')
    assert batch.column(X) == ["empty"] * 6


READ_FIRST = ('set(span.attributes["x"], resource.attributes["n"])', 'set(resource.attributes["n"], span.name)')
CASES = [
    (Way.COLUMNS, ('set(resource.attributes["n"], span.name)', 'set(span.attributes["x"], 1)')),
    (Way.OUTER_FIRST, ('set(resource.attributes["n"], "a")', 'set(span.attributes["x"], resource.attributes["n"])')),
    (
        Way.OUTER_FIRST,
        ('keep_keys(resource.attributes, ["env"])', 'set(resource.attributes["n"], 1)', 'set(span.name, "x")'),
    ),
    (Way.ROWS, READ_FIRST),
    (
        Way.OUTER_FIRST,
        ('append(resource.attributes["n"], "x")', 'set(span.attributes["x"], Len(resource.attributes["n"]))'),
    ),
    (Way.ROWS, ('append(resource.attributes["n"], span.name)', 'set(span.name, "x")')),
]


@pytest.mark.parametrize(("way", "statements"), CASES)
def test_rows_that_share_a_resource(way: Way, statements: tuple[str, ...]) -> None:
    """Whatever way was chosen, the outcome is that of one row after the other."""
    sequence = compile_sequence(statements, [], Signal.TRACES, Level.ITEM)
    assert sequence.way is way
    batch, expected = spans(), spans()
    assert sequence.run(batch) == []
    troubles: dict[str, Any] = {}
    sequence._run_rows(expected, troubles)  # the reference: OTTL's own order
    assert batch.to_otlp() == expected.to_otlp()


def test_unchanged_requests_are_not_rewritten() -> None:
    """Statements that change nothing leave the bytes alone."""
    batch = spans(x=1)
    payload = batch.to_otlp()
    run(
        batch,
        'set(attributes["x"], 2) where name == "other"',
        "limit(attributes, 100, [])",
        'delete_key(attributes, "no")',
    )
    assert not batch.edited
    assert batch.to_otlp() == payload


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ('sett(name, "x")', "did you mean set?", 0),
        ('Set(name, "x")', "begin with a small letter", 0),
        ('set("x", "y")', "can be written to is needed", 4),
        ("set(name)", "takes (target, value)", 0),
        ('set(name, "x") were true', "not expected here", 15),
        ('set(name, "x") where nam == 1', "did you mean name?", 21),
        ("set(duration_nanos, 1)", "cannot be written", 4),
        ('set(request["x"], 1)', "cannot be written", 4),
        ("set(start_time, 1)", "a time is needed here, not a value", 0),
        ('set(attributes["x"], start_time)', "UnixNano", 0),
        ("set(trace_id, 0x01)", "TraceID", 0),
        ("limit(attributes, -1, [])", "cannot be negative", 0),
        ('limit(attributes, 1, ["a", "b"])', "less than the number", 0),
        ("truncate_all(attributes, name)", "whole number written out", 0),
        ('truncate_all(attributes, 1, truncation_marker="..")', "longer than the limit", 0),
        ('merge_maps(attributes, attributes, "append")', "insert, update or upsert", 0),
        ('replace_pattern(name, "(", "x")', "missing )", 0),
        ('replace_match(name, "{a", "x")', "a { without its }", 0),
        ('replace_match(name, "[a", "x")', "a [ without its ]", 0),
        ('replace_pattern(name, "a", "b", Nope)', "no function of one value", 0),
        ('replace_pattern(name, "a", "b", SHA256, "%d")', "%s once", 0),
        ('replace_all_patterns(attributes, "both", "a", "b")', "key or value", 0),
        ("flatten(attributes, depth=0)", "greater than 0", 0),
        ("append(name)", "value or values is needed", 0),
        ('set(resource.cache["a"], 1)', "no readable cache", 13),
        ("", "the statement is empty", None),
    ],
)
def test_mistakes_are_pointed_at(text: str, message: str, column: int | None) -> None:
    """A statement that cannot be compiled says what is wrong, with a caret under the place."""
    with pytest.raises(ConditionError) as caught:
        compile_sequence([text], [], Signal.TRACES, Level.ITEM)
    assert message in str(caught.value)
    assert caught.value.position == column


@pytest.mark.parametrize(
    ("signal", "statements", "context", "level"),
    [
        (Signal.TRACES, ['set(span.name, resource.attributes["a"])'], "", Level.ITEM),
        (Signal.TRACES, ["set(span.name, spanevent.name)"], "", Level.EVENT),
        (Signal.TRACES, ['set(resource.attributes["a"], 1)'], "", Level.RESOURCE),
        (Signal.METRICS, ['set(metric.name, "a")', "set(datapoint.flags, 1)"], "", Level.ITEM),
        (Signal.LOGS, ['set(attributes["a"], 1)'], "scope", Level.SCOPE),
    ],
)
def test_level_of_statements(signal: Signal, statements: list[str], context: str, level: Level) -> None:
    """Statements stand at the innermost context that they name."""
    assert statement_level(statements, [], context, signal) is level


def test_whole_maps_are_read_once_and_written_by_key() -> None:
    """An edit of whole maps and edits of single keys see each other."""
    batch = spans(x="1", long="abcdef")
    run(batch, 'set(attributes["y"], "zzzzzz")', "truncate_all(attributes, 3)", 'set(attributes["z"], attributes["y"])')
    (attributes,) = {repr(sorted(a.items())) for a in batch.column(Field(Level.ITEM, ATTRIBUTES))[:1]}  # type: ignore[union-attr]
    assert "('long', 'abc')" in attributes
    assert "('y', 'zzz')" in attributes
    assert "('z', 'zzz')" in attributes


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ('replace_pattern(resource.attributes["env"], "x*", "--")', "lengthens the text"),
        ('replace_pattern(resource.attributes["env"], "o", "ooo")', "lengthens the text"),
        ('replace_pattern(resource.attributes["env"], "(o)", "$1$1$1")', "lengthens the text"),
        (
            'set(resource.attributes["env"], Concat([resource.attributes["env"], resource.attributes["env"]], ""))',
            "a text of",
        ),
    ],
)
def test_texts_that_grow_with_every_row_are_stopped(statement: str, error: str) -> None:
    """A shared text that each row lengthens does not fill the memory: it is counted, and stays as long as it is."""
    batch = make_batch(Signal.TRACES, 40, resources=1, resource={"env": "prod"})
    ((_, rows, first),) = run(batch, statement, 'set(span.name, "x")')
    assert rows > 0
    assert error in first


BIG = "lorem ipsum 42 " * 700_000


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ('replace_pattern(attributes["x"], "[0-9]+", "n")', BIG.replace("42", "n")),
        ("truncate_all(attributes, 1000000)", BIG[:1_000_000]),
        ('set(attributes["x"], Len(Split(attributes["x"], " ")))', len(BIG.split(" "))),
        ('replace_pattern(attributes["x"], "x*", "")', BIG),
        ('set(attributes["x"], ParseXML(attributes["x"]))', BIG),
    ],
)
def test_ten_megabytes(statement: str, expected: Value) -> None:
    """Texts of ten megabytes are edited, or left alone and counted."""
    batch = spans(1, x=BIG)
    troubles = run(batch, statement)
    assert batch.column(X) == [expected]
    assert bool(troubles) == (expected is BIG)
