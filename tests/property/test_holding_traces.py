"""Samplers that hold traces, with requests as odd as the protocol allows: whole traces, unchanged, each span once."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from tests.support.otlp_oddities import oddly_encoded
from tests.support.otlp_strategies import requests
from tests.support.peers.canonical import canonical_items, parse_proto
from untrace_pipeline.api import DecodeError, Kind, ProcessorFactory
from untrace_pipeline.data import Batch, Field, Level, Signal
from untrace_pipeline.testing import RecordingMeter, Sink, StubHost, make_settings, run_with_fake_clock
from untrace_plugins.processors.llm_sampler import FACTORY as LLM_SAMPLER
from untrace_plugins.processors.tail_sampling import FACTORY as TAIL_SAMPLING

TRACE_ID = Field(Level.ITEM, "trace_id")
POLICIES = [
    {"type": "numeric_attribute", "numeric_attribute": {"key": "a", "min_value": 1, "max_value": 2**62}},
    {"type": "string_attribute", "string_attribute": {"key": "b", "values": ["^x"], "enabled_regex_matching": True}},
    {"type": "boolean_attribute", "boolean_attribute": {"key": "service.name", "value": True}},
    {"type": "latency", "latency": {"threshold_ms": 10**9, "upper_threshold_ms": 10**14}},
    {"type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
    {"type": "trace_state", "trace_state": {"key": "a", "values": ["b"]}},
    {"type": "trace_flags"},
    {"type": "probabilistic", "probabilistic": {"sampling_percentage": 50}},
    {
        "type": "ottl_condition",
        "ottl_condition": {
            "error_mode": "propagate",
            "span": ['span.attributes["a"]["b"] == 1', 'Int(span.attributes["b"]) > 5'],
            "spanevent": ['spanevent.attributes["a"] != nil'],
        },
    },
    {"type": "rate_limiting", "rate_limiting": {"spans_per_second": 3}},
]
TAIL: dict[str, Any] = {
    "policies": [{"name": f"p{number}", **policy} for number, policy in enumerate(POLICIES)],
    "use_tracestate": False,
    "record_adjusted_count": False,
}
LLM: dict[str, Any] = {
    "sampling_percentage": 50,
    "keep": {"min_cost": 1, "min_latency": "5s", "min_tokens": 10, "tags": ["a"], "models": ["*x*"]},
    "cost_of_certainty": 0.5,
    "hourly": {"min_traces": 1, "max_traces": 2, "target_cost": 5},
    "use_tracestate": False,
    "record_adjusted_count": False,
}
EXAMPLES = 60
"""Fewer than usual: making a request takes longer than sampling it."""


@st.composite
def several(draw: st.DrawFn) -> list[bytes]:
    """One request, perhaps oddly encoded, cut into several of few spans."""
    request = draw(requests(Signal.TRACES))
    batch = Batch(Signal.TRACES, request.SerializeToString())
    if draw(st.booleans()):
        rng = random.Random(draw(st.integers(0, 2**32)))
        odd = Batch(Signal.TRACES, oddly_encoded(request.DESCRIPTOR, batch.to_otlp(), rng))
        try:
            odd.validate()
        except DecodeError:  # no receiver lets it in
            reject()
        batch = odd
    parts = batch.split(max_items=draw(st.integers(1, 4)))
    return [part.to_otlp() for part in parts]


def items_of(payloads: list[bytes]) -> Counter[Any]:
    return canonical_items("traces", [parse_proto("traces", one) for one in payloads])


def run(factory: ProcessorFactory[Any], options: dict[str, Any], sent: list[bytes]) -> tuple[Sink, RecordingMeter]:
    """Send requests, with a pause between them, and let the processor end."""
    sink, meter = Sink(), RecordingMeter()

    async def main() -> None:
        processor = factory.create(
            factory.config.model_validate(options), make_settings(Kind.PROCESSOR, factory.type_name, meter=meter), sink
        )
        await processor.start(StubHost())
        for payload in sent:
            await processor.consume(Batch(Signal.TRACES, payload))
            await asyncio.sleep(0.4)
        await processor.shutdown()

    run_with_fake_clock(main())
    return sink, meter


@pytest.mark.parametrize(
    ("factory", "options"),
    [
        pytest.param(TAIL_SAMPLING, {**TAIL, "decision_wait": "1h"}, id="tail_sampling"),
        pytest.param(LLM_SAMPLER, {**LLM, "decide_on": "idle", "idle_time": "1h"}, id="llm_sampler"),
    ],
)
@settings(max_examples=EXAMPLES)
@given(sent=several())
def test_whole_traces_unchanged(factory: ProcessorFactory[Any], options: dict[str, Any], sent: list[bytes]) -> None:
    """All spans of a trace have one outcome; those that come out are what came in, with resource and scope."""
    sink, _ = run(factory, options, sent)
    kept = set(sink.column(TRACE_ID))
    spans, expected = items_of(sent), items_of([batch.to_otlp() for batch in sink.batches])
    assert expected <= spans
    offered = Counter(one for payload in sent for one in Batch(Signal.TRACES, payload).column(TRACE_ID))
    assert sink.item_count == sum(count for trace, count in offered.items() if trace in kept)
    assert sink.item_count + sum(sink.drops.values()) == sum(offered.values())


@pytest.mark.parametrize(
    ("factory", "options"),
    [
        pytest.param(TAIL_SAMPLING, {**TAIL, "decision_wait": "500ms", "num_traces": 2}, id="tail_sampling"),
        pytest.param(
            TAIL_SAMPLING,
            {**TAIL, "policies": TAIL["policies"][:3] + TAIL["policies"][4:9], "sampling_strategy": "span-ingest"},
            id="span ingest",
        ),
        pytest.param(LLM_SAMPLER, {**LLM, "decision_wait_after_root_received": "100ms", "num_traces": 1}, id="llm"),
    ],
)
@settings(max_examples=EXAMPLES)
@given(sent=several())
def test_every_span_has_one_outcome(factory: ProcessorFactory[Any], options: dict[str, Any], sent: list[bytes]) -> None:
    """Decided in time, early or late, or at once: passed or dropped, and the account adds up."""
    sink, meter = run(factory, options, sent)
    assert items_of([batch.to_otlp() for batch in sink.batches]) <= items_of(sent)
    accepted = meter.value("ledger_items", state="accepted")
    assert accepted == sum(Batch(Signal.TRACES, payload).item_count for payload in sent)
    assert meter.value("ledger_items", state="passed") == sink.item_count
    assert meter.value("ledger_items") == 2 * accepted
    assert meter.value("processor_pending_items") == 0
