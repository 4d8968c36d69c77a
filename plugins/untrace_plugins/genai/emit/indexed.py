"""Messages under numbered keys: ``gen_ai.prompt.{n}.*`` and ``gen_ai.completion.{n}.*``.

Older conventions, OpenLLMetry's and what many destinations built upon them, know no other way.
"""

from __future__ import annotations

from collections.abc import Iterable

from untrace_pipeline.data import Value
from untrace_plugins.genai.emit.chat import (
    ANSWERED,
    SENT,
    Chat,
    chat,
    finish_reasons,
    spent,
)
from untrace_plugins.genai.emit.content import as_text
from untrace_plugins.genai.emit.span import Changes, Span

__all__ = ["indexed_messages"]


def indexed_messages(span: Span) -> Changes:
    """Return both directions under numbered keys; the canonical attribute goes where they say all that it says."""
    changes: Changes = {}
    sent = span.sent
    if sent:
        changes |= _numbered("gen_ai.prompt", chat(sent))
        changes |= spent(span, sent, SENT)
    answered = span.answered
    if answered:
        changes |= _numbered("gen_ai.completion", chat(answered))
        reasons = enumerate(finish_reasons(span, answered))
        changes |= {f"gen_ai.completion.{place}.finish_reason": reason for place, reason in reasons if reason}
        changes |= spent(span, answered, ANSWERED)
    return changes


def _numbered(prefix: str, messages: Iterable[Chat]) -> Changes:
    changes: Changes = {}
    for number, message in enumerate(messages):
        at = f"{prefix}.{number}"
        changes |= {f"{at}.{key}": value for key, value in _scalars(message).items() if value is not None}
        for place, call in enumerate(message.get("tool_calls", ())):
            function = call["function"]
            fields = {"id": call["id"], "name": function["name"], "arguments": function["arguments"]}
            changes |= {f"{at}.tool_calls.{place}.{key}": as_text(v) for key, v in fields.items() if v is not None}
    return changes


def _scalars(message: Chat) -> dict[str, Value]:
    content = message["content"]
    identifier = message.get("tool_call_id")
    return {
        "role": message["role"],
        "content": None if content is None else as_text(content),
        "tool_call_id": None if identifier is None else as_text(identifier),
        "name": message.get("name"),
    }
