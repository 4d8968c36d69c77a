"""From spans to core traces: the way back of ``spans``.

Any span can be said so; one that is no LLM call has no provider and no model. What the core trace has no word for is in
its ``attributes``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from untrace_plugins.core_trace.spans import ID, PARENT_ID
from untrace_plugins.genai import names
from untrace_plugins.genai.emit.chat import chat, finish_reasons, tools
from untrace_plugins.genai.emit.content import Message
from untrace_plugins.genai.emit.span import Span
from untrace_plugins.genai.values import load, structure
from untrace_plugins.rows.spans import SpanRow

__all__ = ["trace_of"]

_NANOS_PER_MS = 1_000_000
_FAILED = 2
_USAGE: Final = {
    names.USAGE_INPUT: "prompt_tokens",
    names.USAGE_OUTPUT: "completion_tokens",
    names.USAGE_CACHE_READ: "cached_tokens",
    names.USAGE_CACHE_CREATION: "cache_write_tokens",
    names.USAGE_REASONING: "reasoning_tokens",
}
_RESPONSE: Final = {
    names.RESPONSE_ID: "id",
    names.RESPONSE_MODEL: "model",
    names.OPENAI_RESPONSE_SERVICE_TIER: "service_tier",
    names.OPENAI_SYSTEM_FINGERPRINT: "system_fingerprint",
}
_METRICS: Final = {names.TOKENS_PER_SECOND: "tokens_per_second", names.USAGE_COST: "estimated_cost"}
_METADATA: Final = {
    "service.name": "applicationId",
    "service.version": "version",
    "deployment.environment.name": "environment",
}
_REQUEST = "gen_ai.request."


def trace_of(row: SpanRow) -> dict[str, Any]:
    """Return the core trace of a span; what is absent is left out."""
    left = {key: value for key, value in row.attributes.items() if key != names.DIALECT}
    span = Span(row.attributes)
    trace: dict[str, Any] = {
        "id": left.pop(ID, None) or row.span_id.hex(),
        "traceId": row.trace_id.hex(),
        "parentId": left.pop(PARENT_ID, None) or row.parent_span_id.hex() or None,
        "sessionId": left.pop(names.SESSION_ID, None),
        "userId": left.pop(names.USER_ID, None),
        "name": row.name or None,
        "operation": left.pop(names.OPERATION, None) or left.pop(names.SPAN_KIND, None),
        "startTime": _millis(row.start),
        "endTime": _millis(row.end),
        "provider": left.pop(names.PROVIDER, None),
        "model": left.pop(names.REQUEST_MODEL, None) or left.get(names.RESPONSE_MODEL),
        "request": _request(span, left),
        "response": _response(span, left),
        "metadata": _metadata(left, row.source.resource),
        "tags": left.pop(names.TAGS, None),
        "metrics": _metrics(left, row),
    }
    exception = _exception(row)
    if row.status_code == _FAILED or exception:
        trace["error"] = _error(left, row, exception)
    trace |= _others("trace", left)
    trace["attributes"] = left
    return {key: value for key, value in trace.items() if value not in (None, {}) or key == "request"}


def _millis(nanoseconds: int) -> float:
    whole, rest = divmod(nanoseconds, _NANOS_PER_MS)
    return whole if not rest else nanoseconds / _NANOS_PER_MS


def _request(span: Span, left: dict[str, Any]) -> dict[str, Any]:
    request: dict[str, Any] = {}
    if span.sent:
        request["messages"] = _messages(span.sent)
        for name in (names.INPUT_MESSAGES, names.SYSTEM_INSTRUCTIONS):
            left.pop(name, None)
    if (definitions := tools(span)) is not None:
        request["tools"] = definitions
        del left[names.TOOL_DEFINITIONS]
    parameters = {key.removeprefix(_REQUEST): left.pop(key) for key in list(left) if key.startswith(_REQUEST)}
    return request | ({"parameters": parameters} if parameters else {})


def _response(span: Span, left: dict[str, Any]) -> dict[str, Any]:
    response = _moved(_RESPONSE, left)
    reasons = left.pop(names.RESPONSE_FINISH_REASONS, None) or []
    if span.answered:
        ended = finish_reasons(span, span.answered)
        response["choices"] = [
            {"index": place, "message": message, "finish_reason": reason}
            for place, (answer, reason) in enumerate(zip(span.answered, ended, strict=True))
            for message in _messages([answer])
        ]
        del left[names.OUTPUT_MESSAGES]
    elif reasons:
        response["finish_reason"] = reasons[0]
    usage = _moved(_USAGE, left)
    if usage:
        total = [usage[key] for key in ("prompt_tokens", "completion_tokens") if isinstance(usage.get(key), int)]
        response["usage"] = usage | ({"total_tokens": sum(total)} if total else {})
    return response | _others("response", left)


def _messages(messages: list[Message]) -> list[dict[str, Any]]:
    """Return messages in the chat API's shape, or in the convention's where that one lacks words for a part."""
    return [one for message in messages for one in (chat([message]) if message.plain else [_canonical(message)])]


def _canonical(message: Message) -> dict[str, Any]:
    return {"role": message.role, "parts": message.parts, **({"name": message.name} if message.name else {})}


def _metadata(left: dict[str, Any], resource: Mapping[str, Any]) -> dict[str, Any]:
    found = load(left.get(names.METADATA))
    own = found if isinstance(found, dict) else {}
    if own:
        del left[names.METADATA]
    return {name: resource[key] for key, name in _METADATA.items() if key in resource} | own


def _metrics(left: dict[str, Any], row: SpanRow) -> dict[str, Any]:
    metrics = _moved(_METRICS, left)
    first = left.pop(names.RESPONSE_TIME_TO_FIRST_CHUNK, None)
    if isinstance(first, int | float):
        metrics["time_to_first_token_ms"] = first * 1000
    return {"latency_ms": row.duration / _NANOS_PER_MS, **metrics, **_others("metrics", left)}


def _exception(row: SpanRow) -> Mapping[str, Any]:
    """Return what the last exception of a span says."""
    return next((event.attributes for event in reversed(row.events) if event.name == "exception"), {})


def _error(left: dict[str, Any], row: SpanRow, said: Mapping[str, Any]) -> dict[str, Any]:
    kind = left.pop(names.ERROR_TYPE, None) or said.get("exception.type")
    message = row.status_message or said.get("exception.message")
    known = {"type": kind, "message": message, "stack": said.get("exception.stacktrace")}
    return {key: value for key, value in known.items() if value is not None} | _others("error", left)


def _moved(words: Mapping[str, str], left: dict[str, Any]) -> dict[str, Any]:
    return {word: left.pop(key) for key, word in words.items() if key in left}


def _others(part: str, left: dict[str, Any]) -> dict[str, Any]:
    """Return what was kept under ``untrace.<part>.<name>``."""
    prefix = f"untrace.{part}."
    return {key.removeprefix(prefix): structure(left.pop(key)) for key in list(left) if key.startswith(prefix)}
