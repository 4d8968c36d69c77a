"""What the lint says of rules is true, whatever spans come."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.routing import RuleRouter, calls, rule
from untrace_plugins.connectors.routing.lint import lint

MODELS = ["gpt-4", "gpt-4o", "claude", "gpt-*", "*4o", "gpt-4*"]
COSTS: list[Any] = [0, 1, 1.0, 2.5, 3]

texts = st.one_of(
    st.tuples(st.sampled_from(["eq", "neq"]), st.sampled_from(MODELS)),
    st.tuples(st.just("in"), st.lists(st.sampled_from(MODELS), min_size=1, max_size=3)),
    st.tuples(st.just("contains"), st.sampled_from(["gpt", "4", "x"])),
    st.tuples(st.just("regex"), st.sampled_from(["^gpt", "o$", "^$"])),
    st.tuples(st.just("exists"), st.booleans()),
    st.tuples(st.just("eq"), st.none()),
    st.tuples(st.sampled_from(["gt", "lt"]), st.sampled_from(["gpt", 3, True])),
)
numbers = st.one_of(
    st.tuples(st.sampled_from(["eq", "neq", "gt", "gte", "lt", "lte"]), st.sampled_from([*COSTS, "1", True])),
    st.tuples(st.just("in"), st.lists(st.sampled_from(COSTS), min_size=1, max_size=3)),
    st.tuples(st.just("exists"), st.booleans()),
)


def question(fields: list[str], answers: st.SearchStrategy[tuple[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Return questions about fields."""
    return st.builds(
        lambda field, asked: {"field": field, "operator": asked[0], "value": asked[1]}, st.sampled_from(fields), answers
    )


leaves = st.one_of(
    question(["model", "$.model", 'attributes["x"]', "tags"], texts),
    question(["cost", "$.metrics.estimatedCost", 'attributes["y"]'], numbers),
    st.sampled_from(["true", "false", 'span.name == "a"']),
)
conditions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda found: {"all": found}),
        st.lists(inner, min_size=1, max_size=3).map(lambda found: {"any": found}),
        inner.map(lambda one: {"not": one}),
    ),
    max_leaves=5,
)
attributes = st.fixed_dictionaries(
    {},
    optional={
        "gen_ai.request.model": st.sampled_from(["gpt-4", "gpt-4o", "claude", "x", 4]),
        "gen_ai.usage.cost": st.sampled_from([*COSTS, 2, "1", True, -1]),
        "untrace.tags": st.lists(st.sampled_from(["gpt-4", "gpt-4o", "4"]), max_size=3),
        "x": st.sampled_from(["gpt-4", "x", "", 3, True, ["gpt"]]),
        "y": st.sampled_from([*COSTS, "1", True]),
    },
)


@settings(max_examples=300, deadline=None)
@example(rules=[[{"field": "cost", "operator": "eq", "value": True}]], spans=[{"gen_ai.usage.cost": True}])
@example(rules=[[{"field": "cost", "operator": "eq", "value": "1"}]], spans=[{"gen_ai.usage.cost": "1"}])
@given(
    rules=st.lists(st.lists(conditions, max_size=3), min_size=1, max_size=3),
    spans=st.lists(attributes, min_size=1, max_size=12),
)
def test_rule_that_can_never_match_never_does(rules: list[list[Any]], spans: list[dict[str, Any]]) -> None:
    """No span is taken by a rule of which the lint says that it can never match."""
    written = [rule(str(number), *found) for number, found in enumerate(rules)]
    router = RuleRouter(*written, by="span", default_destinations=["rest"], error_mode="silent")
    doubted = {
        router.config.rules[int(remark.option.split(".")[1])].id
        for remark in lint(router.config)
        if "can never match" in remark.message
    }

    async def run() -> None:
        async with router:
            await router.connector.consume(calls(*[{"name": "a", "attributes": one} for one in spans]))

    asyncio.run(run())
    for id in doubted:  # noqa: A001
        assert router.meter.value("connector_routing_rule_items", rule=id) == 0, f"{id} took something"
