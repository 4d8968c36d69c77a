"""What spans that are no LLM calls have in common: their kind, what went in and came out, tags and metadata."""

from __future__ import annotations

from typing import Any, Final

from untrace_pipeline.data import Value
from untrace_plugins.genai import names
from untrace_plugins.genai.emit.content import as_text, to_json
from untrace_plugins.genai.emit.span import Changes, Span
from untrace_plugins.genai.values import load

__all__ = ["conversation", "in_out", "is_llm_call", "metadata", "moved_in_out", "plain", "total_tokens", "word_of"]

_INPUTS: Final = (names.INPUT, names.TOOL_CALL_ARGUMENTS)
_OUTPUTS: Final = (names.OUTPUT, names.TOOL_CALL_RESULT)


def is_llm_call(span: Span) -> bool:
    """Return whether the span describes a request to a model."""
    return span.text(names.OPERATION) in names.LLM_CALLS


def word_of(span: Span) -> str | None:
    """Return the operation of the convention, or else our kind, ``None`` for a span that is no business of ours."""
    return span.text(names.OPERATION) or span.text(names.SPAN_KIND)


def in_out(span: Span) -> tuple[tuple[str, str] | None, tuple[str, str] | None]:
    """Return canonical name and text of what went into a span and came out: of anything, or of a tool."""
    return _first(span, _INPUTS), _first(span, _OUTPUTS)


def _first(span: Span, candidates: tuple[str, ...]) -> tuple[str, str] | None:
    for name in candidates:
        value = span.attributes.get(name)
        if value is not None:
            return name, as_text(value)
    return None


def moved_in_out(span: Span, input_name: str, output_name: str) -> Changes:
    """Return the changes that give what went in and came out one name each, for all kinds of spans."""
    changes: Changes = {}
    for found, name in zip(in_out(span), (input_name, output_name), strict=True):
        if found is not None:
            changes[found[0]] = None
            changes[name] = found[1]
    return changes


def conversation(span: Span) -> Changes:
    """Return the conversation that a session is, where the span names no other: most destinations group by it."""
    session = span.text(names.SESSION_ID)
    if session is None or span.attributes.get(names.CONVERSATION_ID) is not None or word_of(span) is None:
        return {}
    return {names.CONVERSATION_ID: session}


def metadata(span: Span) -> dict[str, Any] | None:
    """Return what the application attached, without nulls, ``None`` if that is nothing or no JSON object."""
    found = load(span.text(names.METADATA))
    if not isinstance(found, dict):
        return None
    return {key: value for key, value in found.items() if value is not None} or None


def plain(value: object) -> Value:
    """Return a value of JSON as one of an attribute: what is no scalar, as JSON."""
    return value if isinstance(value, str | int | float | bool) else to_json(value)


def total_tokens(span: Span) -> int | None:
    """Return the sum of input and output tokens, ``None`` where neither is known."""
    counts = [span.count(names.USAGE_INPUT), span.count(names.USAGE_OUTPUT)]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
