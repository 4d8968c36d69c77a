"""Vercel AI SDK: 5 and 6 write ``ai.*`` on an outer and an inner span, 7 writes OTel GenAI with additions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from untrace_pipeline.data.fields import Value
from untrace_plugins.genai import names
from untrace_plugins.genai.dialects.attached import attached
from untrace_plugins.genai.messages import input_messages, instructions, output_messages
from untrace_plugins.genai.names import Kind, Operation
from untrace_plugins.genai.reading import Reading, Table
from untrace_plugins.genai.tools import tool_definitions
from untrace_plugins.genai.values import integer, load, number, structure, text, texts
from untrace_plugins.genai.words import finish_reason, finish_reasons, provider

__all__ = ["read"]

_TABLE: Table = {
    "ai.model.provider": (names.PROVIDER, provider),
    "ai.model.id": (names.REQUEST_MODEL, text),
    "ai.response.model": (names.RESPONSE_MODEL, text),
    "ai.response.id": (names.RESPONSE_ID, text),
    "ai.response.finishReason": (names.RESPONSE_FINISH_REASONS, finish_reasons),
    "ai.finishReason": (names.RESPONSE_FINISH_REASONS, finish_reasons),
    "ai.settings.maxOutputTokens": (names.REQUEST_MAX_TOKENS, integer),
    "ai.settings.maxTokens": (names.REQUEST_MAX_TOKENS, integer),
    "ai.settings.temperature": (names.REQUEST_TEMPERATURE, number),
    "ai.settings.topP": (names.REQUEST_TOP_P, number),
    "ai.settings.topK": (names.REQUEST_TOP_K, number),
    "ai.settings.frequencyPenalty": (names.REQUEST_FREQUENCY_PENALTY, number),
    "ai.settings.presencePenalty": (names.REQUEST_PRESENCE_PENALTY, number),
    "ai.settings.seed": (names.REQUEST_SEED, integer),
    "ai.settings.stopSequences": (names.REQUEST_STOP_SEQUENCES, texts),
    "ai.prompt.tools": (names.TOOL_DEFINITIONS, tool_definitions),
    "ai.usage.inputTokens": (names.USAGE_INPUT, integer),
    "ai.usage.promptTokens": (names.USAGE_INPUT, integer),
    "ai.usage.tokens": (names.USAGE_INPUT, integer),
    "ai.usage.outputTokens": (names.USAGE_OUTPUT, integer),
    "ai.usage.completionTokens": (names.USAGE_OUTPUT, integer),
    "ai.usage.cachedInputTokens": (names.USAGE_CACHE_READ, integer),
    "ai.usage.inputTokenDetails.cacheReadTokens": (names.USAGE_CACHE_READ, integer),
    "ai.usage.inputTokenDetails.cacheWriteTokens": (names.USAGE_CACHE_CREATION, integer),
    "ai.usage.reasoningTokens": (names.USAGE_REASONING, integer),
    "ai.usage.outputTokenDetails.reasoningTokens": (names.USAGE_REASONING, integer),
    "ai.toolCall.name": (names.TOOL_NAME, text),
    "ai.toolCall.id": (names.TOOL_CALL_ID, text),
    "ai.toolCall.args": (names.TOOL_CALL_ARGUMENTS, text),
    "ai.toolCall.input": (names.TOOL_CALL_ARGUMENTS, text),
    "ai.toolCall.result": (names.TOOL_CALL_RESULT, text),
    "ai.toolCall.output": (names.TOOL_CALL_RESULT, text),
}
_CALLS: Mapping[str, Operation] = {
    **dict.fromkeys(("doGenerate", "doStream"), Operation.CHAT),
    "doEmbed": Operation.EMBEDDINGS,
}


def read(span: Reading) -> None:
    """Read a span of any operation."""
    attached(span, "ai.telemetry.metadata.")
    attached(span, "ai.settings.context.")
    span.table(_TABLE)
    name = span.attributes.get("ai.operationId")
    if isinstance(name, str):
        _operation(span, name)
        _input(span)
        _output(span)
        _chunk(span)
        _cache(span)


def _operation(span: Reading, name: str) -> None:
    """Say what the span is: ``ai.generateText.doGenerate`` reaches the model, ``ai.generateText`` wraps such calls."""
    call = _CALLS.get(name.rpartition(".")[2])
    if name == "ai.toolCall":
        span.put(names.OPERATION, Operation.EXECUTE_TOOL, "ai.operationId")
    elif name.startswith("ai.embed") and call is None:
        span.put(names.SPAN_KIND, Kind.CHAIN, "ai.operationId")
    elif name.startswith("ai.rerank"):
        span.put(names.SPAN_KIND, Kind.RERANKER, "ai.operationId")
    elif call is not None:
        span.put(names.OPERATION, call, "ai.operationId")
    else:
        span.put(names.OPERATION, Operation.INVOKE_AGENT, "ai.operationId")
        span.take("ai.telemetry.functionId", names.AGENT_NAME)
    if call is not None and name.endswith("doStream"):
        span.put(names.REQUEST_STREAM, True)


def _input(span: Reading) -> None:
    span.take("ai.prompt.messages", names.INPUT_MESSAGES, input_messages)
    prompt = load(span.attributes.get("ai.prompt"))
    if isinstance(prompt, dict):
        if prompt.get("system"):
            span.put(names.SYSTEM_INSTRUCTIONS, span.attempt(instructions, [prompt["system"]], "ai.prompt"))
        given = prompt.get("messages") or [prompt.get("prompt")]
        span.put(names.INPUT_MESSAGES, span.attempt(input_messages, given, "ai.prompt"), "ai.prompt")
    span.take("ai.value", names.INPUT_MESSAGES, lambda value: input_messages([structure(value)]))
    span.take("ai.values", names.INPUT_MESSAGES, lambda value: input_messages(_decoded(value)))


def _decoded(value: Value) -> Value:
    """Return texts of which each was encoded as JSON by itself."""
    return [load(one) if isinstance(one, str) else one for one in value] if isinstance(value, list) else load(value)


def _output(span: Reading) -> None:
    """Put the answer together, which lies in pieces: text or object, reasoning, tool calls."""
    said = {key: span.attributes.get(f"ai.response.{key}") for key in ("text", "object", "reasoning", "toolCalls")}
    if not any(said.values()):
        said = {key: span.attributes.get(f"ai.result.{key}") for key in ("text", "object", "toolCalls")}
    content = said.get("text") or said.get("object")
    answer: dict[str, Any] = {
        "role": "assistant",
        "content": [{"type": "text", "text": content}] if isinstance(content, str) else None,
        "reasoning": said.get("reasoning"),
        "tool_calls": load(said.get("toolCalls")),
    }
    if (reason := finish_reason(span.attributes.get("ai.response.finishReason"))) is not None:
        answer["finish_reason"] = reason
    if any(said.values()):
        sources = [f"ai.response.{key}" for key, value in said.items() if value]
        span.put(names.OUTPUT_MESSAGES, span.attempt(output_messages, [answer], "ai.response"), *sources)


def _chunk(span: Reading) -> None:
    for key in ("ai.response.msToFirstChunk", "ai.stream.msToFirstChunk"):
        milliseconds = number(span.attributes.get(key))
        if milliseconds is not None:
            span.put(names.RESPONSE_TIME_TO_FIRST_CHUNK, milliseconds / 1000, key)


def _cache(span: Reading) -> None:
    """Add what was cached to the input, which up to version 5 Anthropic and Bedrock have without it."""
    metadata = load(span.attributes.get("ai.response.providerMetadata"))
    inner = metadata.get("anthropic") if isinstance(metadata, dict) else None
    if isinstance(inner, dict):
        span.put(names.USAGE_CACHE_CREATION, integer(inner.get("cacheCreationInputTokens")))
    if span.values.get(names.PROVIDER) in ("anthropic", "aws.bedrock") and not span.has_prefix("ai.usage.inputTokenD"):
        parts = [integer(span.values.get(key)) or 0 for key in (names.USAGE_CACHE_READ, names.USAGE_CACHE_CREATION)]
        total = integer(span.values.get(names.USAGE_INPUT))
        if total is not None and any(parts):
            span.force(names.USAGE_INPUT, total + sum(parts))
