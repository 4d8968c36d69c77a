"""An answer put together from the chunks of its stream, as OpenAI's chat API sends them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["assembled"]


def assembled(chunks: Iterable[object]) -> dict[str, Any] | None:
    """Return the response that a stream would have been without streaming; ``None`` if no chunk is of that API.

    A stream that broke gives what had arrived: a choice without a reason for its end.
    """
    whole: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        if not isinstance(chunk, Mapping) or not isinstance(chunk.get("choices"), list):
            continue
        for key in ("id", "model", "created", "service_tier", "system_fingerprint", "usage"):
            if chunk.get(key) is not None:
                whole[key] = chunk[key]
        for choice in chunk["choices"]:
            if isinstance(choice, Mapping) and isinstance(choice.get("index", 0), int):
                _extend(choices.setdefault(choice.get("index", 0), {"message": {"role": "assistant"}}), choice)
    if not whole and not choices:
        return None
    return {**whole, "object": "chat.completion", "choices": [choices[index] for index in sorted(choices)]}


def _extend(whole: dict[str, Any], choice: Mapping[str, Any]) -> None:
    if choice.get("finish_reason"):
        whole["finish_reason"] = choice["finish_reason"]
    delta = choice.get("delta")
    if not isinstance(delta, Mapping):
        return
    message = whole["message"]
    for key in ("content", "refusal", "reasoning_content"):
        if isinstance(delta.get(key), str):
            message[key] = message.get(key, "") + delta[key]
    for call in delta.get("tool_calls") or ():
        if isinstance(call, Mapping):
            _extend_call(message.setdefault("tool_calls", []), call)


def _extend_call(calls: list[dict[str, Any]], call: Mapping[str, Any]) -> None:
    """Add a fragment: its index says to which call it belongs, names and ids come once, arguments in pieces."""
    index = call.get("index", len(calls))
    if not isinstance(index, int) or not 0 <= index <= len(calls):
        return
    if index == len(calls):
        calls.append({"type": "function", "function": {"name": "", "arguments": ""}})
    whole, function = calls[index], call.get("function")
    if call.get("id"):
        whole["id"] = call["id"]
    for key in ("name", "arguments"):
        if isinstance(function, Mapping) and isinstance(function.get(key), str):
            whole["function"][key] += function[key]
