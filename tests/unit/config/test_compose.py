"""From YAML text to a tree with places."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from untrace_pipeline.config.compose import parse
from untrace_pipeline.config.nodes import Source, find, to_python
from untrace_pipeline.errors import ConfigError


def value(text: str) -> Any:
    """Parse a text to plain values."""
    node = parse(Source("test", text))
    return None if node is None else to_python(node)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("true", True),
        ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"),
        ("0755", 0o755),
        ("0o17", 15),
        ("0x1f", 31),
        ("0b101", 5),
        ("089", 89),
        ("1_000", 1000),
        ("-5", -5),
        ("+5", 5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        (".inf", float("inf")),
        ("-", [None]),
        ("0x", "0x"),
        ("_1", "_1"),
        ("~", None),
        ("''", ""),
        ("'5'", "5"),
        ("! 5", "5"),
        ("!!str 5", "5"),
        ("!!int '5'", 5),
        ("9" * 100, "9" * 100),
        ("localhost:4317", "localhost:4317"),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}", {"a": {"p": 1, "q": 2}, "b": {"p": 1, "q": 3}}),
        (
            "a: &x {p: 1}\nb: &y {p: 2, q: 2}\nc: {<<: [*x, *y]}",
            {"a": {"p": 1}, "b": {"p": 2, "q": 2}, "c": {"p": 1, "q": 2}},
        ),
        ("{5: a, true: b, null: c}", {"5": "a", "true": "b", "null": "c"}),
        ("'<<': 1", {"<<": 1}),
        ("\ufeffa: 1", {"a": 1}),
    ],
)
def test_values(text: str, expected: Any) -> None:
    """Scalars follow YAML 1.2 with go-yaml's octals; anchors and merge keys work; keys are strings."""
    assert value(text) == expected


def test_places() -> None:
    """Keys and values know line, column and width, in characters."""
    root = parse(Source("test", "ä: ü\nlist:\n  - 'x y'\n"))
    assert root is not None
    key, node, _ = find(root, ("ä",))
    assert key is not None
    assert (key.line, key.column, key.width) == (1, 1, 1)
    assert (node.place.line, node.place.column, node.place.width) == (1, 4, 1)
    _, item, taken = find(root, ("list", 0, "more"))
    assert (item.place.line, item.place.column, item.place.width, taken) == (3, 5, 5, 2)


def test_empty_documents() -> None:
    """A text without a document is nothing, not an error."""
    assert parse(Source("test", "")) is None
    assert parse(Source("test", "# comment\n")) is None


@pytest.mark.parametrize(
    "text",
    [
        "a: [1",
        "\ta: 1",
        "a: 1\n\tb: 2",
        "a: b: c",
        "a: 1\na: 2",
        "[" * 100_000,
        "{a: " * 50_000,
        "- " * 100_000,
        "a: &a [*a]",
        "a: *b",
        "a: 1\n---\nb: 2",
        "a: \x00",
        "a: \x07",
        "a: !!python/name:os.system x",
        "? [a]\n: b",
        "{<<: 5}",
        "x" * (9 * 2**20),
        "a: \ud800",
    ],
    ids=range(18),
)
def test_bad_texts(text: str) -> None:
    """Whatever is wrong, however deep or large, comes as a configuration problem."""
    with pytest.raises(ConfigError) as caught:
        parse(Source("test", text))
    assert all(problem.code.startswith(("yaml-", "duplicate-", "bad-key")) for problem in caught.value.problems)


def test_billion_laughs() -> None:
    """Aliases that would expand to a billion values are refused at once."""
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 40)]
    with pytest.raises(ConfigError) as caught:
        parse(Source("test", "\n".join(lines)))
    assert caught.value.problems[0].code == "yaml-limit"


PLAIN = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(10**12), 10**12), st.text(st.characters(codec="utf-8"), max_size=10)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text("abc/_0", min_size=1, max_size=4), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(PLAIN)
def test_reads_what_the_library_writes(document: Any) -> None:
    """A document that PyYAML writes with every string in quotes comes back equal."""
    assert value(yaml.safe_dump(document, default_style='"', allow_unicode=True)) == document
