"""Rules over what released instrumentations really sent, once it is normalised."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.support.captures import captures
from tests.support.routing import RuleRouter, rule
from untrace_pipeline.api import Kind
from untrace_pipeline.data import Batch, Field, Level, Signal, attribute
from untrace_pipeline.testing import Sink, make_settings
from untrace_plugins.processors.genai_normalizer import FACTORY as NORMALIZER

CAPTURES = [
    "anthropic-sdk-2.11.0",
    "openinference-openai-0.1.66",
    "openllmetry-openai-0.62.4",
    "otel-genai-openai-1.3b0",
    "pydantic-ai-2.68.0",
]


async def normalised(name: str) -> list[Batch]:
    """Return the spans of a capture in the canonical form."""
    sink = Sink()
    settings = make_settings(Kind.PROCESSOR, "genai_normalizer", signals=[Signal.TRACES])
    processor = NORMALIZER.create(NORMALIZER.config.model_validate({}), settings, sink)  # type: ignore[attr-defined]
    for _, batch in captures()[name].otlp(Signal.TRACES):
        await processor.consume(batch)
    await processor.shutdown()
    return [Batch(Signal.TRACES, batch.to_otlp()) for batch in sink.batches]


def q(field: str, operator: str, value: Any = None) -> dict[str, Any]:
    """Return one question."""
    return {"field": field, "operator": operator, "value": value}


CALL = q("operation", "in", ["chat", "generate_content", "text_completion", "embeddings"])
ONCE = q('attributes["untrace.usage.duplicate"]', "exists", False)


@pytest.mark.parametrize("name", CAPTURES)
async def test_calls_go_by_their_model(name: str) -> None:
    """As many calls are routed for each model as there were, whatever dialect they were written in."""
    expected = Counter(call["request_model"] for call in captures()[name].expect["calls"])
    rules = [rule(model, CALL, ONCE, q("$.model", "eq", model), to=["a"]) for model in expected]
    async with RuleRouter(*rules, by="span", default_destinations=["rest"]) as router:
        for batch in await normalised(name):
            await router.connector.consume(batch)
        found = {model: router.meter.value("connector_routing_rule_items", rule=model) for model in expected}
    assert found == expected


@pytest.mark.parametrize("name", CAPTURES)
async def test_errors_environment_and_tokens(name: str) -> None:
    """Failed calls are found by ``error``, the environment by its resource, and tokens add up."""
    calls = captures()[name].expect["calls"]
    tokens = sum((call["usage"] or {}).get("input_tokens", 0) for call in calls)
    async with RuleRouter(
        rule("elsewhere", q("environment", "neq", "staging"), to=["c"], priority=3),
        rule("failed", CALL, ONCE, q("error", "exists"), to=["b"], priority=2),
        rule("calls", CALL, ONCE, q("tokens", "gt", 0), q("latency_ms", "gte", 0), to=["a"], priority=1),
        by="span",
        default_destinations=["rest"],
    ) as router:
        for batch in await normalised(name):
            await router.connector.consume(batch)
        assert router.sinks["c"].item_count == 0
        broken = [call for call in calls if call["http_status"] >= 400]
        assert router.sinks["b"].item_count >= len(broken) > 0
        found = sum(
            sum(n for n in one.column(attribute("gen_ai.usage.input_tokens")) if isinstance(n, int))
            for one in router.sinks["a"].batches
        )
        assert 0 < found <= tokens


@pytest.mark.parametrize("name", CAPTURES)
async def test_trace_goes_one_way(name: str) -> None:
    """By default no trace of a request is torn apart, and nothing is lost or doubled."""
    async with RuleRouter(rule("failed", q("error", "exists"), to=["b"]), default_destinations=["rest"]) as router:
        total = 0
        for batch in await normalised(name):
            before = [len(router.sinks[one].batches) for one in ("b", "rest")]
            total += batch.item_count
            await router.connector.consume(batch)
            sides = [
                {
                    trace
                    for got in router.sinks[one].batches[start:]
                    for trace in got.column(Field(Level.ITEM, "trace_id"))
                }
                for one, start in zip(("b", "rest"), before, strict=True)
            ]
            assert not sides[0] & sides[1]
        assert router.sinks["b"].item_count + router.sinks["rest"].item_count == total
