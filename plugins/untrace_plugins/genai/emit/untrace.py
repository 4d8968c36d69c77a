"""Untrace core's own dialect (its SDKs of October 2025): ``llm.*``, ``framework.*``, ``workflow.*``, ``vector.*``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from untrace_plugins.genai import names
from untrace_plugins.genai.emit.chat import (
    ANSWERED,
    SENT,
    chat,
    finish_reasons,
    spent,
    tools,
)
from untrace_plugins.genai.emit.content import Message, to_json
from untrace_plugins.genai.emit.cost import cost_of
from untrace_plugins.genai.emit.span import Changes, Span, rename
from untrace_plugins.genai.emit.words import is_llm_call, total_tokens, word_of
from untrace_plugins.genai.names import Operation

__all__ = ["emit_untrace"]

_OPERATION_TYPES: Final[Mapping[str, str]] = {
    Operation.CHAT: "chat",
    Operation.GENERATE_CONTENT: "chat",
    Operation.TEXT_COMPLETION: "completion",
    Operation.EMBEDDINGS: "embedding",
}
_RENAMED: Final = {
    names.AGENT_NAME: "framework.agent.name",
    names.TOOL_NAME: "framework.tool.name",
}
_REQUEST: Final = {
    names.REQUEST_MAX_TOKENS: "llm.max_tokens",
    names.REQUEST_TEMPERATURE: "llm.temperature",
    names.REQUEST_TOP_P: "llm.top_p",
    names.REQUEST_STREAM: "llm.stream",
    names.RESPONSE_ID: "llm.request.id",
}
_ATTACHED: Final = {
    names.USER_ID: "workflow.user_id",
    names.SESSION_ID: "workflow.session_id",
    names.METADATA: "workflow.metadata",
}
_USAGE: Final = {
    names.USAGE_INPUT: ("llm.prompt.tokens", "llm.usage.input_tokens"),
    names.USAGE_OUTPUT: ("llm.completion.tokens", "llm.usage.output_tokens"),
}


def emit_untrace(span: Span) -> Changes:
    """Return the span in Untrace's words; operation and provider keep theirs too, which say more."""
    changes = rename(span, _RENAMED)
    for part in (_call, _usage, _cost, _duration, _content) if is_llm_call(span) else (_workflow,):
        changes |= part(span)
    return changes | _error(span)


def _call(span: Span) -> Changes:
    """Return what was called, and for whom."""
    changes = rename(span, {**_REQUEST, **_ATTACHED})
    changes["llm.operation.type"] = _OPERATION_TYPES[span.attributes[names.OPERATION]]  # type: ignore[index]
    model = span.text(names.RESPONSE_MODEL) or span.text(names.REQUEST_MODEL)
    if model is not None:
        changes["llm.model"] = model
    if span.text(names.PROVIDER) is not None:
        changes["llm.provider"] = span.attributes[names.PROVIDER]
    return changes


def _workflow(span: Span) -> Changes:
    """Return the workflow that a span is; on others ``workflow.*`` would say that they are workflows."""
    if span.text(names.OPERATION) != Operation.INVOKE_WORKFLOW:
        return {}
    return rename(span, {names.WORKFLOW_NAME: "workflow.name", **_ATTACHED})


def _usage(span: Span) -> Changes:
    """Return token counts; the server reads the answer only where there is a total."""
    changes: Changes = {}
    for name, words in _USAGE.items():
        count = span.count(name)
        if count is not None:
            changes |= {**dict.fromkeys(words, count), name: None}
    thought = span.count(names.USAGE_REASONING)
    if thought is not None:
        changes["llm.usage.reason"] = thought
    total = total_tokens(span)
    if total is not None:
        changes |= {"llm.total.tokens": total, "llm.usage.total_tokens": total}
    return changes


def _cost(span: Span) -> Changes:
    cost = cost_of(span)
    if cost is None:
        return {}
    parts = {"llm.cost.total": cost.total, "llm.cost.prompt": cost.input, "llm.cost.completion": cost.output}
    return {name: value for name, value in parts.items() if value is not None}


def _duration(span: Span) -> Changes:
    nanoseconds = span.end_time_unix_nano - span.start_time_unix_nano
    if not span.start_time_unix_nano or nanoseconds < 0:
        return {}
    return {"llm.duration_ms": nanoseconds / 1e6}


def _error(span: Span) -> Changes:
    error = span.text(names.ERROR_TYPE)
    return {} if error is None or word_of(span) is None else {"llm.error": True, "llm.error.type": error}


def _content(span: Span) -> Changes:
    changes: Changes = {}
    definitions = tools(span)
    if definitions is not None:
        changes |= {"llm.tools": to_json(definitions), names.TOOL_DEFINITIONS: None}
    sent = span.sent
    if sent:
        changes["llm.messages"] = to_json(chat(sent))
        changes |= spent(span, sent, SENT)
    answered = span.answered
    if answered:
        changes["llm.choices"] = to_json(_choices(span, answered))
        changes |= spent(span, answered, ANSWERED)
    return changes


def _choices(span: Span, answered: list[Message]) -> list[dict[str, Any]]:
    return [
        {"index": place, "message": one, "finish_reason": reason}
        for place, (message, reason) in enumerate(zip(answered, finish_reasons(span, answered), strict=True))
        for one in chat([message])
    ]
