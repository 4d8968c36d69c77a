"""What released instrumentations really sent, normalised, is what happened."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.support.captures import captures
from tests.support.llm_calls import differences, spans_by_id
from untrace_pipeline.api import Kind
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.testing import Sink, make_settings
from untrace_plugins.genai import names
from untrace_plugins.processors.genai_normalizer import FACTORY

pytestmark = pytest.mark.usefixtures("each_codec")

WORKFLOW = "workflow"
PLAIN_LANGFUSE = (
    "agent chat_async chat_cached chat_image chat_json_doc chat_json_escaped chat_long chat_multilingual chat_n2 "
    "chat_plain chat_reasoning chat_tools responses_plain responses_stream responses_tools structured workflow "
    "workflow_error"
)
DEVIATIONS: dict[str, dict[str, str]] = {
    "anthropic-sdk-2.11.0": {
        # Streams of the helper that needs no accumulation have no answer; images are named, not sent.
        "output_texts": "chat_async_stream chat_stream_tools chat_stream_usage stream_broken",
        "tool_calls": "chat_stream_tools",
        "input": "chat_image",
        # What the first event of a stream said before it broke.
        "input_tokens": "stream_broken",
        # The application's span has session and user, and nothing else.
        "tags": WORKFLOW,
        "metadata": WORKFLOW,
    },
    "langfuse-5.0.4": {
        # Only the response's model is sent; of an answer that was no stream only its message.
        "provider": "every call",
        "request_model": "every call that has an answer",
        "response_id": "every call that has an answer",
        "finish_reasons": PLAIN_LANGFUSE,
        "error": "stream_broken",
    },
    "litellm-otel-1.106.2": {
        "response_model": "chat_stream_nousage chat_stream_usage",
        # Ids of function calls are only in the copy of the provider's answer on the other span.
        "tool_calls": "chat_tools",
        # Its own id, where the provider's is not kept, or there is none.
        "response_id": "chat_cache_write embedding error_429 error_500",
        "session_id": WORKFLOW,
        "tags": WORKFLOW,
        "metadata": WORKFLOW,
    },
    "mlflow-openai-3.17.2": {
        "provider": "embedding",
        "session_id": "agent workflow workflow_error",
        "user_id": "agent workflow workflow_error",
    },
    "openinference-langchain-0.1.80": {
        "response_id": "chat_async_stream chat_stream_nousage chat_stream_usage",
        "tags": "agent",
        "metadata": "agent",
    },
    "openllmetry-openai-0.62.4": {
        # The parameter ``user`` of the request, which this library says is the user.
        "user_id": "chat_plain",
        "error": "stream_broken",
        "tool_calls": "responses_tools",
    },
    "openllmetry-openai-indexed-0.40.14": {
        "user_id": "chat_plain",
        "input_tokens": "chat_async_stream chat_stream_tools chat_stream_usage",
        "output_tokens": "chat_async_stream chat_stream_tools chat_stream_usage",
        "reasoning_tokens": "chat_reasoning",
    },
    "otel-genai-openai-1.3b0": {
        "input": "embedding",
        # The library's own word: error.
        "finish_reasons": "stream_abandoned stream_broken",
        # The span that has session and user comes in a later request than the calls beneath it.
        "session_id": WORKFLOW,
        "user_id": WORKFLOW,
        "tags": WORKFLOW,
        "metadata": WORKFLOW,
    },
    "otel-js-openai-0.21.0": {
        "cache_read_tokens": "chat_cached chat_tools responses_stream responses_tools",
        "reasoning_tokens": "chat_reasoning responses_plain",
        # Images and inputs of embeddings are not sent; instructions come twice, as such and as a message.
        "input": "chat_image embedding responses_plain responses_tools",
        "tags": WORKFLOW,
        "metadata": WORKFLOW,
    },
    "pydantic-ai-2.68.0": {
        # The application's span says nothing; a call that fails has no messages.
        "session_id": "agent",
        "user_id": "agent",
        "tags": "agent",
        "metadata": "agent",
        "input": "error_429 error_500",
    },
    "vercel-ai-v5-5.0.277": {
        "cache_read_tokens": "agent chat_cached chat_tools",
        "reasoning_tokens": "chat_reasoning responses_plain",
        "response_model": "embedding stream_abandoned",
        # Of a stream that was left, only the outer span is sent, without an answer.
        "operation": "stream_abandoned",
        "response_id": "stream_abandoned",
        "output_texts": "stream_abandoned",
    },
    "vercel-ai-v7-7.0.173": {
        "response_model": "embedding stream_abandoned stream_broken",
        "input": "embedding",
        "response_id": "stream_abandoned stream_broken",
        "output_texts": "stream_abandoned stream_broken",
    },
}
"""What libraries do not send, or send otherwise: by capture, what, and in which cases."""


async def run(batches: Iterable[Batch]) -> list[Batch]:
    """Return the traces that come out, written and read again."""
    sink = Sink()
    settings = make_settings(Kind.PROCESSOR, "genai_normalizer", signals=[Signal.TRACES, Signal.LOGS])
    processor = FACTORY.create(FACTORY.config.model_validate({"join_events": {}}), settings, sink)
    for batch in batches:
        await processor.consume(batch)
    await processor.shutdown()
    return [Batch(batch.signal, batch.to_otlp()) for batch in sink.batches if batch.signal is Signal.TRACES]


async def normalised(capture: str) -> list[Batch]:
    """Return the traces of a capture, after its logs."""
    signals = (Signal.LOGS, Signal.TRACES)
    return await run(batch for signal in signals for _, batch in captures()[capture].otlp(signal))


OTLP = [name for name, capture in captures().items() if any(capture.otlp(Signal.TRACES))]


@pytest.mark.parametrize("capture", OTLP)
async def test_calls_are_what_happened(capture: str) -> None:
    """Every call's span says what happened, apart from what its library does not send, which is listed."""
    spans = spans_by_id(await normalised(capture))
    calls = [call for call in captures()[capture].expect["calls"] if call.get("span")]
    found: dict[str, set[str]] = {}
    for call in calls:
        for what in differences(call, spans[call["span"]["span_id"]]):
            found.setdefault(what, set()).add(call["case"])
    every = {call["case"] for call in calls}
    answered = {call["case"] for call in calls if call["response_id"]}
    words = {frozenset(answered): "every call that has an answer", frozenset(every): "every call"}
    said = {what: words.get(frozenset(cases), " ".join(sorted(cases))) for what, cases in found.items()}
    assert said == DEVIATIONS.get(capture, {})


@pytest.mark.parametrize("capture", OTLP)
async def test_tokens_count_once(capture: str) -> None:
    """Adding up the spans that count gives the tokens of the calls; whatever repeats a call is marked or has none."""
    spans = spans_by_id(await normalised(capture))
    calls = [call for call in captures()[capture].expect["calls"] if call.get("span")]
    counted = {span_id for span_id, span in spans.items() if names.DUPLICATE not in span.attributes}
    with_tokens = {span_id for span_id, span in spans.items() if span.attributes.keys() & set(names.USAGE)}
    assert counted & with_tokens <= {call["span"]["span_id"] for call in calls}
    assert all(call["span"]["span_id"] in counted for call in calls)
    for call in calls:
        for other in call["also_described_by"]:
            assert other["span_id"] not in counted & with_tokens


@pytest.mark.parametrize("capture", OTLP)
async def test_second_pass_changes_nothing(capture: str) -> None:
    """What was normalised is the same, byte for byte, after it was normalised again."""
    once = await normalised(capture)
    assert [batch.to_otlp() for batch in await run(once)] == [batch.to_otlp() for batch in once]


@pytest.mark.parametrize("capture", OTLP)
async def test_unknown_attributes_are_untouched(capture: str) -> None:
    """Without ``remove_originals`` every attribute is still there; what is no LLM span is not changed at all."""
    before = spans_by_id(batch for _, batch in captures()[capture].otlp(Signal.TRACES))
    after = spans_by_id(await normalised(capture))
    for span_id, span in before.items():
        found = after[span_id].attributes
        assert found.keys() >= span.attributes.keys()
        assert all(found[key] == value for key, value in span.attributes.items() if not key.startswith("gen_ai."))
        assert names.DIALECT in found or not found.keys() & {names.OPERATION, names.USAGE_INPUT}
