"""Plain JSONPaths are walked directly: they find what jsonpath-ng finds."""

from __future__ import annotations

import random
from typing import Any

import pytest

from untrace_pipeline.conditions.json_paths import _general_finder, _plain_steps, json_finder
from untrace_pipeline.errors import ConditionError

DOCUMENT = {"a": {"b": [1, {"c": "x"}, {"c": "y"}, "text"], "d e": None}, "list": [[1, 2], [3]], "n": 7}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", [DOCUMENT]),
        ("$.n", [7]),
        ("$.a.b[0]", [1]),
        ("$.a.b[9]", []),
        ("$.a.b[*].c", ["x", "y"]),
        ("$.list[*][*]", [1, 2, 3]),
        ('$.a["d e"]', [None]),
        ("$['a']['b'][1]['c']", ["x"]),
        ("$.nope.b[*].c", []),
        ("$.n[*]", []),
        ("$..c", ["x", "y"]),
        ("$.a.b[?(@.c == 'y')].c", ["y"]),
        ("$.a.b[1:3].c", ["x", "y"]),
    ],
)
def test_finds(path: str, found: list[Any]) -> None:
    """What paths of either sort find."""
    assert json_finder(path)(DOCUMENT) == found


def _document(rng: random.Random, depth: int = 0) -> Any:
    if depth == 3 or rng.random() < 0.2:
        return rng.choice((1, 2.5, True, "text", ""))
    if rng.random() < 0.5:
        return [_document(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {key: _document(rng, depth + 1) for key in rng.sample("abc", rng.randrange(4))}


@pytest.mark.parametrize("seed", range(200))
def test_plain_paths_find_the_same(seed: int) -> None:
    """Directly or by jsonpath-ng: the same values in the same order, in documents of any shape."""
    rng = random.Random(seed)
    path = "$" + "".join(rng.choice((".a", ".b", '["c"]', "[*]", "[0]", "[1]")) for _ in range(rng.randrange(1, 5)))
    assert _plain_steps(path) is not None
    documents = [_document(rng) for _ in range(20)]
    assert [json_finder(path)(one) for one in documents] == [_general_finder(path)(one) for one in documents]


@pytest.mark.parametrize("path", ["$[", "$.a[", "$.a.b =~ 'x'", "$.`sub(/a/, b)`", "$.a.`split(x)`"])
def test_mistakes(path: str) -> None:
    """What is no path says so."""
    with pytest.raises(ConditionError):
        json_finder(path)
