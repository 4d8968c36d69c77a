"""Relabelling: each action does what Prometheus' does (model/relabel/relabel_test.go)."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from untrace_plugins.receivers.prometheus.relabel import RelabelConfig, Relabelling


def relabel(labels: dict[str, str], *rules: dict[str, Any]) -> dict[str, str] | None:
    return Relabelling([RelabelConfig.model_validate(rule) for rule in rules]).apply(dict(labels))


ABC = {"a": "foo", "b": "bar", "c": "baz"}


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (
            [{"source_labels": ["a"], "regex": "f(.*)", "target_label": "d", "replacement": "ch${1}-ch${1}"}],
            {**ABC, "d": "choo-choo"},
        ),
        (
            [
                {"source_labels": ["a", "b"], "regex": "f(.*);(.*)r", "target_label": "a", "replacement": "b${1}${2}m"},
                {
                    "source_labels": ["c", "a"],
                    "regex": "(b).*b(.*)ba(.*)",
                    "target_label": "d",
                    "replacement": "$1$2$2$3",
                },
            ],
            {"a": "boobam", "b": "bar", "c": "baz", "d": "boooom"},
        ),
        ([{"source_labels": ["a"], "regex": ".*o.*", "action": "drop"}], None),
        ([{"source_labels": ["a"], "regex": "o", "action": "drop"}], ABC),
        ([{"source_labels": ["a"], "regex": "no-match", "action": "keep"}], None),
        ([{"source_labels": ["a"], "regex": "f.*", "action": "Keep"}], ABC),
        ([{"source_labels": ["a"], "regex": "no-match", "target_label": "b", "replacement": "x"}], ABC),
        ([{"regex": "", "target_label": "b", "replacement": "x"}], {**ABC, "b": "x"}),
        (
            [{"source_labels": ["a"], "regex": "(f).*", "target_label": "b", "replacement": "$2"}],
            {"a": "foo", "c": "baz"},
        ),
        (
            [{"source_labels": ["c"], "target_label": "d", "separator": ";", "action": "hashmod", "modulus": 1000}],
            {**ABC, "d": "976"},
        ),
        (
            [{"source_labels": ["a"], "regex": "(.*)", "target_label": "${1}_x", "replacement": "y"}],
            {**ABC, "foo_x": "y"},
        ),
        ([{"source_labels": ["a"], "regex": "(.*)", "target_label": "${1}-x", "replacement": "y"}], "invalid"),
        ([{"regex": "(b.*)", "action": "labelmap", "replacement": "bar_${1}"}], {**ABC, "bar_b": "bar"}),
        ([{"regex": "(b|c)", "action": "labeldrop"}], {"a": "foo"}),
        ([{"regex": "(b|c)", "action": "labelkeep"}], {"b": "bar", "c": "baz"}),
        (
            [{"source_labels": ["a", "b"], "separator": "X", "target_label": "u", "action": "uppercase"}],
            {**ABC, "u": "FOOXBAR"},
        ),
        ([{"source_labels": ["a"], "target_label": "u", "action": "lowercase"}], {**ABC, "u": "foo"}),
        ([{"source_labels": ["a"], "target_label": "b", "action": "keepequal"}], None),
        ([{"source_labels": ["a"], "target_label": "b", "action": "dropequal"}], ABC),
        ([{"source_labels": ["none"], "target_label": "d"}], ABC),
        (
            [{"source_labels": ["a"], "regex": "(?P<n>f)(.*)", "target_label": "d", "replacement": "${n}$$x"}],
            {**ABC, "d": "f$x"},
        ),
    ],
)
def test_actions(rules: list[dict[str, Any]], expected: Any) -> None:
    """Rules apply in order; labels without a value are none."""
    if expected == "invalid":
        with pytest.raises(ValidationError, match="target_label"):
            relabel(ABC, *rules)
    else:
        assert relabel(ABC, *rules) == expected


def test_new_lines_are_text() -> None:
    """A dot is any character, as in Prometheus."""
    assert relabel({"a": "x\ny"}, {"source_labels": ["a"], "target_label": "b"}) == {"a": "x\ny", "b": "x\ny"}


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"regex": "("}, "regular expression"),
        ({"regex": "(?!a)", "target_label": "b"}, "regular expression"),
        ({"action": "hashmod", "target_label": "b"}, "modulus"),
        ({"action": "replace"}, "target_label"),
        ({"action": "vanish"}, "action"),
    ],
)
def test_rules_that_make_no_sense(rule: dict[str, Any], said: str) -> None:
    """What cannot work is a problem of the configuration."""
    with pytest.raises(ValidationError, match=said):
        RelabelConfig.model_validate(rule)
