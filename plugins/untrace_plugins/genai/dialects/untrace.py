"""Untrace's own SDKs: ``llm.prompt.tokens``, ``llm.cost.*``, ``workflow.*``, ``framework.*``."""

from __future__ import annotations

from untrace_plugins.genai import names
from untrace_plugins.genai.messages import input_messages, output_messages
from untrace_plugins.genai.reading import Reading, Table
from untrace_plugins.genai.tools import tool_definitions
from untrace_plugins.genai.values import boolean, integer, json_text, number, text, texts
from untrace_plugins.genai.words import finish_reasons, provider

__all__ = ["read"]

_TABLE: Table = {
    "llm.provider": (names.PROVIDER, provider),
    "llm.model": (names.REQUEST_MODEL, text),
    "llm.response.model": (names.RESPONSE_MODEL, text),
    "llm.temperature": (names.REQUEST_TEMPERATURE, number),
    "llm.top_p": (names.REQUEST_TOP_P, number),
    "llm.max_tokens": (names.REQUEST_MAX_TOKENS, integer),
    "llm.stream": (names.REQUEST_STREAM, boolean),
    "llm.prompt.tokens": (names.USAGE_INPUT, integer),
    "llm.usage.input_tokens": (names.USAGE_INPUT, integer),
    "llm.completion.tokens": (names.USAGE_OUTPUT, integer),
    "llm.usage.output_tokens": (names.USAGE_OUTPUT, integer),
    "llm.cost.total": (names.USAGE_COST, number),
    "llm.cost.prompt": (names.COST_INPUT, number),
    "llm.cost.completion": (names.COST_OUTPUT, number),
    "llm.finish_reason": (names.RESPONSE_FINISH_REASONS, finish_reasons),
    "llm.messages": (names.INPUT_MESSAGES, input_messages),
    "llm.choices": (names.OUTPUT_MESSAGES, output_messages),
    "llm.tools": (names.TOOL_DEFINITIONS, tool_definitions),
    "llm.request.id": (names.RESPONSE_ID, text),
    "llm.error.type": (names.ERROR_TYPE, text),
    "workflow.session_id": (names.SESSION_ID, text),
    "workflow.user_id": (names.USER_ID, text),
    "workflow.name": (names.WORKFLOW_NAME, text),
    "workflow.metadata": (names.METADATA, json_text),
    "workflow.tags": (names.TAGS, texts),
    "framework.agent.name": (names.AGENT_NAME, text),
    "framework.tool.name": (names.TOOL_NAME, text),
}
_FRAMEWORK = (("framework.tool.", "tool"), ("framework.agent.", "agent"), ("framework.chain.", "chain"))


def read(span: Reading) -> None:
    """Read a call of a model, a step of a framework, or a workflow."""
    span.kind("llm.operation.type")
    span.table(_TABLE)
    if names.OPERATION in span.values:
        return
    for prefix, kind in _FRAMEWORK:
        if span.has_prefix(prefix):
            span.kind(prefix, kind)
            return
    if span.has_prefix("workflow."):
        span.put(names.OPERATION, names.Operation.INVOKE_WORKFLOW)
