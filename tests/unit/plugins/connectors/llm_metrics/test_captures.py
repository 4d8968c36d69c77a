"""What real instrumentations send becomes as many requests, errors, tokens and dollars as there were."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.support.captures import captures
from tests.support.codecs import each_codec
from tests.support.metric_bench import Bench
from tests.support.metric_points import Point
from untrace_pipeline.api import Kind
from untrace_pipeline.data import Batch, Field, Level, Signal
from untrace_pipeline.testing import Sink, make_settings
from untrace_plugins.connectors.llm_metrics import FACTORY
from untrace_plugins.genai import names
from untrace_plugins.processors.genai_normalizer import FACTORY as NORMALIZER
from untrace_plugins.processors.llm_cost import FACTORY as COST

pytestmark = pytest.mark.usefixtures("each_codec")
__all__ = ["each_codec"]

CAPTURES = [name for name in sorted(captures()) if name != "langsmith-runs-0.14.17"]
"""Those that speak OTLP."""
OTHER_COUNTS = {
    # Of a stream that was left, only the outer span is sent, which is none of a call.
    "vercel-ai-v5-5.0.277": -1,
    # The outer span of an embedding, which has no tokens, looks like another call.
    "vercel-ai-v7-7.0.173": 1,
}
"""By how many the spans that count differ from the calls."""
OTHER_ERRORS = {"openllmetry-openai-0.62.4": -1, "langfuse-5.0.4": -1}
"""Spans of streams that broke do not say so."""
OTHER_MODELS = {"langfuse-5.0.4"}
"""Spans have the model of the response alone."""
ATTRIBUTES = Field(Level.ITEM, "attributes")


async def canonical(capture: str) -> list[Batch]:
    """Return the requests of a capture, normalised and priced."""
    sink = Sink()
    settings = make_settings(Kind.PROCESSOR, "genai_normalizer", signals=[Signal.TRACES])
    normalizer = NORMALIZER.create(NORMALIZER.config.model_validate({}), settings, sink)
    priced = COST.create(COST.config.model_validate({}), make_settings(Kind.PROCESSOR, "llm_cost"))
    for _, batch in captures()[capture].otlp(Signal.TRACES):
        await normalizer.consume(batch)
    return [batch for one in sink.batches if (batch := priced.process(Batch(Signal.TRACES, one.to_otlp())))]


def total(points: list[Point], **labels: Any) -> float:
    wanted = {name.replace("__", "."): value for name, value in labels.items()}
    return sum(point.value for point in points if wanted.items() <= point.attributes.items())


@pytest.mark.parametrize("capture", CAPTURES)
async def test_a_capture_counts_its_calls(capture: str) -> None:
    """Each call once, whichever spans repeat it; tokens and cost are those of the spans that count."""
    bench = Bench(FACTORY)
    await bench.connector.start(bench.host)
    batches = await canonical(capture)
    tokens: Counter[str] = Counter()
    for batch in batches:
        for attributes in batch.column(ATTRIBUTES):
            assert isinstance(attributes, dict)
            if attributes.get(names.OPERATION) in names.LLM_CALLS and names.DUPLICATE not in attributes:
                tokens.update({name: attributes.get(name) or 0 for name in (*names.USAGE, names.USAGE_COST)})
        await bench.connector.consume(batch)
    await bench.connector.shutdown()
    calls = [call for call in captures()[capture].expect["calls"] if call.get("span")]
    requests = bench.last("llm.requests")
    count = len(calls) + OTHER_COUNTS.get(capture, 0)
    assert total(requests) == count
    by_model = Counter(call["request_model"] for call in calls)
    if capture not in OTHER_MODELS | OTHER_COUNTS.keys():
        assert {model: total(requests, gen_ai__request__model=model) for model in by_model} == by_model
    said = bench.last("llm.tokens")
    assert total(said, gen_ai__token__type="input") == tokens[names.USAGE_INPUT] > 0
    assert total(said, gen_ai__token__type="output") == tokens[names.USAGE_OUTPUT] > 0
    assert total(said, gen_ai__token__type="cache_read") == tokens[names.USAGE_CACHE_READ]
    assert total(bench.last("llm.cost")) == pytest.approx(tokens[names.USAGE_COST])
    failed = sum(1 for call in calls if call["error"]) + OTHER_ERRORS.get(capture, 0)
    assert total(bench.last("llm.errors")) == failed
    durations = bench.last("gen_ai.client.operation.duration")
    assert sum(point.data.count for point in durations) == count
