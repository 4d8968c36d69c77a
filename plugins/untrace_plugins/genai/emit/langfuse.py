"""Langfuse: its own attributes, which win over all others there, beside the convention's scalars.

Usage and cost go out in parts that do not overlap, as its price table wants them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from untrace_plugins.genai import names
from untrace_plugins.genai.emit.chat import (
    ANSWERED,
    SENT,
    chat,
    finish_reasons,
    spent,
    tools,
)
from untrace_plugins.genai.emit.content import to_json
from untrace_plugins.genai.emit.cost import CostForm, cost_attributes, cost_of
from untrace_plugins.genai.emit.parameters import parameters
from untrace_plugins.genai.emit.span import Changes, Span, strings
from untrace_plugins.genai.emit.words import in_out, is_llm_call, metadata, word_of
from untrace_plugins.genai.names import Kind, Operation

__all__ = ["emit_langfuse"]

_TYPES: Final[Mapping[str, str]] = {
    Operation.CHAT: "generation",
    Operation.GENERATE_CONTENT: "generation",
    Operation.TEXT_COMPLETION: "generation",
    Operation.EMBEDDINGS: "embedding",
    Operation.RETRIEVAL: "retriever",
    Operation.EXECUTE_TOOL: "tool",
    Operation.CREATE_AGENT: "agent",
    Operation.INVOKE_AGENT: "agent",
    Operation.INVOKE_WORKFLOW: "chain",
    Kind.CHAIN: "chain",
    Kind.GUARDRAIL: "guardrail",
    Kind.EVALUATOR: "evaluator",
}
_INPUT, _OUTPUT = "langfuse.observation.input", "langfuse.observation.output"
_NANOSECONDS: Final = 1_000_000_000
_LAST_SECOND: Final = 253_402_300_799
"""31 December 9999, the last that a date can say."""


def emit_langfuse(span: Span) -> Changes:
    """Return Langfuse's attributes; content moves there, scalars of the convention stay."""
    changes: Changes = {}
    for part in (_kind, _model, _usage, _cost, _first_token, _attached, _error, _content):
        changes |= part(span)
    return changes


def _kind(span: Span) -> Changes:
    """Return the type; a call that another span counts for is no generation, or its tokens would be estimated."""
    word = word_of(span)
    if word is None:
        return {}
    counted = not (_is_duplicate(span) and is_llm_call(span))
    return {"langfuse.observation.type": _TYPES.get(word, "span") if counted else "span"}


def _is_duplicate(span: Span) -> bool:
    return span.attributes.get(names.DUPLICATE) is True


def _model(span: Span) -> Changes:
    changes: Changes = {}
    model = span.text(names.RESPONSE_MODEL)
    if model is not None and not _is_duplicate(span):
        changes["langfuse.observation.model.name"] = model
    found = parameters(span)
    if found:
        changes["langfuse.observation.model.parameters"] = to_json(found)
    if span.text(names.PROVIDER) is not None:
        changes[names.SYSTEM] = span.attributes[names.PROVIDER]
    return changes


def _usage(span: Span) -> Changes:
    """Return token counts in parts that do not overlap."""
    sent, answered = span.count(names.USAGE_INPUT), span.count(names.USAGE_OUTPUT)
    if sent is None and answered is None:
        return {}
    read, written = span.count(names.USAGE_CACHE_READ) or 0, span.count(names.USAGE_CACHE_CREATION) or 0
    thought = span.count(names.USAGE_REASONING) or 0
    details = {
        "input": None if sent is None else max(0, sent - read - written),
        "input_cache_read": read or None,
        "input_cache_creation": written or None,
        "output": None if answered is None else max(0, answered - thought),
        "output_reasoning": thought or None,
        "total": (sent or 0) + (answered or 0),
    }
    known = {key: value for key, value in details.items() if value is not None}
    return {"langfuse.observation.usage_details": to_json(known)}


def _cost(span: Span) -> Changes:
    cost = cost_of(span)
    return {} if cost is None else cost_attributes(cost, CostForm.LANGFUSE)


def _first_token(span: Span) -> Changes:
    seconds = span.number(names.RESPONSE_TIME_TO_FIRST_CHUNK)
    if seconds is None or not span.start_time_unix_nano or not 0 <= seconds < _LAST_SECOND:
        return {}
    moment = span.start_time_unix_nano / _NANOSECONDS + seconds
    if moment > _LAST_SECOND:
        return {}
    return {"langfuse.observation.completion_start_time": f'"{datetime.fromtimestamp(moment, UTC).isoformat()}"'}


def _attached(span: Span) -> Changes:
    changes: Changes = {}
    tags = strings(span.attributes.get(names.TAGS))
    if tags:
        changes |= {names.TAGS: None, "langfuse.trace.tags": [*tags]}
    attached = metadata(span)
    if attached is not None:
        changes[names.METADATA] = None
        changes |= {f"langfuse.trace.metadata.{key}": to_json(value) for key, value in attached.items()}
    prompt = span.text(names.PROMPT_NAME)
    if prompt is not None:
        changes["langfuse.observation.prompt.name"] = prompt
    return changes


def _error(span: Span) -> Changes:
    return {} if span.attributes.get(names.ERROR_TYPE) is None else {"langfuse.observation.level": "ERROR"}


def _content(span: Span) -> Changes:
    """Return messages of a call as its interface shows them best, or whatever else went in and came out.

    Messages of other spans, such as agents, stay: it reads them under their canonical name.
    """
    changes = _messages(span) if is_llm_call(span) else {}
    for found, name in zip((*in_out(span), *_retrieval(span)), (_INPUT, _OUTPUT) * 2, strict=True):
        if found is not None and name not in changes:
            changes |= {name: found[1], found[0]: None}
    return changes


def _messages(span: Span) -> Changes:
    changes: Changes = {}
    sent = span.sent
    if sent:
        definitions = tools(span)
        changes[_INPUT] = to_json(chat(sent) if definitions is None else {"tools": definitions, "messages": chat(sent)})
        if definitions is not None:
            changes[names.TOOL_DEFINITIONS] = None
        changes |= spent(span, sent, SENT)
    answered = span.answered
    if answered and span.text(names.OPERATION) != Operation.EMBEDDINGS:
        choices = chat(answered)
        changes[_OUTPUT] = to_json(choices[0] if len(choices) == 1 else choices)
        changes |= spent(span, answered, ANSWERED)
        reasons = [reason for reason in finish_reasons(span, answered) if reason]
        if reasons and names.RESPONSE_FINISH_REASONS not in span.attributes:
            changes[names.RESPONSE_FINISH_REASONS] = [*reasons]  # messages in its shape have no place for them
    return changes


def _retrieval(span: Span) -> list[tuple[str, str] | None]:
    found = [(name, span.text(name)) for name in (names.RETRIEVAL_QUERY, names.RETRIEVAL_DOCUMENTS)]
    return [None if text is None else (name, text) for name, text in found]
