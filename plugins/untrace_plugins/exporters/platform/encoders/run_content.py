"""What a run of LangSmith says besides where and when it was: type, inputs, outputs, usage, tags, metadata."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any, Final

from untrace_pipeline.data import Value
from untrace_plugins.genai import names
from untrace_plugins.genai.emit.cost import COSTS, cost_of
from untrace_plugins.genai.emit.genai_legacy import LANGSMITH_KINDS
from untrace_plugins.genai.emit.openai import answered, asked
from untrace_plugins.genai.emit.parameters import PARAMETERS
from untrace_plugins.genai.emit.span import Span, strings
from untrace_plugins.genai.emit.words import in_out, is_llm_call, metadata, total_tokens, word_of
from untrace_plugins.genai.normalise import understood
from untrace_plugins.genai.values import load
from untrace_plugins.rows import Source

__all__ = ["content"]

_CONTENT: Final[tuple[str, ...]] = ("messages", "input", "prompt", "tools")
_OWN: Final = ("langsmith.",)
_TOLD: Final = frozenset(
    {
        *(names.INPUT_MESSAGES, names.SYSTEM_INSTRUCTIONS, names.OUTPUT_MESSAGES, names.TOOL_DEFINITIONS),
        *(names.INPUT, names.OUTPUT, names.TOOL_CALL_ARGUMENTS, names.TOOL_CALL_RESULT),
        *(names.RETRIEVAL_QUERY, names.RETRIEVAL_DOCUMENTS),
        *(names.TAGS, names.METADATA, names.SESSION_ID, names.USER_ID, names.CONVERSATION_ID),
        *(names.PROVIDER, names.SYSTEM, names.RESPONSE_TIME_TO_FIRST_CHUNK, names.DIALECT),
        *names.USAGE,
        *COSTS,
    }
)
"""Attributes that have a place of their own in a run; metadata is the place of the others."""
_ASKED: Final = frozenset({names.REQUEST_MODEL, *PARAMETERS})
_ANSWERED: Final = frozenset({names.RESPONSE_MODEL, names.RESPONSE_ID})
"""Attributes that have one in the run of a call, and in its outputs."""


def content(span: Span, source: Source) -> dict[str, Any]:
    """Return ``run_type``, ``inputs``, ``outputs``, ``extra`` and ``tags``."""
    call = is_llm_call(span)
    inputs, outputs, invocation = _called(span) if call else (*_moved(span), {})
    told = _TOLD | (_ASKED if call else set()) | (_ANSWERED if call and outputs else set())
    if call and span.answered:
        told |= {names.RESPONSE_FINISH_REASONS}
    extra: dict[str, Any] = {"metadata": _metadata(span, source, told, invocation)}
    if invocation:
        extra["invocation_params"] = invocation
    return {
        "run_type": LANGSMITH_KINDS.get(word_of(span) or "", "chain"),
        "inputs": inputs,
        "outputs": outputs,
        "extra": extra,
        "tags": strings(span.attributes.get(names.TAGS)),
    }


def _called(span: Span) -> tuple[dict[str, Any], dict[str, Any] | None, dict[str, Any]]:
    """Return content, answer and parameters of a call, as LangSmith's own wrapper of OpenAI's SDK keeps them."""
    request = asked(span)
    inputs = {name: request.pop(name) for name in _CONTENT if name in request}
    if not span.answered and total_tokens(span) is None and span.text(names.RESPONSE_ID) is None:
        return inputs, None, request
    response = answered(span)
    for name in ("usage", "data"):  # LangSmith has words of its own for tokens, and nobody has the vectors
        response.pop(name, None)
    if (usage := _usage(span)) is not None:
        response["usage_metadata"] = usage
    return inputs, response, request


def _usage(span: Span) -> dict[str, Any] | None:
    total, cost = total_tokens(span), cost_of(span)
    if total is None and cost is None:
        return None
    found: dict[str, Any] = {
        "input_tokens": span.count(names.USAGE_INPUT),
        "output_tokens": span.count(names.USAGE_OUTPUT),
        "total_tokens": total,
        "input_token_details": {
            "cache_read": span.count(names.USAGE_CACHE_READ),
            "cache_creation": span.count(names.USAGE_CACHE_CREATION),
        },
        "output_token_details": {"reasoning": span.count(names.USAGE_REASONING)},
    }
    if cost is not None:
        found |= {"input_cost": cost.input, "output_cost": cost.output, "total_cost": cost.total}
    return {name: one for name, value in found.items() if (one := _known(value)) not in (None, {})}


def _known(value: Any) -> Any:
    return {name: one for name, one in value.items() if one is not None} if isinstance(value, dict) else value


def _moved(span: Span) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return what went into a span that is no call, and came out; agents may have messages instead."""
    given, taken = in_out(span)
    query, documents = span.text(names.RETRIEVAL_QUERY), load(span.text(names.RETRIEVAL_DOCUMENTS))
    inputs = _object(given[1], "input") if given else {"query": query} if query else {}
    outputs = _object(taken[1], "output") if taken else {"documents": documents} if documents else None
    request, response = (asked(span), answered(span)) if span.sent or span.answered else ({}, {})
    if not inputs and span.sent:
        inputs = {"messages": request["messages"]}
    if outputs is None and span.answered:
        outputs = {"messages": [choice["message"] for choice in response["choices"]]}
    return inputs, outputs


def _object(text: str, word: str) -> dict[str, Any]:
    found = load(text)
    return found if isinstance(found, dict) else {word: text if found is None else found}


def _metadata(span: Span, source: Source, told: Set[str], invocation: Mapping[str, Any]) -> dict[str, Any]:
    """Return what LangSmith groups and filters by, and all that has no other place. ``invocation`` is of calls only."""
    attributes = span.attributes
    told = told | understood(attributes)
    rest = {name: value for name, value in attributes.items() if name not in told and not name.startswith(_OWN)}
    found: dict[str, Value] = {**source.resource, **rest, **(metadata(span) or {})}
    named: dict[str, Value] = {
        "session_id": span.text(names.SESSION_ID),
        "conversation_id": span.text(names.CONVERSATION_ID) if names.SESSION_ID not in attributes else None,
        "user_id": span.text(names.USER_ID),
        "ls_provider": span.text(names.PROVIDER),
        "ls_model_name": invocation.get("model"),
        "ls_model_type": "chat" if invocation else None,
        "ls_temperature": invocation.get("temperature"),
        "ls_max_tokens": invocation.get("max_tokens"),
    }
    return found | {name: value for name, value in named.items() if value is not None}
