"""Langfuse: ``langfuse.observation.*`` with JSON in strings, ``langfuse.trace.*`` for what the application attached."""

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
from untrace_plugins.genai.values import load, number, text
from untrace_plugins.genai.words import finish_reasons

__all__ = ["read"]

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
