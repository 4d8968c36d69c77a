"""Cohere's answers, version 2 of the chat API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.support.llm_upstream.ask import Ask
from tests.support.llm_upstream.pieces import event, pieces
from tests.support.llm_upstream.truth import ToolCall, Truth

_FINISH = {"stop": "COMPLETE", "length": "MAX_TOKENS", "tool_call": "TOOL_CALL"}


def chat(_ask: Ask, truth: Truth) -> dict[str, Any]:
    """Return an answer."""
    message: dict[str, Any] = {"role": "assistant"}
    if truth.tool_calls:
        message |= {"tool_plan": truth.reasoning, "tool_calls": [_tool_call(call) for call in truth.tool_calls]}
    else:
        message["content"] = [{"type": kind, kind: text} for kind, text in _blocks(truth)]
    finish = _FINISH[truth.finish or "stop"]
    return {"id": truth.response_id, "message": message, "finish_reason": finish, "usage": usage(truth)}


def chat_stream(_ask: Ask, truth: Truth) -> Iterator[bytes]:
    """Yield the events of an answer."""

    def typed(kind: str, **fields: Any) -> bytes:
        return event({"type": kind, **fields}, kind)

    def content(kind: str, index: int, **message: Any) -> bytes:
        return typed(kind, index=index, delta={"message": message})

    start = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    yield typed("message-start", id=truth.response_id, delta={"message": start})
    if truth.tool_calls:
        yield from (
            typed("tool-plan-delta", delta={"message": {"tool_plan": text}}) for text in pieces(truth.reasoning)
        )
    else:
        for index, (kind, whole) in enumerate(_blocks(truth)):
            yield content("content-start", index, content={"type": kind, kind: ""})
            yield from (content("content-delta", index, content={kind: text}) for text in pieces(whole))
            yield typed("content-end", index=index)
    for index, call in enumerate(truth.tool_calls):
        begun = {**_tool_call(call), "function": {"name": call.name, "arguments": ""}}
        yield content("tool-call-start", index, tool_calls=begun)
        for text in pieces(call.json, 6):
            yield content("tool-call-delta", index, tool_calls={"function": {"arguments": text}})
        yield typed("tool-call-end", index=index)
    last = {"finish_reason": _FINISH[truth.finish or "stop"], "usage": usage(truth)}
    yield typed("message-end", delta=last)
    yield b"data: [DONE]\n\n"


def usage(truth: Truth) -> dict[str, Any]:
    """Return what an answer says of tokens; billed ones are fewer."""
    asked, said = truth.input_tokens or 0, truth.output_tokens or 0
    return {
        "billed_units": {"input_tokens": asked - 7, "output_tokens": said},
        "tokens": {"input_tokens": asked, "output_tokens": said},
        "cached_tokens": truth.cached_tokens,
    }


def _blocks(truth: Truth) -> list[tuple[str, str]]:
    thinking = [("thinking", truth.reasoning)] if truth.reasoning else []
    return [*thinking, ("text", truth.text)]


def _tool_call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.json}}
