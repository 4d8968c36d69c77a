"""Pydantic AI and Logfire: OTel GenAI with additions, ``operation.cost``; before, events as JSON in one attribute."""

from __future__ import annotations

from typing import Any

from untrace_pipeline.data.fields import Value
from untrace_plugins.genai import names
from untrace_plugins.genai.dialects.parameters import parameters, response
from untrace_plugins.genai.events import conversation
from untrace_plugins.genai.messages import input_messages, output_messages
from untrace_plugins.genai.names import Operation
from untrace_plugins.genai.reading import Reading, Table
from untrace_plugins.genai.tools import tool_definitions
from untrace_plugins.genai.usage import usage
from untrace_plugins.genai.values import json_text, load, number, text

__all__ = ["read"]

_TABLE: Table = {
    "operation.cost": (names.USAGE_COST, number),
    "agent_name": (names.AGENT_NAME, text),
    "tool_arguments": (names.TOOL_CALL_ARGUMENTS, json_text),
    "tool_response": (names.TOOL_CALL_RESULT, json_text),
}


def read(span: Reading) -> None:
    """Read the additions; the rest is the convention's."""
    span.table(_TABLE)
    operation = span.values.get(names.OPERATION)
    if operation is None:
        operation = _operation(span)
    if operation == Operation.INVOKE_AGENT:
        _agent(span)
    given = load(span.attributes.get("model_request_parameters"))
    if isinstance(given, dict) and given.get("function_tools"):
        span.put(
            names.TOOL_DEFINITIONS, span.attempt(tool_definitions, given["function_tools"], "model_request_parameters")
        )
    span.tokens(usage(load(span.attributes.get("gen_ai.usage.raw"))), "gen_ai.usage.raw")
    _events(span, "events")
    _requests(span)


def _operation(span: Reading) -> Value:
    """Say what a span of a version before ``gen_ai.operation.name`` is."""
    if "agent_name" in span.attributes and "model_name" in span.attributes:
        span.put(names.OPERATION, Operation.INVOKE_AGENT)
    elif "tool_arguments" in span.attributes or names.TOOL_NAME in span.attributes:
        span.put(names.OPERATION, Operation.EXECUTE_TOOL)
    elif "request_data" in span.attributes:
        span.put(names.OPERATION, Operation.CHAT)
    return span.values.get(names.OPERATION)


def _agent(span: Reading) -> None:
    """Read a run: the conversation so far is its input, the result its output."""
    span.take("model_name", names.REQUEST_MODEL)
    span.take("pydantic_ai.all_messages", names.INPUT_MESSAGES, input_messages)
    span.take("prompt", names.INPUT)
    span.take("final_result", names.OUTPUT, json_text)
    _events(span, "all_messages_events")


def _events(span: Reading, key: str) -> None:
    events = load(span.attributes.get(key))
    if isinstance(events, list):
        asked, answered = conversation(one for one in events if isinstance(one, dict))
        span.put(names.INPUT_MESSAGES, span.attempt(input_messages, asked, key) if asked else None, key)
        span.put(names.OUTPUT_MESSAGES, span.attempt(output_messages, answered, key) if answered else None, key)


def _requests(span: Reading) -> None:
    """Read what Logfire keeps of requests of provider SDKs: the request, and the message and usage of the answer."""
    asked: Any = load(span.attributes.get("request_data"))
    if isinstance(asked, dict):
        parameters(span, asked)
        span.put(names.INPUT_MESSAGES, span.attempt(input_messages, asked, "request_data"))
    answered: Any = load(span.attributes.get("response_data"))
    if isinstance(answered, dict):
        whole = answered.get("message") or answered.get("combined_chunk_content") or answered.get("text")
        if whole:
            span.put(names.OUTPUT_MESSAGES, span.attempt(output_messages, [whole], "response_data"))
        response(span, answered)
