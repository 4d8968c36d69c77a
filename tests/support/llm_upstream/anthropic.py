"""Anthropic's answers: content in blocks, input tokens without the cached ones, output tokens that only grow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.support.llm_upstream.ask import Ask
from tests.support.llm_upstream.pieces import event, pieces
from tests.support.llm_upstream.truth import Truth

_FINISH = {"stop": "end_turn", "length": "max_tokens", "tool_call": "tool_use"}
SIGNATURE = "EqQBCkgIARABGAIiQL2UoU0b1OHYi+yCHpBY7U6FQW8="


def message(_ask: Ask, truth: Truth) -> dict[str, Any]:
    """Return a message."""
    return {
        **_head(truth),
        "content": _blocks(truth),
        "stop_reason": _FINISH[truth.finish or "stop"],
        "stop_sequence": None,
        "usage": usage(truth, truth.output_tokens or 0),
    }


def message_stream(_ask: Ask, truth: Truth) -> Iterator[bytes]:
    """Yield the events of a message."""

    def typed(kind: str, **fields: Any) -> bytes:
        return event({"type": kind, **fields}, kind)

    begun = {**_head(truth), "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage(truth, 1)}
    yield typed("message_start", message=begun)
    for index, block in enumerate(_blocks(truth)):
        yield typed("content_block_start", index=index, content_block=_empty(block))
        if index == 0:
            yield typed("ping")
        for delta in _deltas(block, truth):
            yield typed("content_block_delta", index=index, delta=delta)
        yield typed("content_block_stop", index=index)
    last = {"stop_reason": _FINISH[truth.finish or "stop"], "stop_sequence": None}
    yield typed("message_delta", delta=last, usage=_output_usage(truth, truth.output_tokens or 0))
    yield typed("message_stop")


def usage(truth: Truth, output_tokens: int) -> dict[str, Any]:
    """Return what a message says of tokens: the cached ones apart."""
    return {
        "input_tokens": (truth.input_tokens or 0) - truth.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": truth.cached_tokens,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "service_tier": "standard",
        **_output_usage(truth, output_tokens),
    }


def _output_usage(truth: Truth, output_tokens: int) -> dict[str, Any]:
    thought = min(truth.reasoning_tokens, output_tokens)
    return {"output_tokens": output_tokens, "output_tokens_details": {"thinking_tokens": thought}}


def _head(truth: Truth) -> dict[str, Any]:
    return {"id": truth.response_id, "type": "message", "role": "assistant", "model": truth.response_model}


def _blocks(truth: Truth) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if truth.reasoning:
        blocks.append({"type": "thinking", "thinking": truth.reasoning, "signature": SIGNATURE})
    if truth.text:
        blocks.append({"type": "text", "text": truth.text})
    calls = truth.tool_calls
    return blocks + [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments} for call in calls]


def _empty(block: dict[str, Any]) -> dict[str, Any]:
    blank: dict[str, Any] = {"thinking": "", "signature": "", "text": "", "input": {}}
    return {key: value if key == "type" else blank.get(key, value) for key, value in block.items()}


def _deltas(block: dict[str, Any], truth: Truth) -> Iterator[dict[str, Any]]:
    match block["type"]:
        case "thinking":
            yield from ({"type": "thinking_delta", "thinking": text} for text in pieces(block["thinking"]))
            yield {"type": "signature_delta", "signature": SIGNATURE}
        case "text":
            yield from ({"type": "text_delta", "text": text} for text in pieces(block["text"]))
        case _:
            call = next(call for call in truth.tool_calls if call.id == block["id"])
            yield {"type": "input_json_delta", "partial_json": ""}
            yield from ({"type": "input_json_delta", "partial_json": text} for text in pieces(call.json, 7))
