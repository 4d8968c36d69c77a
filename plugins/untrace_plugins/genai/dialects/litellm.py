"""LiteLLM: a span per call with GenAI names, and below it one with the provider's request as ``repr`` of Python."""

from __future__ import annotations

import re

from untrace_plugins.genai import names
from untrace_plugins.genai.parts import tool_call
from untrace_plugins.genai.reading import Reading, Table
from untrace_plugins.genai.usage import usage
from untrace_plugins.genai.values import boolean, dump, load, number, python_literal, text
from untrace_plugins.genai.words import provider

__all__ = ["RAW_MARKS", "read"]

RAW_MARKS = (
    "llm.openai.",
    "llm.anthropic.",
    "llm.None.",
    "llm.azure.",
    "llm.bedrock.",
    "llm.vertex_ai.",
    "llm.gemini.",
)
"""The most common beginnings of attributes on the span with the provider's request: ``llm.{provider}.{parameter}``."""
_RAW = re.compile(r"llm\.\w+\.(?:messages|input|extra_body|choices|content|model|id)\Z")

_TABLE: Table = {
    "gen_ai.cost.total_cost": (names.USAGE_COST, number),
    "gen_ai.cost.input_cost": (names.COST_INPUT, number),
    "gen_ai.cost.output_cost": (names.COST_OUTPUT, number),
    "gen_ai.cost.cache_read_cost": (names.COST_CACHE_READ, number),
    "gen_ai.cost.cache_creation_cost": (names.COST_CACHE_WRITE, number),
    "llm.is_streaming": (names.REQUEST_STREAM, boolean),
    "llm.user": (names.USER_ID, text),
    "metadata.user_api_key_end_user_id": (names.USER_ID, text),
    "metadata.session_id": (names.SESSION_ID, text),
}


def _is_raw(span: Reading) -> bool:
    """Return whether this is the span of the provider's request, which repeats what the one above has."""
    return names.OPERATION not in span.attributes and any(_RAW.match(key) for key in span.attributes)


def read(span: Reading) -> None:
    """Read a call; tokens of cache and reasoning are only in the usage that the provider sent."""
    if _is_raw(span):
        span.duplicate = True
        return
    if span.attributes.get(names.OPERATION) == "completion":  # LiteLLM's word for chat
        span.force(names.OPERATION, names.Operation.CHAT)
    span.kind("llm.request.type", "chat" if span.attributes.get("llm.request.type") == "completion" else None)
    span.table(_TABLE)
    model = span.attributes.get("litellm.provider.model")
    if isinstance(model, str) and "/" in model:
        span.put(names.PROVIDER, provider(model.partition("/")[0]))
    _called(span)
    given = span.attempt(python_literal, span.attributes.get("metadata.usage_object") or {}, "metadata.usage_object")
    if isinstance(given, dict):
        span.tokens(usage(given))
    metadata = python_literal(span.attributes.get("metadata.requester_metadata") or {})
    if isinstance(metadata, dict) and metadata:
        span.put(names.METADATA, dump(metadata), "metadata.requester_metadata")


def _called(span: Reading) -> None:
    """Put function calls into an answer that LiteLLM wrote without them: they lie one by one beside it."""
    answers = load(span.values.get(names.OUTPUT_MESSAGES))
    if not isinstance(answers, list) or len(answers) != 1 or answers[0].get("parts"):
        return
    found = [one.get("function_call") for one in span.indexed("gen_ai.completion.")]
    calls = [call for call in found if isinstance(call, dict) and call.get("name")]
    if calls:
        answers[0]["parts"] = [tool_call(call.get("id"), call.get("name"), call.get("arguments")) for call in calls]
        span.force(names.OUTPUT_MESSAGES, dump(answers))
