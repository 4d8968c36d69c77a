"""Whatever comes and whatever a platform takes: every span is sent once, given up, or left out, with its original."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Signal, Value
from untrace_pipeline.data.compose import NewSpan, Scope, compose_spans
from untrace_pipeline.delivery import Prepared, Request
from untrace_plugins.exporters.platform import make_factory
from untrace_plugins.exporters.platform.preparation import Preparation

NAME = Field(Level.ITEM, "name")
FORMS = ("as_is", "genai", "genai_legacy", "openinference", "openllmetry", "langfuse", "posthog", "untrace")
KINDS: tuple[dict[str, Value], ...] = (
    {"http.method": "GET"},
    {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 3},
    {"openinference.span.kind": "LLM", "llm.model_name": "m", "llm.token_count.prompt": 3},
    {"traceloop.span.kind": "tool", "traceloop.entity.input": "{}"},
)
LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "request_items": st.integers(1, 20),
        "request_bytes": st.integers(600, 5000),
        "item_bytes": st.integers(600, 3000),
        "value_chars": st.integers(64, 500),
        "value_bytes": st.integers(64, 500),
    },
)
SPAN = st.tuples(st.integers(0, 3), st.booleans(), st.text(max_size=30), st.integers(0, 60))


def batch_of(spans: list[tuple[int, bool, str, int]]) -> Batch:
    made = [
        NewSpan(
            b"\1" * 16,
            number.to_bytes(8, "big") if valid else bytes(8),
            f"span {number}",
            1,
            2,
            attributes={**KINDS[kind], "note": text * times},
        )
        for number, (kind, valid, text, times) in enumerate(spans, start=1)
    ]
    return Batch(Signal.TRACES, compose_spans({"service.name": "app"}, Scope("test"), made))


def preparation(form: str, checks: list[str], limits: dict[str, Any]) -> Preparation:
    text = f"""
name: acme
title: Acme
category: LLM platforms
description: sends to Acme
docs: https://acme.example
base: https://acme.example
urls: {{traces: "{{base}}/v1/traces"}}
form: {form}
checks: {checks}
limits: {limits}
"""
    return Preparation(make_factory(text).config.model_validate({}), None)


def names(prepared: Prepared) -> tuple[list[Value], list[Value]]:
    """Return the spans that are sent, and those that are given up."""
    sent = [name for request in prepared.requests for name in request.batch.column(NAME)]
    return sent, [name for one in prepared.refused for name in one.batch.column(NAME)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    spans=st.lists(SPAN, min_size=1, max_size=40),
    form=st.sampled_from(FORMS),
    checks=st.lists(st.sampled_from(["ids", "llm_only"]), unique=True),
    limits=LIMITS,
)
def test_every_span_ends_once(
    spans: list[tuple[int, bool, str, int]], form: str, checks: list[str], limits: dict[str, Any]
) -> None:
    """The sums match, pieces keep to the limits, and each has the spans of its original, in order."""
    batch = batch_of(spans)
    before = batch.to_otlp()
    prepared = asyncio.run(preparation(form, checks, limits)(Request(batch, batch.item_count)))
    sent, refused = names(prepared)
    assert len(sent) + len(refused) + prepared.filtered == len(spans)
    assert len({*sent, *refused}) == len(sent) + len(refused)
    assert batch.to_otlp() == before
    for request in prepared.requests:
        assert request.original is not None
        assert request.batch.column(NAME) == request.original.column(NAME)
        assert request.items == request.batch.item_count <= limits.get("request_items", 40)
        assert request.batch.byte_size <= limits.get("request_bytes", 1 << 30) or request.items == 1
        for attributes in request.batch.column(Field(Level.ITEM, ATTRIBUTES)):
            assert isinstance(attributes, dict)
            note = str(attributes["note"])
            assert len(note) <= limits.get("value_chars", limits.get("value_bytes", 1 << 30))
