"""Langfuse: ``langfuse.observation.*`` with JSON in strings, ``langfuse.trace.*`` for what the application attached.

Observations and traces of Langfuse's own API have the same content under other names: :func:`from_observation` and
:func:`from_trace` make these attributes of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from untrace_pipeline.data.fields import Value
from untrace_plugins.genai import names
from untrace_plugins.genai.dialects.attached import attached, tags
from untrace_plugins.genai.dialects.parameters import parameters, response
from untrace_plugins.genai.messages import input_messages, output_messages
from untrace_plugins.genai.reading import Reading, Table
from untrace_plugins.genai.usage import usage
from untrace_plugins.genai.values import dump, load, number, text
from untrace_plugins.genai.words import finish_reasons

__all__ = ["from_observation", "from_trace", "read"]

_OBSERVATION = "langfuse.observation."
_FIRST_TOKEN = f"{_OBSERVATION}completion_start_time"

_TABLE: Table = {
    f"{_OBSERVATION}prompt.name": (names.PROMPT_NAME, text),
    f"{_OBSERVATION}prompt.version": (names.PROMPT_VERSION, str),
    "langfuse.session.id": (names.SESSION_ID, text),
    "langfuse.user.id": (names.USER_ID, text),
    "langfuse.trace.tags": (names.TAGS, tags),
}
_COSTS: Mapping[str, str] = {"total": names.USAGE_COST, "input": names.COST_INPUT, "output": names.COST_OUTPUT}


def read(span: Reading) -> None:
    """Read an observation of any type."""
    kind = span.attributes.get(f"{_OBSERVATION}type")
    span.kind(f"{_OBSERVATION}type", "chain" if kind == "span" else None)
    span.table(_TABLE)
    attached(span, "langfuse.trace.metadata.", _decoded)
    match span.values.get(names.OPERATION):
        case names.Operation.EXECUTE_TOOL:
            span.take(f"{_OBSERVATION}input", names.TOOL_CALL_ARGUMENTS)
            span.take(f"{_OBSERVATION}output", names.TOOL_CALL_RESULT)
        case names.Operation.RETRIEVAL:
            span.take(f"{_OBSERVATION}input", names.RETRIEVAL_QUERY)
            listed = isinstance(load(span.attributes.get(f"{_OBSERVATION}output")), list)
            span.take(f"{_OBSERVATION}output", names.RETRIEVAL_DOCUMENTS if listed else names.OUTPUT)
        case called if called in names.LLM_CALLS:
            _generation(span)
        case _:
            span.take(f"{_OBSERVATION}input", names.INPUT)
            span.take(f"{_OBSERVATION}output", names.OUTPUT)
            span.take("langfuse.trace.input", names.INPUT)
            span.take("langfuse.trace.output", names.OUTPUT)


def _generation(span: Reading) -> None:
    given = load(span.attributes.get(f"{_OBSERVATION}model.parameters"))
    if isinstance(given, dict) and parameters(span, given):
        span.used.add(f"{_OBSERVATION}model.parameters")
    asked = load(span.attributes.get(f"{_OBSERVATION}input"))
    if isinstance(asked, dict):
        parameters(span, {key: asked[key] for key in ("tools", "functions") if key in asked})
    span.take(f"{_OBSERVATION}input", names.INPUT_MESSAGES, input_messages)
    if span.values[names.OPERATION] != names.Operation.EMBEDDINGS:
        span.take(f"{_OBSERVATION}output", names.OUTPUT_MESSAGES, output_messages)
    _usage(span)
    answer = load(span.attributes.get(f"{_OBSERVATION}output"))
    if isinstance(answer, dict) and ("choices" in answer or "stop_reason" in answer):
        response(span, answer)
    span.take(
        f"{_OBSERVATION}metadata.finish_reason", names.RESPONSE_FINISH_REASONS, lambda v: finish_reasons(_decoded(v))
    )
    span.take(f"{_OBSERVATION}model.name", names.REQUEST_MODEL)
    if names.USAGE_INPUT in span.values or names.OUTPUT_MESSAGES in span.values:
        span.take(f"{_OBSERVATION}model.name", names.RESPONSE_MODEL)
    _first_token(span)


def _usage(span: Reading) -> None:
    span.tokens(usage(load(span.attributes.get(f"{_OBSERVATION}usage_details"))), f"{_OBSERVATION}usage_details")
    costs = load(span.attributes.get(f"{_OBSERVATION}cost_details"))
    if isinstance(costs, dict) and any(costs.values()):
        for key, canonical in _COSTS.items():
            span.put(canonical, number(costs.get(key)), f"{_OBSERVATION}cost_details")


def _first_token(span: Reading) -> None:
    """Turn the time of the first token into the seconds that it took."""
    written = _decoded(span.attributes.get(_FIRST_TOKEN))
    if isinstance(written, str) and span.start:
        moment = span.attempt(_timestamp, written, _FIRST_TOKEN)
        seconds = moment - span.start / 1e9 if moment is not None else -1.0
        if seconds >= 0:
            span.put(names.RESPONSE_TIME_TO_FIRST_CHUNK, round(seconds, 6), _FIRST_TOKEN)


def _timestamp(written: str) -> float:
    """Return seconds since the epoch of a time in ISO 8601; one without a zone is UTC."""
    moment = datetime.fromisoformat(written)
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def _decoded(value: Value) -> Any:
    """Return a value that was encoded as JSON, a text in quotes too; a plain one as it is."""
    found = load(value)
    return value if found is None else found


_OBSERVATION_FIELDS: Mapping[str, str] = {
    "level": f"{_OBSERVATION}level",
    "statusMessage": f"{_OBSERVATION}status_message",
    "input": f"{_OBSERVATION}input",
    "output": f"{_OBSERVATION}output",
    "completionStartTime": _FIRST_TOKEN,
    "model": f"{_OBSERVATION}model.name",
    "modelParameters": f"{_OBSERVATION}model.parameters",
    "usageDetails": f"{_OBSERVATION}usage_details",
    "costDetails": f"{_OBSERVATION}cost_details",
    "promptName": f"{_OBSERVATION}prompt.name",
    "promptVersion": f"{_OBSERVATION}prompt.version",
    "version": "langfuse.version",
    "environment": "langfuse.environment",
}
_TRACE_FIELDS: Mapping[str, str] = {
    "name": "langfuse.trace.name",
    "userId": "user.id",
    "sessionId": "session.id",
    "public": "langfuse.trace.public",
    "release": "langfuse.release",
    "version": "langfuse.version",
    "environment": "langfuse.environment",
}
_OF_ROOTS: Mapping[str, str] = {"input": "langfuse.trace.input", "output": "langfuse.trace.output"}
_SPAN_FIELDS = frozenset({"id", "traceId", "parentObservationId", "name", "type", "startTime", "endTime", "metadata"})
"""Of an observation, what the span itself has, or what is told apart."""
_USAGE_FIELDS = (("input", "promptTokens"), ("output", "completionTokens"), ("total", "totalTokens"))


def from_observation(kind: str, observation: Mapping[str, Any]) -> dict[str, Value]:
    """Return the attributes of a span that stands for an observation of ``POST /api/public/ingestion``.

    ``kind`` is the word of its type: ``generation``; ``observation`` its body, all changes put together. Names, times,
    ids and status belong to the span itself.
    """
    found: dict[str, Value] = {f"{_OBSERVATION}type": kind}
    given = {name: value for name, value in observation.items() if name not in _SPAN_FIELDS and value is not None}
    if isinstance(given.get("usage"), Mapping):
        _old_usage(given)
    for name, value in given.items():
        found[_OBSERVATION_FIELDS.get(name, _OBSERVATION + name)] = _written(value)
    return found | _metadata(f"{_OBSERVATION}metadata", observation.get("metadata"))


def from_trace(trace: Mapping[str, Any], *, root: bool) -> dict[str, Value]:
    """Return what a trace, all changes put together, says about each of its spans; ``root``: one without parent."""
    found: dict[str, Value] = {}
    for name, value in trace.items():
        if value is None or name in ("id", "timestamp", "metadata"):
            continue
        if name == "tags":
            found["langfuse.trace.tags"] = [str(one) for one in value] if isinstance(value, list) else str(value)
        elif root or name not in _OF_ROOTS:
            found[_TRACE_FIELDS.get(name) or _OF_ROOTS.get(name, f"langfuse.trace.{name}")] = _written(value)
    return found | _metadata("langfuse.trace.metadata", trace.get("metadata"))


def _old_usage(given: dict[str, Any]) -> None:
    """Turn the older form, of counts and costs in one object, into the two of today; other units stay as they are."""
    usage = given["usage"]
    costs = {name: usage.get(f"{name}Cost") for name in ("input", "output", "total")}
    if any(cost is not None for cost in costs.values()):
        given.setdefault("costDetails", {name: cost for name, cost in costs.items() if cost is not None})
    if usage.get("unit") in (None, "TOKENS"):
        counts = {new: usage.get(new, usage.get(old)) for new, old in _USAGE_FIELDS}
        counts = {name: count for name, count in counts.items() if count is not None}
        del given["usage"]
        if counts:
            given.setdefault("usageDetails", counts)


def _metadata(prefix: str, metadata: Any) -> dict[str, Value]:
    """Return metadata with each value as JSON, as the SDK writes it."""
    if metadata is None:
        return {}
    if isinstance(metadata, Mapping):
        return {f"{prefix}.{key}": dump(value) for key, value in metadata.items() if value is not None}
    return {prefix: dump(metadata)}


def _written(value: Any) -> Value:
    if isinstance(value, (str, float)) or (isinstance(value, int) and -(1 << 63) <= value < 1 << 63):
        return value
    return dump(value)
