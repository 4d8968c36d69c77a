"""MLflow: every value is JSON, also strings; requests and answers of providers lie whole in inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from untrace_pipeline.data.fields import Value
from untrace_plugins.genai import names
from untrace_plugins.genai.dialects.attached import attached
from untrace_plugins.genai.dialects.parameters import parameters, response
from untrace_plugins.genai.messages import input_messages, output_messages
from untrace_plugins.genai.reading import Reading, Table
from untrace_plugins.genai.tools import tool_definitions
from untrace_plugins.genai.usage import usage
from untrace_plugins.genai.values import json_text, load, number, text
from untrace_plugins.genai.words import provider

__all__ = ["read"]

_INPUTS, _OUTPUTS, _USAGE = "mlflow.spanInputs", "mlflow.spanOutputs", "mlflow.chat.tokenUsage"
_COSTS: Mapping[str, str] = {
    "total_cost": names.USAGE_COST,
    "input_cost": names.COST_INPUT,
    "output_cost": names.COST_OUTPUT,
}
_EXCLUSIVE = frozenset({"anthropic", "bedrock"})
"""Formats of messages whose provider counts the input without its cache parts, and MLflow passes that on."""


def _decoded(value: Value) -> Any:
    found = load(value)
    return value if found is None else found


_TABLE: Table = {
    "mlflow.llm.provider": (names.PROVIDER, lambda value: provider(_decoded(value))),
    "mlflow.message.format": (names.PROVIDER, lambda value: provider(_decoded(value))),
    "mlflow.chat.tools": (names.TOOL_DEFINITIONS, tool_definitions),
    "mlflow.trace.session": (names.SESSION_ID, lambda value: text(_decoded(value))),
    "mlflow.trace.user": (names.USER_ID, lambda value: text(_decoded(value))),
}


def read(span: Reading) -> None:
    """Read a span of any type."""
    kind = _decoded(span.attributes.get("mlflow.spanType"))
    span.kind("mlflow.spanType", kind)
    attached(span, "mlflow.traceTag.")
    match span.values.get(names.OPERATION):
        case names.Operation.EXECUTE_TOOL:
            span.take(_INPUTS, names.TOOL_CALL_ARGUMENTS)
            span.take(_OUTPUTS, names.TOOL_CALL_RESULT, lambda value: json_text(_decoded(value)))
        case names.Operation.RETRIEVAL:
            span.take(_INPUTS, names.RETRIEVAL_QUERY, _query)
            span.take(_OUTPUTS, names.RETRIEVAL_DOCUMENTS)
        case called if called in names.LLM_CALLS:
            _call(span)
        case _:
            span.take(_INPUTS, names.INPUT)
            span.take(_OUTPUTS, names.OUTPUT, lambda value: json_text(_decoded(value)))


def _query(value: Value) -> str | None:
    given = load(value)
    found = next(iter(given.values()), None) if isinstance(given, dict) and len(given) == 1 else given
    return found if isinstance(found, str) else json_text(value)


def _call(span: Reading) -> None:
    span.table(_TABLE)
    parameters(span, {key: _decoded(value) for key, value in span.attributes.items() if "." not in key})
    asked, answered = load(span.attributes.get(_INPUTS)), load(span.attributes.get(_OUTPUTS))
    if isinstance(asked, dict):
        parameters(span, {key: value for key, value in asked.items() if key not in ("messages", "input")})
    span.take(_INPUTS, names.INPUT_MESSAGES, lambda value: input_messages(_decoded(value)))
    exclusive = str(_decoded(span.attributes.get("mlflow.message.format"))) in _EXCLUSIVE
    span.tokens(usage(load(span.attributes.get(_USAGE)), exclusive=exclusive), _USAGE)
    if isinstance(answered, dict):
        response(span, answered)
    if span.values[names.OPERATION] != names.Operation.EMBEDDINGS:
        span.take(_OUTPUTS, names.OUTPUT_MESSAGES, lambda value: output_messages(_decoded(value)))
    model = text(_decoded(span.attributes.get("mlflow.llm.model")))
    if answered is not None:
        span.put(names.RESPONSE_MODEL, model)
    span.put(names.REQUEST_MODEL, model)
    costs = load(span.attributes.get("mlflow.llm.cost"))
    for key, canonical in _COSTS.items():
        span.put(canonical, number(costs.get(key)) if isinstance(costs, dict) else None, "mlflow.llm.cost")
