"""Globs read as the Collector's."""

from __future__ import annotations

import pytest

from untrace_pipeline.conditions.globs import compile_glob


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("k8s.*.name", "k8s.pod.name", True),
        ("k8s.*.name", "k8s.pod.label.name", False),
        ("db.**.name", "db.a.b.name", True),
        ("k8s.**", "k8s.", True),
        ("?at", "cat", True),
        ("?at", ".at", False),
        ("[abc]at", "bat", True),
        ("[!a-c]at", "bat", False),
        ("[!a-c]at", "rat", True),
        ("{cat,bat,[fr]at}", "rat", True),
        ("{cat,bat,[fr]at}", "zat", False),
        (r"a\*b", "a*b", True),
        (r"a\*b", "axb", False),
        ("a+b(c)", "a+b(c)", True),
        ("ä*", "äöü", True),
        ("a,b}", "a,b}", True),
    ],
)
def test_matches(pattern: str, name: str, *, matches: bool) -> None:
    """Stars stop at dots, two stars do not; sets, ranges, alternatives and escapes."""
    assert compile_glob(pattern, ".")(name) is matches


@pytest.mark.parametrize(("text", "matches"), [("a.b/c d\n", True), ("a", True), ("b", False)])
def test_without_separator(text: str, *, matches: bool) -> None:
    """Over texts a star stands for anything."""
    assert compile_glob("a*")(text) is matches


@pytest.mark.parametrize("pattern", ["{a,b", "[a", "[]", "[!]"])
def test_refuses(pattern: str) -> None:
    """What cannot be read is refused with its reason."""
    with pytest.raises(ValueError, match="the glob"):
        compile_glob(pattern)


def test_hostile_names_are_linear() -> None:
    """A pattern of many stars does not hang on a long name."""
    assert not compile_glob("**a" * 15 + "b")("a" * 100_000)
