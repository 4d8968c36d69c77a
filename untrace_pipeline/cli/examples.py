"""A little of each signal, to show where a destination puts what: of traces, one as an agent makes them."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

from untrace_pipeline.data import Batch, Signal, Value
from untrace_pipeline.data.compose import NewEvent, NewLog, NewSpan, Scope, compose_logs, compose_spans

__all__ = ["example", "example_trace"]

_RESOURCE: Mapping[str, Value] = {"service.name": "untrace-example"}
_SCOPE = Scope("untrace-pipeline")
_MS = 1_000_000
_QUESTION = "What is the weather in Lisbon?"
_ANSWER = "It is 21 degrees and sunny in Lisbon."
_CALL = {"type": "tool_call", "id": "call_1", "name": "get_weather", "arguments": {"city": "Lisbon"}}
_RESULT = {"type": "tool_call_response", "id": "call_1", "response": {"degrees": 21, "sky": "sunny"}}


def example(signal: Signal) -> Batch:
    """Return something to send: a trace, one log record, or one point of a gauge."""
    if signal is Signal.TRACES:
        return example_trace()
    if signal is Signal.LOGS:
        record = NewLog(time.time_ns(), "an example of untrace-pipeline", severity_number=9, severity_text="INFO")
        return Batch(signal, compose_logs(_RESOURCE, _SCOPE, [record]))
    point = {"timeUnixNano": str(time.time_ns()), "asDouble": 1.0}
    metric = {"name": "untrace.example", "unit": "1", "gauge": {"dataPoints": [point]}}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "untrace-example"}}]}
    request = {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": [metric]}]}]}
    return Batch.from_json(signal, json.dumps(request).encode())


def example_trace(trace_id: bytes | None = None, end_time_unix_nano: int | None = None) -> Batch:
    """Return an agent's turn: a call to a model, a tool, a second call, and one that fails; 2.5 s, ending now.

    In the canonical form, with session, user, tokens, cost, messages and an error.
    """
    trace_id = trace_id or secrets.token_bytes(16)
    end = end_time_unix_nano or time.time_ns()
    start = end - 2500 * _MS
    common: dict[str, Value] = {"session.id": "untrace-example-session", "user.id": "untrace-example-user"}

    def span(number: int, name: str, begins: int, ends: int, attributes: Mapping[str, Value], **more: Any) -> NewSpan:
        own = trace_id[:7] + bytes([number])
        parent = b"" if number == 1 else trace_id[:7] + b"\x01"
        times = start + begins * _MS, start + ends * _MS
        return NewSpan(trace_id, own, name, *times, parent_span_id=parent, attributes=common | dict(attributes), **more)

    asked = {"role": "user", "parts": [{"type": "text", "content": _QUESTION}]}
    called = {"role": "assistant", "parts": [_CALL]}
    answered = {"role": "assistant", "parts": [{"type": "text", "content": _ANSWER}]}
    told = {"role": "tool", "parts": [_RESULT]}
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "weather", "gen_ai.provider.name": "openai"}
    tool: dict[str, Value] = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "get_weather",
        "gen_ai.tool.call.id": "call_1",
        "gen_ai.tool.call.arguments": json.dumps(_CALL["arguments"]),
        "gen_ai.tool.call.result": json.dumps(_RESULT["response"]),
    }
    failed = NewEvent("exception", start + 2450 * _MS, {"exception.type": "RateLimitError"})
    spans = [
        span(1, "invoke_agent weather", 0, 2500, {**agent, "untrace.input": _QUESTION, "untrace.output": _ANSWER}),
        span(2, "chat gpt-4o-mini", 10, 1010, _chat([asked], called, "tool_call", (58, 17)), kind=3),
        span(3, "execute_tool get_weather", 1020, 1240, tool),
        span(4, "chat gpt-4o-mini", 1250, 2200, _chat([asked, called, told], answered, "stop", (97, 12)), kind=3),
        span(
            5,
            "chat gpt-4o-mini",
            2210,
            2450,
            {**_request([asked]), "error.type": "RateLimitError"},
            kind=3,
            events=[failed],
            status_code=2,
            status_message="rate limit reached (an example)",
        ),
    ]
    return Batch(Signal.TRACES, compose_spans(_RESOURCE, _SCOPE, spans))


def _request(messages: list[dict[str, Any]]) -> dict[str, Value]:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.request.temperature": 0.2,
        "gen_ai.input.messages": json.dumps(messages),
    }


def _chat(
    messages: list[dict[str, Any]], answer: dict[str, Any], reason: str, tokens: tuple[int, int]
) -> dict[str, Value]:
    cost = tokens[0] * 0.15e-6, tokens[1] * 0.6e-6
    return {
        **_request(messages),
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
        "gen_ai.response.id": "chatcmpl-example",
        "gen_ai.response.finish_reasons": [reason],
        "gen_ai.output.messages": json.dumps([{**answer, "finish_reason": reason}]),
        "gen_ai.usage.input_tokens": tokens[0],
        "gen_ai.usage.output_tokens": tokens[1],
        "untrace.cost.input": cost[0],
        "untrace.cost.output": cost[1],
        "untrace.cost.total": sum(cost),
        "gen_ai.usage.cost": sum(cost),
    }
