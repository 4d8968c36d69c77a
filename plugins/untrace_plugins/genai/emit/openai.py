"""A call to a model as OpenAI's API would have it: request and answer as JSON objects, for platforms that log those."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from untrace_plugins.genai import names
from untrace_plugins.genai.emit.chat import chat, finish_reasons, tools
from untrace_plugins.genai.emit.content import Message
from untrace_plugins.genai.emit.parameters import parameters
from untrace_plugins.genai.emit.span import Span
from untrace_plugins.genai.emit.words import total_tokens
from untrace_plugins.genai.names import FinishReason, Operation

__all__ = ["answered", "asked", "usage_of"]

_OBJECTS: Final = {Operation.EMBEDDINGS: "list", Operation.TEXT_COMPLETION: "text_completion"}
_FINISH: Final = {FinishReason.TOOL_CALL.value: "tool_calls"}


def asked(span: Span) -> dict[str, Any]:
    """Return the body of the request: model, content and parameters."""
    found: dict[str, Any] = {"model": _model(span, names.REQUEST_MODEL, names.RESPONSE_MODEL)}
    sent = span.sent or []
    match span.text(names.OPERATION):
        case Operation.EMBEDDINGS:
            found["input"] = _texts(sent)
        case Operation.TEXT_COMPLETION:
            found["prompt"] = "\n".join(_texts(sent))
        case _:
            found["messages"] = chat(sent)
    definitions = tools(span)
    return {**found, **({"tools": definitions} if definitions else {}), **parameters(span)}


def answered(span: Span) -> dict[str, Any]:
    """Return the body of the answer; of embeddings only what they took, because nobody keeps the vectors."""
    operation = span.text(names.OPERATION)
    found: dict[str, Any] = {
        "id": span.text(names.RESPONSE_ID),
        "object": _OBJECTS.get(operation or "", "chat.completion"),  # type: ignore[call-overload]
        "created": span.start_time_unix_nano // 10**9 or None,
        "model": _model(span, names.RESPONSE_MODEL, names.REQUEST_MODEL),
        "usage": usage_of(span),
    }
    if operation == Operation.EMBEDDINGS:
        found["data"] = []
    else:
        found["choices"] = _choices(span, span.answered or [], text=operation == Operation.TEXT_COMPLETION)
    return {name: value for name, value in found.items() if value is not None}


def usage_of(span: Span) -> dict[str, Any] | None:
    """Return the counts of tokens; ``None`` where none are known."""
    total = total_tokens(span)
    if total is None:
        return None
    counts = {
        "prompt_tokens": span.count(names.USAGE_INPUT),
        "completion_tokens": span.count(names.USAGE_OUTPUT),
        "total_tokens": total,
    }
    details = {
        "prompt_tokens_details": {
            "cached_tokens": span.count(names.USAGE_CACHE_READ),
            "cache_write_tokens": span.count(names.USAGE_CACHE_CREATION),
        },
        "completion_tokens_details": {"reasoning_tokens": span.count(names.USAGE_REASONING)},
    }
    known = {name: _known(one) for name, one in details.items()}
    return {**_known(counts), **{name: one for name, one in known.items() if one}}


def _choices(span: Span, messages: Sequence[Message], *, text: bool) -> list[dict[str, Any]]:
    reasons = finish_reasons(span, messages)
    return [
        {"index": place, **_said(message, text=text), "finish_reason": _FINISH.get(reason or "", reason)}
        for place, (message, reason) in enumerate(zip(messages, reasons, strict=True))
    ]


def _said(message: Message, *, text: bool) -> dict[str, Any]:
    return {"text": "".join(message.texts())} if text else {"message": chat([message])[-1]}


def _model(span: Span, *candidates: str) -> str:
    return next((model for name in candidates if (model := span.text(name))), "unknown")


def _texts(messages: Sequence[Message]) -> list[str]:
    return [text for message in messages for text in message.texts()]


def _known(counts: dict[str, int | None]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count is not None}
