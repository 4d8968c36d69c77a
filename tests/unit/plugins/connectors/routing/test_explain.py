"""What would happen, and why."""

from __future__ import annotations

from typing import Any

from tests.support.routing import RuleRouter, calls, rule
from untrace_pipeline.api import Explaining
from untrace_pipeline.data import Batch, Context, Signal
from untrace_pipeline.testing import make_batch

TRACE = "0af7651916cd43dd8448eb211c80319c"
GPT = {"field": "model", "operator": "eq", "value": "gpt-*"}
DEAR = {"field": "cost", "operator": "gt", "value": 1}


def call(name: str, trace: str = TRACE, **attributes: Any) -> dict[str, Any]:
    """Return a span of a call."""
    known = {"model": "gen_ai.request.model", "cost": "gen_ai.usage.cost"}
    return {"name": name, "trace_id": trace, "attributes": {known[key]: value for key, value in attributes.items()}}


async def test_every_rule_says_why() -> None:
    """The rule that takes a trace, those that do not match, and those that come too late, with what was found."""
    rules = [
        rule("dear", GPT, DEAR, to=["c"], priority=2),
        rule("gpt", {"any": [GPT, 'span.name == "x"']}, to=["a", "b"], actions={"metadata": {"x": 1}}, priority=1),
        rule("all", to=["c"]),
        rule("off", to=["c"], enabled=False),
    ]
    async with RuleRouter(*rules) as router:
        assert isinstance(router.connector, Explaining)
        batch = calls(call("tool"), call("chat", model="gpt-4o", cost=0.5))
        (found,) = router.connector.explain(batch)
    assert (found.subject, found.items, found.outcome) == (f"trace {TRACE}", ["tool", "chat"], "rule gpt → a, b")
    assert found.rules == ["gpt"]
    assert found.destinations == ["a", "b"]
    shown = {
        one.rule: (one.outcome, one.why, [(a.text, a.holds, a.found, a.depth) for a in one.answers])
        for one in found.asked
    }
    assert shown == {
        "dear": (
            "not matched",
            "span chat",
            [('model eq "gpt-*"', True, '"gpt-4o"', 0), ("cost gt 1", False, "0.5", 0)],
        ),
        "gpt": (
            "taken",
            "span chat",
            [
                ("any of", True, None, 0),
                ('model eq "gpt-*"', True, '"gpt-4o"', 1),
                ('span.name == "x"', False, None, 1),
            ],
        ),
        "all": ("matched", "gpt had taken it", [("everything", True, None, 0)]),
        "off": ("disabled", "", []),
    }


async def test_outcomes() -> None:
    """Default, no route, sampled out and split are said in one line each."""
    split = [{"name": "a", "percentage": 50}, {"name": "b", "percentage": 50}]
    rules = [rule("none", DEAR, actions={"sampling": {"rate": 0}}), rule("split", GPT, to=split)]
    batch = calls(call("x", "1" * 32, cost=2), call("y", "2" * 32, model="gpt-4"), call("z", "3" * 32))
    async with RuleRouter(*rules) as router:
        lost, shared, free = router.connector.explain(batch)
        assert lost.outcome == "rule none: sampled out"
        assert shared.outcome in {"rule split → a", "rule split → b"}
        assert free.outcome == "no rule matches: dropped, there are no default destinations"
        assert await router.route(batch) == {shared.destinations[0]: ["y"]}
    async with RuleRouter(*rules, default_destinations=["rest"], by="span") as router:
        free = router.connector.explain(batch)[2]
        assert (free.subject, free.outcome) == (f"span z of trace {'3' * 32}", "no rule matches → rest")


async def test_all_that_match_are_said() -> None:
    """With ``match: all`` every rule that takes part has its say."""
    async with RuleRouter(rule("gpt", GPT), rule("dear", DEAR, to=["b"]), match="all", by="request") as router:
        (found,) = router.connector.explain(calls(call("x", model="gpt-4"), call("y", cost=3)))
        assert (found.subject, found.outcome) == ("request", "rule gpt → a; rule dear → b")


async def test_explaining_changes_nothing() -> None:
    """Neither the batch nor what becomes of it is other than without asking; secrets of long values are cut."""
    rules = [
        rule(
            "r",
            {"field": "request.messages", "operator": "contains", "value": "x"},
            actions={"sampling": {"rate": 0.5}},
        )
    ]
    async with RuleRouter(*rules, default_destinations=["rest"]) as router:
        batch = calls({"name": "c", "attributes": {"gen_ai.input.messages": "x" * 5000}})
        payload = batch.to_otlp()
        (found,) = router.connector.explain(batch)
        assert batch.to_otlp() == payload
        assert len(found.asked[0].answers[0].found or "") <= 80


async def test_every_signal_and_nothing() -> None:
    """Data points and log records are explained too; an empty request needs no explanation."""
    for signal, subject in ((Signal.METRICS, "data point of "), (Signal.LOGS, "trace ")):
        async with RuleRouter(rule("spans", 'span.name == "x"'), rule("r"), signal=signal) as router:
            found = router.connector.explain(make_batch(signal, 3))
            assert found[0].subject.startswith(subject)
            assert found[0].asked[0].outcome == "not asked"
            assert router.connector.explain(Batch(signal, b"")) == []


async def test_dry_run_tells_who_asked() -> None:
    """With the header, the way of each trace is remarked for the receiver to tell; nothing is counted as routed."""
    context = Context(metadata={"x-untrace-dry-run": ("1",)})
    async with RuleRouter(rule("r", GPT), default_destinations=["rest"]) as router:
        await router.connector.consume(calls(call("x", model="gpt-4"), context=context))
        assert context.remarks == [f"trace {TRACE}: rule r → a"]
        assert router.meter.value("connector_routing_rule_items") == 0
