"""Rules that can never match are found, and no others."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.routing import rule
from untrace_plugins.connectors.routing.lint import lint
from untrace_plugins.connectors.routing.rules_config import RulesConfig


def q(field: str, operator: str, value: Any = None) -> dict[str, Any]:
    """Return one question."""
    return {"field": field, "operator": operator, "value": value}


def remarks(*rules: dict[str, Any], **options: Any) -> list[str]:
    """Return what is said about rules."""
    config = RulesConfig.model_validate({"rules": rules, **options})
    return [f"{one.option}: {one.message}" for one in lint(config)]


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ([q("model", "eq", "gpt-4"), q("$.model", "eq", "claude")], "no value of model"),
        ([q("model", "eq", "gpt-4"), q("model", "neq", "gpt-4")], "opposite"),
        ([q("model", "eq", "claude"), q("model", "eq", "gpt-*")], "no value of model"),
        ([q("model", "in", ["a", "b"]), q("model", "in", ["c"])], "no value of model"),
        ([q("model", "eq", "gpt-4"), q("model", "regex", "^claude")], "no value of model"),
        ([q("model", "eq", "gpt-4"), q("model", "contains", "claude")], "no value of model"),
        ([q("cost", "gt", 5), q("metrics.estimatedCost", "lt", 3)], "larger than 5 and smaller than 3"),
        ([q("cost", "gt", 5), q("cost", "lte", 5)], "larger than 5"),
        ([q("cost", "eq", 2), q("cost", "gt", 5)], "no value of cost"),
        ([q("error", "exists", False), q("error", "eq", "timeout")], "be there and not be there"),
        ([q("error", "exists"), q("error", "exists", False)], "opposite"),
        ([q("error", "eq"), q("error", "exists")], "opposite"),
        ([q("cost", "gt", "a lot")], "cost is a number"),
        ([q("latency_ms", "eq", "100")], "latency_ms is a number"),
        ([q("tokens", "contains", "1")], "tokens is a number"),
        ([q("model", "gt", 4)], "model is a text"),
        ([q("attributes.x", "gt", True)], "only numbers and texts"),
        ([q("attributes.x", "lt", [1])], "only numbers and texts"),
        (["false"], "false"),
        (
            [{"any": [q("cost", "gt", "x"), {"all": [q("model", "eq", "a"), q("model", "eq", "b")]}]}],
            "cost is a number",
        ),
        ([{"not": {"any": [q("model", "eq", "a"), q("model", "neq", "a")]}}], "opposite"),
        ([q("attributes.x", "eq", 1), q("attributes.x", "eq", True)], "no value of attributes.x"),
        ([{"not": 'span.name == "x"'}, 'span.name == "x"'], "opposite"),
    ],
)
def test_contradiction_is_found(conditions: list[Any], words: str) -> None:
    """A rule whose conditions no span can satisfy is told, with the reason."""
    (remark,) = remarks(rule("r", *conditions))
    assert remark.startswith("rules.0.conditions: rule r can never match")
    assert words in remark


@pytest.mark.parametrize(
    "conditions",
    [
        [],
        ["true"],
        [q("model", "eq", "gpt-4"), q("model", "eq", "gpt-*")],
        [q("tags", "eq", "a"), q("tags", "eq", "b")],
        [q('request["x"]', "eq", "a"), q('request["x"]', "eq", "b")],
        [q("$..model", "eq", "a"), q("$..model", "eq", "b")],
        [q("cost", "gte", 5), q("cost", "lte", 5)],
        [q("cost", "gt", 3), q("cost", "lt", 5), q("cost", "neq", 4)],
        [{"any": [q("model", "eq", "a"), q("model", "eq", "b")]}, q("model", "neq", "a")],
        [q("model", "neq", "a"), q("model", "neq", "b")],
        [q("error", "exists", False), q("model", "exists")],
        [q("error.code", "eq", 429), q("error.code", "eq", "429")],
        [q("attributes.x", "gt", "a"), q("attributes.x", "lt", 3)],
    ],
)
def test_what_can_match_is_left_alone(conditions: list[Any]) -> None:
    """No rule that some span can satisfy is doubted."""
    assert remarks(rule("r", *conditions)) == []


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ([], [q("model", "eq", "gpt-4")]),
        ([q("model", "eq", "gpt-4")], [q("$.model", "eq", "gpt-4"), q("cost", "gt", 1)]),
        ([q("model", "eq", "gpt-*")], [q("model", "eq", "gpt-4o")]),
        ([q("model", "eq", "gpt-*")], [q("model", "eq", "gpt-4*")]),
        ([q("model", "in", ["a", "b", "c"])], [q("model", "in", ["a", "b"])]),
        ([q("model", "regex", "^gpt")], [q("model", "eq", "gpt-4")]),
        ([q("model", "exists")], [q("model", "eq", "gpt-4*")]),
        ([q("model", "neq", "a")], [q("model", "eq", "b")]),
        ([q("cost", "gt", 1)], [q("cost", "gt", 2)]),
        ([q("cost", "gte", 1)], [q("cost", "gt", 1)]),
        ([q("cost", "lt", 3)], [q("cost", "lte", 2)]),
        ([q("cost", "gt", 1)], [q("cost", "eq", 7)]),
        ([{"any": [q("model", "eq", "a"), q("model", "eq", "b")]}], [q("model", "in", ["a"])]),
        (['span.name == "x"'], ['span.name == "x"', q("cost", "gt", 1)]),
    ],
)
def test_hidden_rule_is_found(earlier: list[Any], later: list[Any]) -> None:
    """A rule that others leave nothing for is told, with their names."""
    (remark,) = remarks(rule("later", *later), rule("earlier", *earlier, priority=1))
    assert remark == "rules.0.conditions: rule later can never match: rule earlier takes all of it before"
    assert remarks(rule("later", *later), rule("earlier", *earlier, priority=1), match="all") == []
    off = rule("earlier", *earlier, priority=1, enabled=False)
    assert remarks(rule("later", *later), off) == ["rules.1.enabled: rule earlier is disabled"]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ([q("model", "eq", "gpt-4")], []),
        ([q("model", "eq", "gpt-4*")], [q("model", "eq", "gpt-*")]),
        ([q("cost", "gt", 2)], [q("cost", "gt", 1)]),
        ([q("cost", "gt", 1)], [q("cost", "gte", 1)]),
        ([q("cost", "gt", 1), q("model", "eq", "a")], [q("cost", "gt", 1)]),
        ([q("model", "exists")], [q("model", "neq", "a")]),
        ([q("tags", "neq", "a")], [q("tags", "eq", "b")]),
        ([q("model", "neq", "a")], [q("model", "neq", "b")]),
        ([q("model", "in", ["a"])], [q("model", "in", ["a", "b"])]),
        ([q("model", "eq", "*4")], [q("model", "eq", "*o4")]),
    ],
)
def test_what_is_left_is_left_alone(earlier: list[Any], later: list[Any]) -> None:
    """A rule for which something is left is not doubted."""
    assert remarks(rule("later", *later), rule("earlier", *earlier, priority=1)) == []


def test_several_rules_hide_one_together() -> None:
    """What each of several rules takes a part of is hidden by all of them."""
    first, second = rule("a", q("model", "eq", "a")), rule("b", q("model", "eq", "b"))
    either = rule("both", {"any": [q("model", "eq", "a"), q("model", "eq", "b")]})
    assert remarks(first, second, either) == [
        "rules.2.conditions: rule both can never match: the rules a, b take all of it before"
    ]


def test_rule_of_fewer_signals_hides_nothing() -> None:
    """A rule that has no pipeline of a signal leaves that signal to the others."""
    assert remarks(rule("spans", to=["traces/a"]), rule("all", to=["a"])) == []
    assert len(remarks(rule("all", to=["a"]), rule("spans", to=["traces/a"]))) == 1


def test_default_that_gets_nothing_is_found() -> None:
    """Default destinations behind a rule for everything are told."""
    assert remarks(rule("r"), default_destinations=["rest"]) == [
        "default_destinations: nothing is left for them: rule r takes everything"
    ]


def test_huge_condition_is_passed_over() -> None:
    """A condition of too many cases is not looked into, instead of taking for ever."""
    either = [{"any": [q(f"attributes.a{n}", "eq", m) for m in range(3)]} for n in range(30)]
    assert remarks(rule("r", *either)) == []


@pytest.mark.parametrize(("written", "meant"), [("modle", "model"), ("$.enviroment", "environment"), ("costs", "cost")])
def test_a_field_that_is_nearly_right_is_remarked_on(written: str, meant: str) -> None:
    """At any depth; a name that only the spans know, or that is within something else, is not."""
    inner = {"not": {"any": [q(written, "eq", 1), q(f"attributes.{written}", "eq", 1)]}}
    (remark,) = remarks(rule("a", inner))
    assert f"rule a asks for {written.removeprefix('$.')}" in remark
    assert f"did you mean {meant}?" in remark


def test_fixed_fields_are_no_slips() -> None:
    """However much their names look like words of LLM calls."""
    names = ["name", "kind", "body", "value", "trace_id", "span_id", "trace_state", "severity_text", "severity_number"]
    times = ["start_time", "end_time", "time", "duration_nanos", "parent_span_id", "event_name", "flags", "status"]
    assert remarks(rule("a", {"any": [q(name, "exists") for name in [*names, *times]]})) == []
