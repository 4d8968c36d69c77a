"""Fields by the words of those who write rules."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.routing import calls
from untrace_pipeline.conditions import ConditionConfig, compile_condition, core_name, locate_core
from untrace_pipeline.conditions.core_fields import ALIASES, FIELDS
from untrace_pipeline.data import Batch, Context, Level, Signal
from untrace_pipeline.errors import ConditionError
from untrace_pipeline.testing import make_batch

CALL: dict[str, Any] = {
    "name": "chat gpt-4o",
    "trace_id": "0af7651916cd43dd8448eb211c80319c",
    "span_id": "b7ad6b7169203331",
    "duration": "2500ms",
    "status": "error",
    "status_message": "slow down",
    "resource": {"service.name": "shop", "service.version": "1.2", "deployment.environment.name": "production"},
    "attributes": {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.request.temperature": 0.2,
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cost": 0.25,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.time_to_first_chunk": 0.5,
        "gen_ai.input.messages": '[{"role": "user", "parts": [{"type": "text", "content": "hello"}]}]',
        "session.id": "s-1",
        "user.id": "u-1",
        "error.type": "429",
        "untrace.tags": ["beta", "team:search"],
        "untrace.metadata": '{"customerId": "acme", "plan": {"name": "gold"}, "seats": 3}',
    },
}


def asked(field: str, operator: str, value: Any = None, batch: Batch | None = None) -> list[bool]:
    """Ask one question of a batch."""
    batch = batch or calls(CALL)
    source = ConditionConfig.model_validate({"field": field, "operator": operator, "value": value})
    return compile_condition(source, batch.signal, Level.ITEM, locate_core).mask(batch)


@pytest.mark.parametrize(
    ("field", "operator", "value"),
    [
        ("model", "eq", "gpt-4o"),
        ("$.model", "eq", "gpt-4*"),
        ("model", "eq", "*4o"),
        ("model", "in", ["claude-*", "gpt-*"]),
        ("model", "neq", "claude-*"),
        ("response.model", "regex", "2024"),
        ("provider", "eq", "openai"),
        ("$.provider", "in", ["openai", "azure"]),
        ("operation", "eq", "chat"),
        ("environment", "eq", "production"),
        ("$.metadata.environment", "eq", "production"),
        ("$.metadata.applicationId", "eq", "shop"),
        ("metadata.version", "eq", "1.2"),
        ("$.metadata.customerId", "eq", "acme"),
        ("customer_id", "eq", "acme"),
        ("metadata.plan.name", "eq", "gold"),
        ("metadata.seats", "gt", 2),
        ("metadata", "exists", None),
        ("cost", "gt", 0.2),
        ("$.metrics.estimated_cost", "lte", 0.25),
        ("latency_ms", "gt", 2000),
        ("$.metrics.latency_ms", "lt", 3000),
        ("$.metrics.time_to_first_token_ms", "eq", 500),
        ("tokens", "eq", 120),
        ("$.response.usage.totalTokens", "gte", 120),
        ("$.response.usage.prompt_tokens", "eq", 100),
        ("tokens.output", "eq", 20),
        ("error", "exists", None),
        ("error.type", "eq", "429"),
        ("error.code", "eq", 429),
        ("$.error.code", "eq", "429"),
        ("$.error.message", "contains", "slow"),
        ("tags", "contains", "beta"),
        ("$.metadata.tags", "eq", "beta"),
        ("tags", "in", ["gamma", "beta"]),
        ("tags.team", "eq", "search"),
        ("$.metadata.tags.team", "eq", "search"),
        ("$.sessionId", "eq", "s-1"),
        ("user", "eq", "u-1"),
        ("$.id", "eq", "b7ad6b7169203331"),
        ("$.parentId", "exists", False),
        ("$.request.parameters.temperature", "lt", 0.5),
        ("$.request.messages[0].content", "eq", "hello"),
        ("$.request.messages[0].role", "eq", "user"),
        ("request.messages", "contains", "hello"),
        ("$.response.finish_reason", "eq", "stop"),
        ("name", "eq", "chat gpt-4o"),
        ("status.code", "eq", "ERROR"),
        ('attributes["user.id"]', "eq", "u-1"),
        ('resource.attributes["service.name"]', "eq", "shop"),
        ("$..latency_ms", "gt", 2000),
        ("$.metrics.*", "eq", 0.25),
        ("$..customerId", "eq", "acme"),
    ],
)
def test_field_reads_what_it_says(field: str, operator: str, value: Any) -> None:
    """Every field of the core trace is found, in its spellings."""
    assert asked(field, operator, value) == [True]


def test_header_and_tenant_are_found() -> None:
    """``request[…]`` is the sender's header, and the customer is the tenant where the metadata names none."""
    context = Context(metadata={"x-tenant": ("acme",)}, tenant="blue")
    batch = calls({"name": "x"}, context=context)
    assert asked('request["X-Tenant"]', "eq", "acme", batch) == [True]
    assert asked("metadata.customerId", "eq", "blue", batch) == [True]


@pytest.mark.parametrize(
    "field", sorted({*FIELDS, *ALIASES, "metadata.x", "tags.x", "request.messages[3].content", "$..a"})
)
@pytest.mark.parametrize("signal", list(Signal))
def test_absent_field_satisfies_nothing(field: str, signal: Signal) -> None:
    """Every field can be asked of every signal; what is not there is unequal, not larger, and not found."""
    batch = make_batch(signal, 1)
    assert asked(field, "eq", "no such value", batch) == [False]
    assert asked(field, "gt", 10**18, batch) in ([False], [field in {"start_time", "end_time", "timestamp"}])
    assert asked(field, "contains", "no such value", batch) == [False]


@pytest.mark.parametrize(
    "attributes",
    [
        {"untrace.metadata": "{", "gen_ai.usage.input_tokens": "many", "gen_ai.usage.cost": float("nan")},
        {"untrace.metadata": "[" * 100_000, "gen_ai.usage.input_tokens": True, "untrace.tags": "one"},
        {"untrace.metadata": '{"a": ' * 2000 + "1" + "}" * 2000, "error.type": "9" * 5000},
        {"untrace.metadata": "x" * 10_000_000, "gen_ai.input.messages": "null", "untrace.tags": [1, None, ["x"]]},
        {"untrace.metadata": "null", "gen_ai.input.messages": '[{"parts": 3}]', "gen_ai.usage.cost": -(2**62)},
    ],
)
def test_strange_values_are_harmless(attributes: dict[str, Any]) -> None:
    """No value of the data makes a question fail."""
    batch = calls({"name": "x", "attributes": attributes, "status": "error"})
    for field in (*FIELDS, *ALIASES, "metadata.a.b", "tags.x", "request.messages[0].content", "$..a"):
        for operator, value in (("eq", 1), ("gt", 1), ("contains", "a"), ("regex", "a"), ("in", ["a", 1])):
            assert asked(field, operator, value, batch)[0] in {True, False}


def test_spellings_have_one_name() -> None:
    """The lint knows which paths mean the same."""
    assert {core_name(path) for path in ("$.metrics.estimatedCost", "cost", "cost.total")} == {"cost"}
    assert core_name('request["X-Tenant"]') == 'request["X-Tenant"]'
    assert core_name("$.metadata.plan") == "metadata.plan"


def test_what_is_no_path_is_an_error() -> None:
    """A field that is neither a name nor a JSONPath is refused when the condition is compiled."""
    with pytest.raises(ConditionError, match="no JSONPath"):
        asked("model ==", "eq", 1)
