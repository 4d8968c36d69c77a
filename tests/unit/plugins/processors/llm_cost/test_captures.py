"""What the calls of real instrumentations cost, to the last digit."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from genai_prices import Usage, calc_price

from tests.support.captures import captures
from tests.support.codecs import each_codec
from untrace_pipeline.api import Kind
from untrace_pipeline.data import Batch, Field, Level, Signal
from untrace_pipeline.testing import RecordingMeter, Sink, make_settings
from untrace_plugins.genai import names
from untrace_plugins.processors.genai_normalizer import FACTORY as NORMALIZER
from untrace_plugins.processors.llm_cost import FACTORY

pytestmark = pytest.mark.usefixtures("each_codec")
__all__ = ["each_codec"]

WITHOUT_CACHE = {("otel-js-openai-0.21.0", False), ("otel-js-openai-0.21.0", True), ("vercel-ai-v5-5.0.277", False)}
"""Libraries that do not report cached tokens, and whether of streams: their calls look dearer than they were."""
WITHOUT_STREAMS = {"openllmetry-openai-indexed-0.40.14"}
"""Libraries that report no tokens of streams: their cost is unknown."""
WITH_BROKEN_STREAMS = {"anthropic-sdk-2.11.0"}
"""Libraries that report what the first event of a stream said before it broke."""
CAPTURES = [name for name in sorted(captures()) if name != "langsmith-runs-0.14.17"]
FIELDS = [Field(Level.ITEM, "span_id"), Field(Level.ITEM, "attributes")]


async def costs(capture: str, meter: RecordingMeter) -> dict[str, float]:
    """Return the cost of each span that has one, by span id, after normalising and pricing all requests in order."""
    sink = Sink()
    settings = make_settings(Kind.PROCESSOR, "genai_normalizer", signals=[Signal.TRACES])
    normalizer = NORMALIZER.create(NORMALIZER.config.model_validate({}), settings, sink)
    settings = make_settings(Kind.PROCESSOR, "llm_cost", signals=[Signal.TRACES], meter=meter)
    priced = FACTORY.create(FACTORY.config.model_validate({}), settings)
    for _, batch in captures()[capture].otlp(Signal.TRACES):
        await normalizer.consume(batch)
    found: dict[str, float] = {}
    for batch in sink.batches:
        result = priced.process(Batch(Signal.TRACES, batch.to_otlp()))
        assert result is not None
        for span_id, attributes in zip(*Batch(Signal.TRACES, result.to_otlp()).columns(FIELDS), strict=True):
            if names.USAGE_COST in attributes:  # type: ignore[operator]
                found[span_id.hex()] = attributes[names.USAGE_COST]  # type: ignore[union-attr, index, call-overload]
    return found


def expected(capture: str) -> dict[str, float]:
    """Return what genai-prices says of each call that was reported with tokens, by span id."""
    found = {}
    for call in captures()[capture].expect["calls"]:
        usage = call["usage"]
        if usage is None and capture in WITH_BROKEN_STREAMS:
            usage = {"input_tokens": (call.get("usage_partial") or {}).get("input_tokens")}
        streams = call["stream"] and capture in WITHOUT_STREAMS
        if call["span"] is not None and usage is not None and usage["input_tokens"] is not None and not streams:
            found[call["span"]["span_id"]] = price(
                call, usage, with_cache=(capture, call["stream"]) not in WITHOUT_CACHE
            )
    return found


def price(call: dict[str, Any], usage: dict[str, Any], *, with_cache: bool) -> float:
    """Return what one call costs by the library itself."""
    cached = {
        "cache_read_tokens": usage.get("cache_read_tokens"),
        "cache_write_tokens": usage.get("cache_creation_tokens"),
    }
    return float(
        calc_price(
            Usage(
                input_tokens=usage["input_tokens"],
                output_tokens=usage.get("output_tokens") or 0,
                **cached if with_cache else {},
            ),
            call["response_model"] or call["request_model"],
            provider_id=call["provider"],
            genai_request_timestamp=datetime(2026, 11, 21, tzinfo=UTC),
        ).total_price
    )


@pytest.mark.parametrize("capture", CAPTURES)
async def test_a_capture_costs_what_its_calls_cost(capture: str) -> None:
    """Each call has its price once, no span besides has one, and the counted total is their sum."""
    meter = RecordingMeter()
    found, wanted = await costs(capture, meter), expected(capture)
    assert wanted
    assert found == pytest.approx(wanted, rel=1e-9)
    counted = sum(
        meter.value("processor_llm_cost_usd", provider=provider, model=model)
        for provider in ("openai", "anthropic", "")
        for model in ("gpt-4o-mini", "o4-mini", "text-embedding-3-small", "claude-sonnet-4-5")
    )
    assert counted == pytest.approx(sum(wanted.values()), rel=1e-9)
