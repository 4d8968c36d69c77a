"""PostHog's LLM analytics: OpenTelemetry GenAI under the rules of its server.

It takes a span for a generation only if the operation is exactly ``chat``, and lets keys of other conventions decide
before it looks at ``gen_ai.*``; so those go. Spans without any ``gen_ai.*`` key it drops silently.
"""

from __future__ import annotations

from typing import Final

from untrace_plugins.genai import names
from untrace_plugins.genai.emit.cost import CostForm, cost_attributes, cost_of
from untrace_plugins.genai.emit.span import Changes, Span
from untrace_plugins.genai.emit.words import word_of
from untrace_plugins.genai.names import Operation

__all__ = ["emit_posthog"]

_FOREIGN: Final = ("ai.", "pydantic_ai.", "traceloop.", "llm.request.type")
_GENERATIONS: Final = frozenset({Operation.GENERATE_CONTENT, Operation.TEXT_COMPLETION})


def emit_posthog(span: Span) -> Changes:
    """Return the changes that make the server see what the span is."""
    if word_of(span) is None:
        return {}
    changes: Changes = dict.fromkeys(key for key in span.attributes if key.startswith(_FOREIGN))
    operation = span.text(names.OPERATION)
    if operation is None:
        changes[names.OPERATION] = span.text(names.SPAN_KIND)
    elif operation in _GENERATIONS:
        changes[names.OPERATION] = Operation.CHAT.value
    cost = cost_of(span)
    return changes | _identity(span) | ({} if cost is None else cost_attributes(cost, CostForm.POSTHOG))


def _identity(span: Span) -> Changes:
    changes: Changes = {}
    if span.text(names.PROVIDER) is not None:
        changes[names.SYSTEM] = span.attributes[names.PROVIDER]
    if span.text(names.USER_ID) is not None:
        changes["posthog.distinct_id"] = span.attributes[names.USER_ID]
    session = span.text(names.SESSION_ID) or span.text(names.CONVERSATION_ID)
    if session is not None:
        changes["$ai_session_id"] = session
    return changes
