"""OpenLLMetry (Traceloop): ``gen_ai.prompt.0.content`` of 2025, ``gen_ai.input.messages`` with extras of 2026."""

from __future__ import annotations

from typing import Any

from untrace_plugins.genai import names
from untrace_plugins.genai.dialects.attached import attached
from untrace_plugins.genai.messages import input_messages, output_messages
from untrace_plugins.genai.reading import Reading, Table
from untrace_plugins.genai.tools import tool_definitions
from untrace_plugins.genai.values import boolean, dump, integer, number, structure, text, texts
from untrace_plugins.genai.words import finish_reason, finish_reasons

__all__ = ["read"]

_TABLE: Table = {
    "llm.request.model": (names.REQUEST_MODEL, text),
    "llm.response.model": (names.RESPONSE_MODEL, text),
    "llm.request.max_tokens": (names.REQUEST_MAX_TOKENS, integer),
    "llm.request.temperature": (names.REQUEST_TEMPERATURE, number),
    "llm.request.top_p": (names.REQUEST_TOP_P, number),
    "llm.temperature": (names.REQUEST_TEMPERATURE, number),
    "llm.top_p": (names.REQUEST_TOP_P, number),
    "llm.top_k": (names.REQUEST_TOP_K, number),
    "llm.frequency_penalty": (names.REQUEST_FREQUENCY_PENALTY, number),
    "llm.presence_penalty": (names.REQUEST_PRESENCE_PENALTY, number),
    "llm.chat.stop_sequences": (names.REQUEST_STOP_SEQUENCES, texts),
    "llm.is_streaming": (names.REQUEST_STREAM, boolean),
    "llm.user": (names.USER_ID, text),
    "llm.request.reasoning_effort": (names.REQUEST_REASONING_LEVEL, text),
    "llm.usage.prompt_tokens": (names.USAGE_INPUT, integer),
    "llm.usage.completion_tokens": (names.USAGE_OUTPUT, integer),
    "llm.usage.cache_read_input_tokens": (names.USAGE_CACHE_READ, integer),
    "llm.usage.cache_creation_input_tokens": (names.USAGE_CACHE_CREATION, integer),
    "llm.usage.reasoning_tokens": (names.USAGE_REASONING, integer),
    "llm.response.finish_reason": (names.RESPONSE_FINISH_REASONS, finish_reasons),
    "llm.response.stop_reason": (names.RESPONSE_FINISH_REASONS, finish_reasons),
    "llm.request.functions": (names.TOOL_DEFINITIONS, tool_definitions),
    "traceloop.prompt.key": (names.PROMPT_NAME, text),
    "traceloop.prompt.version_name": (names.PROMPT_VERSION, text),
}


def read(span: Reading) -> None:
    """Read legacy scalars, indexed messages, and what decorators of workflows write."""
    span.kind("llm.request.type")
    span.table(_TABLE)
    _indexed(span)
    if span.has_prefix("traceloop."):
        _workflow(span)
        attached(span, "traceloop.association.properties.")


def _indexed(span: Reading) -> None:
    prompts = [{"role": "user"} | _renamed(one) for one in span.indexed("gen_ai.prompt.")]
    if prompts:
        span.put(names.INPUT_MESSAGES, span.attempt(input_messages, prompts, "gen_ai.prompt."))
    answers = [{"role": "assistant"} | _renamed(one) for one in span.indexed("gen_ai.completion.")]
    if answers:
        span.put(names.OUTPUT_MESSAGES, span.attempt(output_messages, answers, "gen_ai.completion."))
        reasons = [reason for one in answers if (reason := finish_reason(one.get("finish_reason")))]
        span.put(names.RESPONSE_FINISH_REASONS, [*reasons] or None)
    functions = span.indexed("llm.request.functions.")
    if functions:
        for one in functions:
            one["parameters"] = structure(one.get("parameters", one.pop("arguments", None)))
        span.put(names.TOOL_DEFINITIONS, span.attempt(tool_definitions, functions, "llm.request.functions."))


def _renamed(one: dict[str, Any]) -> dict[str, Any]:
    """Return an indexed message whose text may stand under the name of its role: ``gen_ai.prompt.0.user``."""
    if "content" not in one:
        for role in ("user", "system", "assistant"):
            if isinstance(one.get(role), str):
                return {"role": role, "content": one.pop(role), **one}
    return one


def _workflow(span: Reading) -> None:
    """Read spans of decorators: workflow, task, agent, tool."""
    span.kind("traceloop.span.kind")
    span.take("traceloop.workflow.name", names.WORKFLOW_NAME)
    entity = {names.Operation.INVOKE_AGENT: names.AGENT_NAME, names.Operation.EXECUTE_TOOL: names.TOOL_NAME}.get(
        span.values.get(names.OPERATION)  # type: ignore[call-overload]
    )
    if entity is not None:
        span.take("traceloop.entity.name", entity)
    is_tool = span.values.get(names.OPERATION) == names.Operation.EXECUTE_TOOL
    if not is_tool and span.values.get(names.OPERATION) in names.LLM_CALLS:
        return
    span.take("traceloop.entity.input", names.TOOL_CALL_ARGUMENTS if is_tool else names.INPUT, _tool_input)
    span.take("traceloop.entity.output", names.TOOL_CALL_RESULT if is_tool else names.OUTPUT)


def _tool_input(value: object) -> str | None:
    """Return the arguments that a function was called with; positional ones have no names, and keep the envelope."""
    given = structure(value)
    if isinstance(given, dict) and given.keys() == {"args", "kwargs"} and not given["args"]:
        return dump(given["kwargs"])
    return value if isinstance(value, str) else dump(value)
