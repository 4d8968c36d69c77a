"""Spans that call no model: tools, agents, retrieval, workflows, in each dialect that has them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from untrace_pipeline.data import Value
from untrace_plugins.genai import names
from untrace_plugins.genai.normalise import normalise

ARGUMENTS, RESULT = '{"city":"Bonn"}', "sunny"
DOCUMENTS: list[Any] = [{"id": "d1", "score": 0.5, "content": "text", "metadata": {"page": 3}}]
QUERY = "how warm"

TOOLS: dict[str, dict[str, Value]] = {
    "openinference": {
        "openinference.span.kind": "TOOL",
        "tool.name": "weather",
        "input.value": ARGUMENTS,
        "output.value": RESULT,
    },
    "openllmetry": {
        "traceloop.span.kind": "tool",
        "traceloop.entity.name": "weather",
        "traceloop.entity.input": '{"args": [], "kwargs": {"city": "Bonn"}}',
        "traceloop.entity.output": RESULT,
    },
    "langfuse": {
        "langfuse.observation.type": "tool",
        "langfuse.observation.input": ARGUMENTS,
        "langfuse.observation.output": RESULT,
        names.TOOL_NAME: "weather",
    },
    "mlflow": {
        "mlflow.spanType": '"TOOL"',
        "mlflow.spanInputs": ARGUMENTS,
        "mlflow.spanOutputs": '"sunny"',
        names.TOOL_NAME: "weather",
    },
    "vercel_ai": {
        "ai.operationId": "ai.toolCall",
        "ai.toolCall.name": "weather",
        "ai.toolCall.args": ARGUMENTS,
        "ai.toolCall.result": RESULT,
    },
    "langsmith": {
        "langsmith.span.kind": "tool",
        "gen_ai.prompt": ARGUMENTS,
        "gen_ai.completion": RESULT,
        names.TOOL_NAME: "weather",
    },
    "pydantic_ai": {
        "logfire.msg": "running tool",
        names.TOOL_NAME: "weather",
        "tool_arguments": ARGUMENTS,
        "tool_response": RESULT,
    },
}
RETRIEVALS: dict[str, dict[str, Value]] = {
    "openinference": {
        "openinference.span.kind": "RETRIEVER",
        "input.value": QUERY,
        "retrieval.documents.0.document.id": "d1",
        "retrieval.documents.0.document.score": 0.5,
        "retrieval.documents.0.document.content": "text",
        "retrieval.documents.0.document.metadata": '{"page": 3}',
    },
    "langfuse": {
        "langfuse.observation.type": "retriever",
        "langfuse.observation.input": QUERY,
        "langfuse.observation.output": json.dumps(DOCUMENTS),
    },
    "mlflow": {
        "mlflow.spanType": '"RETRIEVER"',
        "mlflow.spanInputs": '{"query": "how warm"}',
        "mlflow.spanOutputs": json.dumps(DOCUMENTS),
    },
}
OTHERS: list[tuple[dict[str, Value], dict[str, Value]]] = [
    (
        {"openinference.span.kind": "AGENT", "agent.name": "a", "input.value": "in", "output.value": "out"},
        {names.OPERATION: "invoke_agent", names.AGENT_NAME: "a", names.INPUT: "in", names.OUTPUT: "out"},
    ),
    (
        {"openinference.span.kind": "CHAIN", "input.value": "in", "metadata": '{"a": 1}', "tag.tags": ["x"]},
        {names.SPAN_KIND: "chain", names.INPUT: "in", names.METADATA: '{"a": 1}', names.TAGS: ["x"]},
    ),
    (
        {"openinference.span.kind": "RERANKER", "reranker.query": "q", "reranker.model_name": "m", "reranker.top_k": 2},
        {names.SPAN_KIND: "reranker", names.RETRIEVAL_QUERY: "q", names.REQUEST_MODEL: "m", names.RETRIEVAL_TOP_K: 2},
    ),
    ({"openinference.span.kind": "GUARDRAIL"}, {names.SPAN_KIND: "guardrail"}),
    ({"openinference.span.kind": "EVALUATOR"}, {names.SPAN_KIND: "evaluator"}),
    (
        {"traceloop.span.kind": "agent", "traceloop.entity.name": "a", "traceloop.workflow.name": "w"},
        {names.OPERATION: "invoke_agent", names.AGENT_NAME: "a", names.WORKFLOW_NAME: "w"},
    ),
    (
        {"traceloop.span.kind": "workflow", "traceloop.entity.input": "in", "traceloop.entity.output": "out"},
        {names.OPERATION: "invoke_workflow", names.INPUT: "in", names.OUTPUT: "out"},
    ),
    ({"traceloop.span.kind": "task"}, {names.SPAN_KIND: "chain"}),
    (
        {"langfuse.observation.type": "agent", "langfuse.observation.input": "in", "langfuse.trace.tags": ["x"]},
        {names.OPERATION: "invoke_agent", names.INPUT: "in", names.TAGS: ["x"]},
    ),
    (
        {"ai.operationId": "ai.generateText", "ai.telemetry.functionId": "f", "ai.usage.promptTokens": 3},
        {names.OPERATION: "invoke_agent", names.AGENT_NAME: "f", names.USAGE_INPUT: 3, names.DUPLICATE: True},
    ),
    (
        {"logfire.msg": "run", "agent_name": "a", "model_name": "m", "final_result": "out"},
        {names.OPERATION: "invoke_agent", names.REQUEST_MODEL: "m", names.OUTPUT: "out"},
    ),
    (
        {"workflow.name": "w", "workflow.id": "1", "workflow.session_id": "s"},
        {names.OPERATION: "invoke_workflow", names.WORKFLOW_NAME: "w", names.SESSION_ID: "s"},
    ),
    (
        {"framework.name": "langchain", "framework.tool.name": "t"},
        {names.OPERATION: "execute_tool", names.TOOL_NAME: "t"},
    ),
]


@pytest.mark.parametrize("dialect", TOOLS)
def test_tools(dialect: str) -> None:
    """A tool has its name, what it was called with, and what it gave."""
    found = {**TOOLS[dialect], **normalise(TOOLS[dialect]).values}
    assert found[names.OPERATION] == "execute_tool"
    assert found[names.TOOL_NAME] == "weather"
    assert json.loads(str(found[names.TOOL_CALL_ARGUMENTS])) == {"city": "Bonn"}
    assert found[names.TOOL_CALL_RESULT] == RESULT
    assert found[names.DIALECT] == dialect
    assert names.INPUT_MESSAGES not in found


@pytest.mark.parametrize("dialect", RETRIEVALS)
def test_retrieval(dialect: str) -> None:
    """A retrieval has its query and the documents that were found."""
    found = {**RETRIEVALS[dialect], **normalise(RETRIEVALS[dialect]).values}
    assert found[names.OPERATION] == "retrieval"
    assert found[names.RETRIEVAL_QUERY] == QUERY
    assert json.loads(str(found[names.RETRIEVAL_DOCUMENTS])) == DOCUMENTS


@pytest.mark.parametrize(("attributes", "expected"), OTHERS)
def test_others(attributes: dict[str, Value], expected: dict[str, Value]) -> None:
    """Agents, chains, workflows and what else there is."""
    found = {**attributes, **normalise(attributes).values}
    assert {key: found.get(key) for key in expected} == expected
