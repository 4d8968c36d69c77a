"""Which rule takes what, and what then happens to it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson
import pytest

from tests.support.routing import RuleRouter, calls, rule
from untrace_pipeline.api import PermanentError, PipelineId, RetryableError, StartError
from untrace_pipeline.data import Batch, Context, Field, Level, Signal, attribute
from untrace_pipeline.testing import FailingSink, Sink, StubHost, check_component, make_batch
from untrace_plugins.connectors.routing import FACTORY

GPT = {"field": "model", "operator": "eq", "value": "gpt-*"}
EXPENSIVE = {"field": "cost", "operator": "gt", "value": 1}
FAILED = {"field": "error", "operator": "exists"}
COUNT = attribute("sampling.adjusted_count")
TRACE_STATE = Field(Level.ITEM, "trace_state")


def call(name: str, trace: int = 0, **attributes: Any) -> dict[str, Any]:
    """Return a span; ``model`` and ``cost`` are short for their attributes."""
    known = {"model": "gen_ai.request.model", "cost": "gen_ai.usage.cost", "error": "error.type"}
    found = {known.get(key, key): value for key, value in attributes.items()}
    return {"name": name, "attributes": found} | ({"trace_id": f"{trace:032x}"} if trace else {})


def many(count: int = 4000, **more: Any) -> Batch:
    """Return one call in each of many traces, with ids as a hash gives them."""
    return calls(*[call(str(n), pow(7, n + 100, 2**127 - 1), **more) for n in range(count)])


async def test_first_rule_by_priority_takes_the_trace() -> None:
    """Rules are asked from the highest priority down, equal ones in order; the first that matches takes it."""
    async with RuleRouter(
        rule("low", to=["c"], priority=1),
        rule("gpt", GPT, to=["a"], priority=10),
        rule("gpt-too", GPT, to=["b"], priority=10),
        rule("expensive", EXPENSIVE, to=["b"], priority=100),
    ) as router:
        batch = calls(call("cheap", model="gpt-4o", cost=0.1), call("dear", model="gpt-4o", cost=5), call("x"))
        assert await router.route(batch) == {"a": ["cheap"], "b": ["dear"], "c": ["x"]}
        assert router.meter.value("connector_routing_rule_items", rule="gpt") == 1
        assert router.meter.value("connector_routing_rule_items", rule="expensive") == 1


async def test_all_lists_of_conditions_must_hold() -> None:
    """``all``, ``any`` and ``not`` of one rule hold together; OTTL may stand among them."""
    conditions = {"all": [GPT], "any": [EXPENSIVE, 'span.name == "vip"'], "not": FAILED}
    async with RuleRouter(
        {"id": "r", "conditions": conditions, "actions": {"destinations": ["a"]}}, default_destinations=["rest"]
    ) as router:
        batch = calls(
            call("dear", model="gpt-4", cost=2),
            call("vip", model="gpt-4"),
            call("cheap", model="gpt-4", cost=0),
            call("failed", model="gpt-4", cost=2, error="timeout"),
        )
        assert await router.route(batch) == {"a": ["dear", "vip"], "rest": ["cheap", "failed"]}


async def test_papers_forms_are_understood() -> None:
    """Camel case, a list of conditions, and actions beside them, as the requirements write rules."""
    async with RuleRouter(
        {"id": "r", "priority": 1, "conditions": [GPT], "destinations": ["a"], "sampling": {"rate": 1}},
        version="1",
        defaultDestinations=["rest"],
        samplingConfig={"rate": 1.0},
    ) as router:
        assert await router.route(calls(call("x", model="gpt-4"), call("y"))) == {"a": ["x"], "rest": ["y"]}


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("trace", {"a": ["child", "failed"], "rest": ["alone", "other"]}),
        ("span", {"a": ["failed"], "rest": ["alone", "child", "other"]}),
        ("request", {"a": ["alone", "child", "failed", "other"]}),
    ],
)
async def test_what_goes_one_way(by: str, expected: dict[str, list[str]]) -> None:
    """A trace of a request stays together by default; spans alone, or the whole request, where that is asked for."""
    async with RuleRouter(rule("r", FAILED), by=by, default_destinations=["rest"]) as router:
        spans = [call("child", 1), call("failed", 1, error="x"), call("other", 2), {"name": "alone"}]
        assert await router.route(calls(*spans)) == expected


async def test_every_match_sends_where_all_is_asked_for() -> None:
    """With ``match: all`` each rule sends; a destination gets an item once, as the highest priority says."""
    async with RuleRouter(
        rule("meta", GPT, to=["a"], actions={"metadata": {"by": "meta"}}, priority=2),
        rule("gpt", GPT, to=["a", "b"], priority=1),
        rule("dear", EXPENSIVE, to=["b", "c"]),
        match="all",
        default_destinations=["rest"],
    ) as router:
        batch = calls(call("both", model="gpt-4", cost=2), call("dear", cost=2), call("none"))
        assert await router.route(batch) == {
            "a": ["both"],
            "b": ["both", "dear"],
            "c": ["both", "dear"],
            "rest": ["none"],
        }
        assert router.sinks["a"].batches[0].column(attribute("untrace.metadata")) == ['{"by":"meta"}']


async def test_disabled_rule_is_passed_over() -> None:
    """``enabled: false`` takes nothing."""
    async with RuleRouter(rule("off", to=["a"], enabled=False), rule("on", to=["b"])) as router:
        assert await router.route(calls(call("x"))) == {"b": ["x"]}


async def test_without_route_it_is_dropped_and_counted() -> None:
    """What no rule takes, and no default, is counted."""
    async with RuleRouter(rule("r", GPT)) as router:
        assert await router.route(calls(call("x"), call("y", model="gpt-4"))) == {"a": ["y"]}
        assert await router.route(calls(call("z"))) == {}
        assert router.meter.value("dropped_items", reason="no_route") == 2


# ---------------------------------------------------------------------- split


async def test_split_gives_each_trace_to_one() -> None:
    """Shares are met, everything arrives once, and spans of a trace go together, in whatever request they come."""
    to = ["c", {"name": "a", "percentage": 70}, {"name": "b", "percentage": 30}]
    async with RuleRouter(rule("split", to=to)) as router:
        first = await router.route(many())
        assert len(first["c"]) == 4000
        assert sorted([*first["a"], *first["b"]]) == sorted(first["c"])
        assert 0.67 < len(first["a"]) / 4000 < 0.73
        again = await router.route(calls(*[call(str(n), pow(7, n + 100, 2**127 - 1)) for n in range(50)]))
        assert set(again["a"]) <= set(first["a"])
        assert set(again["b"]) <= set(first["b"])


async def test_larger_share_keeps_what_it_had() -> None:
    """Raising a share moves no trace away from it."""

    async def share(percentage: float) -> set[str]:
        to = [{"name": "a", "percentage": percentage}, {"name": "b", "percentage": 100 - percentage}]
        async with RuleRouter(rule("split", to=to)) as router:
            return set((await router.route(many(500)))["a"])

    assert await share(10) < await share(25)


async def test_split_is_independent_of_sampling() -> None:
    """What a sampler keeps is split as everything is: both do not look at the same bits."""
    to = [{"name": "a", "percentage": 50}, {"name": "b", "percentage": 50}]
    async with RuleRouter(rule("r", to=to, actions={"sampling": {"rate": 0.25}})) as router:
        found = await router.route(many())
        assert 0.4 < len(found["a"]) / len(found["b"]) < 2.5
        assert 0.2 < sum(map(len, found.values())) / 4000 < 0.3


@pytest.mark.parametrize("signal", [Signal.METRICS, Signal.LOGS])
async def test_what_has_no_trace_is_split_by_resource(signal: Signal) -> None:
    """Data points, and records without a trace id, of a resource stay together."""
    to = [{"name": "a", "percentage": 50}, {"name": "b", "percentage": 50}]
    async with RuleRouter(rule("r", to=to), signal=signal) as router:
        batch = make_batch(signal, 40, resources=20)
        if signal is Signal.LOGS:
            batch.remove(Field(Level.ITEM, "trace_id"))
        await router.connector.consume(batch)
        sides = [router.sinks[name].batches[0].column(Field(Level.RESOURCE, "attributes")) for name in ("a", "b")]
        names = [{str(resource["service.name"]) for resource in side} for side in sides]  # type: ignore[call-overload,index]
        assert all(names)
        assert not names[0] & names[1]


@pytest.mark.parametrize(
    ("shares", "words"), [([60, 50], "add up to 110"), ([60, 30], "no destination"), ([0], None), ([-1], None)]
)
def test_shares_must_add_up(shares: list[float], words: str | None) -> None:
    """Shares of more than everything, or that leave something without a destination, are refused."""
    to = [{"name": name, "percentage": share} for name, share in zip("ab", shares, strict=False)]
    with pytest.raises(ValueError, match=words):
        RuleRouter(rule("r", to=to))


async def test_share_beside_a_destination_for_all() -> None:
    """Ten percent may go to another place too."""
    async with RuleRouter(rule("r", to=["a", {"name": "b", "percentage": 10}])) as router:
        found = await router.route(many(2000))
        assert len(found["a"]) == 2000
        assert 120 < len(found["b"]) < 280


# ------------------------------------------------------------------- sampling


async def test_sampling_is_consistent_and_recorded() -> None:
    """A share is kept by trace id, the rest is counted, and what is kept says how much it stands for."""
    async with RuleRouter(rule("r", actions={"sampling": {"rate": 0.1}})) as router:
        first = await router.route(many())
        assert 330 < len(first["a"]) < 470
        assert await router.route(many()) == first
        assert router.meter.value("dropped_items", reason="sampled") == 2 * (4000 - len(first["a"]))
        assert set(router.sinks["a"].batches[0].column(TRACE_STATE)) == {"ot=th:e666"}
        (count,) = set(router.sinks["a"].batches[0].column(COUNT))
        assert count == pytest.approx(10, rel=1e-3)


@pytest.mark.parametrize(
    ("span", "count"),
    [
        ({"attributes": {"sampling.adjusted_count": 5}}, 20),
        ({"trace_state": "ot=th:8"}, 8),
        ({"attributes": {"sampling.priority": 1}}, None),
        ({"attributes": {"sampling.priority": 1, "sampling.adjusted_count": 3}}, 3),
        ({"attributes": {"sampling.adjusted_count": "many"}}, 4),
        ({"attributes": {"sampling.adjusted_count": -3}}, 4),
    ],
)
async def test_counts_of_samplers_before_are_multiplied(span: dict[str, Any], count: float | None) -> None:
    """What a span stood for already counts; what is kept for certain stands for itself."""
    async with RuleRouter(rule("r", actions={"sampling": {"rate": 0.25}})) as router:
        await router.connector.consume(calls({"name": "x", "trace_id": "f" * 32, **span}))
        (found,) = router.sinks["a"].batches[0].column(COUNT)
        assert found == (None if count is None else pytest.approx(count, rel=1e-3))


async def test_priority_of_a_span_overrules_a_rate_of_nothing() -> None:
    """A span that somebody wants kept is kept, whatever the rule says."""
    async with RuleRouter(rule("r", actions={"sampling": {"rate": 0}})) as router:
        wanted = call("x", **{"sampling.priority": 1, "sampling.adjusted_count": 2})
        assert await router.route(calls(wanted, call("y"))) == {"a": ["x"]}


async def test_rates_at_the_ends() -> None:
    """1 keeps everything and marks nothing, 0 keeps nothing; the common rate is for rules without their own."""
    rules = [rule("all", GPT, to=["a"], actions={"sampling": {"rate": 1}}), rule("rest", EXPENSIVE, to=["b"])]
    async with RuleRouter(*rules, sampling={"rate": 0}, default_destinations=["rest"]) as router:
        batch = calls(call("x", model="gpt-4"), call("y", cost=3), call("z"))
        assert await router.route(batch) == {"a": ["x"]}
        assert router.sinks["a"].batches[0].column(TRACE_STATE) == [""]
        assert router.meter.value("dropped_items", reason="sampled") == 2


async def test_sampled_out_of_one_rule_reaches_another() -> None:
    """With ``match: all`` only what no rule keeps counts as sampled out, and the default does not get it."""
    rules = [rule("none", GPT, to=["a"], actions={"sampling": {"rate": 0}}), rule("dear", EXPENSIVE, to=["a"])]
    async with RuleRouter(*rules, match="all", default_destinations=["rest"]) as router:
        batch = calls(call("kept", model="gpt-4", cost=2), call("lost", model="gpt-4"))
        assert await router.route(batch) == {"a": ["kept"]}
        assert router.meter.value("dropped_items", reason="sampled") == 1


# ------------------------------------------------- metadata, transformations

DEEP = '{"a":' * 300 + "1" + "}" * 300
"""JSON that may be read, and may not be written."""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, {"team": "ml"}),
        ('{"plan": "gold", "team": "x"}', {"plan": "gold", "team": "ml"}),
        ("no json", {"metadata": "no json", "team": "ml"}),
        ("[1]", {"metadata": [1], "team": "ml"}),
        pytest.param(DEEP, {"metadata": DEEP, "team": "ml"}, id="deep"),
        ({"plan": "gold"}, {"plan": "gold", "team": "ml"}),
    ],
)
async def test_metadata_is_added(before: Any, after: Any) -> None:
    """A rule's metadata joins what the application attached; nothing of that is lost."""
    async with RuleRouter(
        rule("r", GPT, to=["a"], actions={"metadata": {"team": "ml"}}), rule("x", to=["b"])
    ) as router:
        own = {"untrace.metadata": before} if before is not None else {}
        await router.route(calls(call("x", model="gpt-4", **own), call("y", **own)))
        (found,) = router.sinks["a"].batches[0].column(attribute("untrace.metadata"))
        assert orjson.loads(str(found)) == after
        assert router.sinks["b"].batches[0].column(attribute("untrace.metadata")) == [before]


async def test_transformations_stand_before_each_destination() -> None:
    """What a rule takes passes its transformations on the way to each destination, and to the fallback too."""
    passed: list[tuple[tuple[str, ...], str]] = []
    ends = {"a": FailingSink(RetryableError("down")), "b": Sink(), "rest": Sink()}

    class Way:
        def __init__(self, names: Any, output: PipelineId) -> None:
            self.key = (tuple(names), output.name)

        async def consume(self, batch: Batch) -> None:
            passed.append(self.key)
            await ends[self.key[1]].consume(batch)

    actions = {"transformations": ["redaction", "resource/x"], "fallback_destinations": ["rest"]}
    async with RuleRouter(rule("r", to=["a", "b"], actions=actions), host=StubHost(ways=Way)) as router:
        await router.connector.consume(calls(call("x")))
    names = ("redaction", "resource/x")
    assert Counter(passed) == Counter([(names, "a"), (names, "b"), (names, "rest")])
    assert [ends[name].item_count for name in ("b", "rest")] == [1, 1]  # type: ignore[attr-defined]


async def test_unknown_transformation_and_destination_are_start_errors() -> None:
    """What a rule names must be there."""
    with pytest.raises(StartError, match="redaction is not configured"):
        await RuleRouter(rule("r", actions={"transformations": ["redaction"]})).connector.start(StubHost())
    with pytest.raises(StartError, match="nowhere"):
        await RuleRouter(rule("r", to=["nowhere"])).connector.start(StubHost())


# ------------------------------------------------------------------- fallback


async def test_fallback_gets_what_one_destination_refuses() -> None:
    """Each destination has the fallback by itself: the others keep what they took, and the sender is told accepted."""
    sinks = {"a": FailingSink(RetryableError("down"))}
    async with RuleRouter(rule("r", to=["a", "b"]), sinks=sinks, fallback_destinations=["rest"]) as router:
        assert await router.route(calls(call("x"))) == {"b": ["x"], "rest": ["x"]}
        assert router.meter.value("connector_routing_fallback_items") == 1


async def test_refusal_without_fallback_goes_up() -> None:
    """Without a fallback the sender hears of it, and nothing is counted as routed."""
    async with RuleRouter(rule("r"), sinks={"a": FailingSink(PermanentError("never"))}) as router:
        with pytest.raises(PermanentError, match="never"):
            await router.connector.consume(calls(call("x")))
        assert router.meter.value("connector_routing_rule_items") == 0


# ------------------------------------------------------------- several signals


@pytest.mark.parametrize("signal", list(Signal))
async def test_name_alone_means_pipelines_of_all_signals(signal: Signal) -> None:
    """``a`` is ``traces/a``, ``logs/a`` and ``metrics/a``; a rule that cannot be asked of a signal is passed over."""
    rules = [rule("spans", "span.kind == SPAN_KIND_SERVER", to=["b"]), rule("all", to=["a"])]
    async with RuleRouter(*rules, signal=signal) as router:
        await router.connector.consume(make_batch(signal, 5))
        assert router.sinks["a"].item_count == 5


async def test_rule_by_header() -> None:
    """A header of the request decides, as in the table."""
    tenant = {"field": 'request["X-Tenant"]', "operator": "eq", "value": "acme"}
    async with RuleRouter(rule("acme", tenant), rule("others", to=["b"])) as router:
        context = Context(metadata={"x-tenant": ("acme",)})
        assert await router.route(calls(call("x"), context=context)) == {"a": ["x"]}
        assert await router.route(calls(call("x"))) == {"b": ["x"]}


async def test_no_answer_follows_the_error_mode(caplog: pytest.LogCaptureFixture) -> None:
    """A condition without an answer counts as no match and is logged, or refuses the request."""
    broken = 'HasPrefix(attributes["n"], "x")'
    async with RuleRouter(rule("r", broken), default_destinations=["rest"]) as router:
        assert await router.route(calls(call("x", n=1))) == {"rest": ["x"]}
        assert "has no answer" in caplog.text
    async with RuleRouter(rule("r", broken), error_mode="propagate") as router:
        with pytest.raises(PermanentError, match="no answer"):
            await router.connector.consume(calls(call("x", n=1)))


def test_rules_keep_the_contract() -> None:
    """The public conformance suite, with rules."""
    rules = [rule("named", 'span.name == "chat 1"', to=["traces/one"]), rule("all", to=["rest"])]
    check_component(FACTORY, {"rules": rules}, outputs=("traces/rest", "traces/one", "metrics/rest", "logs/rest"))


async def test_whole_request_passes_as_it_is() -> None:
    """A request that goes one way is passed on without being written anew."""
    async with RuleRouter(rule("r")) as router:
        batch = calls(call("x"), call("y"))
        payload = batch.to_otlp()
        await router.connector.consume(batch)
        assert router.sinks["a"].batches[0].to_otlp() is payload
