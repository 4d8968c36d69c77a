"""The language of expressions: where values come from."""

from __future__ import annotations

from typing import Any

import pytest

from untrace_plugins.shaping.expressions import View, compile_expression, compile_structure, text_of

EVENT = {
    "type": "a.b",
    "data": {
        "model": "gpt-4o",
        "n": 5,
        "a, b.*": "quoted",
        "none": None,
        "list": [{"x": 1}, {"x": 2}],
        "text": '{"model":"inner"}',
    },
}
VIEW = View(EVENT, {"top": "yes", "events": [EVENT]}, {"x-name": "header"}.get)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("constant", "constant"),
        ("", ""),
        ("$", EVENT),
        ("$.data.n", 5),
        ("$.data.none", None),
        ("$.absent.deep", None),
        ("$['data']['model']", "gpt-4o"),
        ("$.data.list[0].x", 1),
        ("$.data['a, b.*']", "quoted"),
        ("$.data.list[*].x", [1, 2]),
        ("$..x", [1, 2]),
        ("$.data.absent[*]", None),
        ("@.top", "yes"),
        ("header:X-Name", "header"),
        ("header:x-other", None),
        ("$.data.text | json | $.model", "inner"),
        ("$.data.model | json", None),
        ("$.data.absent | json | $.model", None),
        ("$.absent ?? $.data.none ?? $.type", "a.b"),
        ("$.absent ?? fallback", "fallback"),
        ("$.absent ?? header:x-name", "header"),
        ("{$.type} of {$.data.model}: {$.data.n}, {$.absent}!", "a.b of gpt-4o: 5, !"),
        ("{$.absent ?? @.top} {header:x-name}", "yes header"),
        ("{{literal}} {$.type}", "{literal} a.b"),
        ("{not an expression}", "{not an expression}"),
        ("$5 per month", "$5 per month"),
        ("{$.data.list}", '[{"x":1},{"x":2}]'),
    ],
)
def test_expression(text: str, value: Any) -> None:
    """Each form finds its value, or nothing; none fails."""
    assert compile_expression(text)(VIEW) == value


@pytest.mark.parametrize("text", ["$.a | lower", "$.[", "$.a[?(@.b =~ /x/)]", "{$.[}"])
def test_wrong_paths_are_told(text: str) -> None:
    """What is no path is told when the configuration is read."""
    with pytest.raises(ValueError):
        compile_expression(text)


def test_structure_leaves_out_what_is_absent() -> None:
    """A template makes JSON of the same shape, without what is absent and without what becomes empty."""
    template = {
        "a": "$.type",
        "b": {"c": "$.absent", "d": 5},
        "e": {"f": "$.absent"},
        "g": ["$.absent", "x", True, None],
    }
    assert compile_structure(template)(VIEW) == {"a": "a.b", "b": {"d": 5}, "g": ["x", True]}
    assert compile_structure({"a": "$.absent"})(VIEW) is None


@pytest.mark.parametrize("event", [None, 5, "text", [], [[[1]]], {"data": 5}, {"data": {"list": {"x": 1}}}])
def test_any_event_is_no_failure(event: Any) -> None:
    """Whatever an event is, expressions find something or nothing."""
    for text in ("$.data.list[0].x", "$.data.list[*].x", "$..x", "$.data.text | json | $.model", "{$.data.n}"):
        compile_expression(text)(View(event, event))


def test_text() -> None:
    """Values in texts: strings as they are, anything else as JSON."""
    assert [text_of(value) for value in (None, "a", 1.5, True, {"a": [None]})] == [
        "",
        "a",
        "1.5",
        "true",
        '{"a":[null]}',
    ]
