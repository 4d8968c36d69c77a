"""Requests and responses of provider APIs, as instrumentations keep them whole: parameters, model, id, usage, ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from untrace_plugins.genai import names
from untrace_plugins.genai.reading import Reading
from untrace_plugins.genai.tools import tool_definitions
from untrace_plugins.genai.usage import usage
from untrace_plugins.genai.values import Convert, boolean, integer, number, text, texts
from untrace_plugins.genai.words import finish_reason, output_type

__all__ = ["parameters", "response"]

_PARAMETERS: Mapping[str, tuple[str, Convert]] = {
    "model": (names.REQUEST_MODEL, text),
    "model_name": (names.REQUEST_MODEL, text),
    "modelId": (names.REQUEST_MODEL, text),
    "max_tokens": (names.REQUEST_MAX_TOKENS, integer),
    "max_completion_tokens": (names.REQUEST_MAX_TOKENS, integer),
    "max_output_tokens": (names.REQUEST_MAX_TOKENS, integer),
    "maxOutputTokens": (names.REQUEST_MAX_TOKENS, integer),
    "maxTokens": (names.REQUEST_MAX_TOKENS, integer),
    "temperature": (names.REQUEST_TEMPERATURE, number),
    "top_p": (names.REQUEST_TOP_P, number),
    "topP": (names.REQUEST_TOP_P, number),
    "top_k": (names.REQUEST_TOP_K, number),
    "topK": (names.REQUEST_TOP_K, number),
    "frequency_penalty": (names.REQUEST_FREQUENCY_PENALTY, number),
    "frequencyPenalty": (names.REQUEST_FREQUENCY_PENALTY, number),
    "presence_penalty": (names.REQUEST_PRESENCE_PENALTY, number),
    "presencePenalty": (names.REQUEST_PRESENCE_PENALTY, number),
    "seed": (names.REQUEST_SEED, integer),
    "n": (names.REQUEST_CHOICE_COUNT, integer),
    "stop": (names.REQUEST_STOP_SEQUENCES, texts),
    "stop_sequences": (names.REQUEST_STOP_SEQUENCES, texts),
    "stopSequences": (names.REQUEST_STOP_SEQUENCES, texts),
    "stream": (names.REQUEST_STREAM, boolean),
    "reasoning_effort": (names.REQUEST_REASONING_LEVEL, text),
    "service_tier": (names.OPENAI_REQUEST_SERVICE_TIER, text),
    "previous_response_id": (names.REQUEST_PREVIOUS_RESPONSE, text),
    "encoding_format": (names.REQUEST_ENCODING_FORMATS, texts),
    "dimensions": (names.EMBEDDINGS_DIMENSIONS, integer),
    "tools": (names.TOOL_DEFINITIONS, tool_definitions),
    "functions": (names.TOOL_DEFINITIONS, tool_definitions),
}

_RESPONSE: Mapping[str, tuple[str, Convert]] = {
    "id": (names.RESPONSE_ID, text),
    "responseId": (names.RESPONSE_ID, text),
    "model": (names.RESPONSE_MODEL, text),
    "modelVersion": (names.RESPONSE_MODEL, text),
    "service_tier": (names.OPENAI_RESPONSE_SERVICE_TIER, text),
    "system_fingerprint": (names.OPENAI_SYSTEM_FINGERPRINT, text),
}

_USAGE = ("usage", "usageMetadata", "usage_metadata", "token_usage")


def parameters(span: Reading, given: Mapping[str, Any]) -> bool:
    """Set what a request says beside its messages; return whether it said nothing else."""
    known = 0
    for key in filter(given.__contains__, _PARAMETERS):
        canonical, convert = _PARAMETERS[key]
        if (value := given[key]) is not None:
            known += 1
            if value != "Infinity":  # how Langfuse writes that there is no limit
                span.put(canonical, span.attempt(convert, value, key))
    reasoning = given.get("reasoning")
    if reasoning is not None and isinstance(reasoning, Mapping):
        span.put(names.REQUEST_REASONING_LEVEL, text(reasoning.get("effort")))
    wanted = given.get("response_format")
    if wanted is not None and isinstance(wanted, Mapping):
        span.put(names.OUTPUT_TYPE, output_type(wanted.get("type")))
    return known == len(given) - list(given.values()).count(None)


def response(span: Reading, given: Mapping[str, Any]) -> None:
    """Set what an answer of a provider says beside its messages: id, model, usage, why its choices ended."""
    if isinstance(given.get("generations"), list):
        _langchain(span, given)
        return
    for key in filter(given.__contains__, _RESPONSE):
        canonical, convert = _RESPONSE[key]
        if (value := given[key]) is not None:
            span.put(canonical, value if value.__class__ is str and value else span.attempt(convert, value, key))
    if not {names.USAGE_INPUT, names.USAGE_REASONING} <= span.values.keys():
        for key in filter(given.__contains__, _USAGE):
            span.tokens(usage(given[key]))
    _ended(span, _ends(given))


def _ends(given: Mapping[str, Any]) -> list[object]:
    """Return the words for why choices ended, in order."""
    choices = given.get("choices", given.get("candidates"))
    if isinstance(choices, list):
        return [
            one.get("finish_reason", one.get("finishReason"))
            for one in choices
            if one.__class__ is dict or isinstance(one, Mapping)
        ]
    if isinstance(given.get("output"), list):
        return _items_end(given)
    return [given.get("stop_reason", given.get("stopReason", given.get("finish_reason")))]


def _items_end(given: Mapping[str, Any]) -> list[object]:
    """Return why a response of OpenAI's Responses API ended: its status, or that functions are to be called."""
    incomplete = given.get("incomplete_details")
    if isinstance(incomplete, Mapping) and incomplete.get("reason"):
        return [incomplete["reason"]]
    kinds = [one.get("type") for one in given["output"] if isinstance(one, Mapping)]
    return ["tool_call" if "function_call" in kinds else given.get("status")]


def _ended(span: Reading, words: list[object]) -> None:
    reasons = [reason for word in words if isinstance(word, str) and (reason := finish_reason(word))]
    span.put(names.RESPONSE_FINISH_REASONS, [*reasons] or None)


def _langchain(span: Reading, given: Mapping[str, Any]) -> None:
    """Read ``LLMResult``: generations with ``generation_info``, messages with ``response_metadata``."""
    output = given.get("llm_output")
    if isinstance(output, Mapping):
        span.put(names.RESPONSE_MODEL, text(output.get("model_name")))
        span.put(names.RESPONSE_ID, text(output.get("id")))
        span.tokens(usage(output.get("token_usage")))
    first = given["generations"][0] if given["generations"] else None
    generations = [
        one for one in (first if isinstance(first, list) else given["generations"]) if isinstance(one, Mapping)
    ]
    ends: list[object] = []
    for one in generations:
        message = one.get("message")
        inner = message.get("kwargs", message) if isinstance(message, Mapping) else {}
        inner = inner if isinstance(inner, Mapping) else {}
        said = [
            part for part in (one.get("generation_info"), inner.get("response_metadata")) if isinstance(part, Mapping)
        ]
        for part in said:
            span.put(names.RESPONSE_MODEL, text(part.get("model_name", part.get("model"))))
            span.put(names.RESPONSE_ID, text(part.get("id")))
        ends.append(_langchain_end(said, inner))
        if names.USAGE_INPUT not in span.values:
            span.tokens(usage(inner.get("usage_metadata"), exclusive=False))
    _ended(span, ends)


def _langchain_end(said: list[Mapping[str, Any]], message: Mapping[str, Any]) -> object:
    """Return why a generation ended; of the Responses API there is only the status."""
    for part in said:
        if word := part.get("finish_reason", part.get("stop_reason")):
            return word
    if message.get("tool_calls"):
        return "tool_call"
    return next((word for part in said if (word := part.get("status"))), None)
