"""Cohere's chat, version 2."""

from __future__ import annotations

from typing import Any, Final

from untrace_plugins.genai import names
from untrace_plugins.genai.dialects.parameters import parameters
from untrace_plugins.genai.dialects.parameters import response as read_response
from untrace_plugins.genai.providers.content import put_answers, put_questions
from untrace_plugins.genai.providers.reader import Fragments, Json, Reader, dicts, mapping
from untrace_plugins.genai.reading import Reading

__all__ = ["READER", "counts"]


def _request(span: Reading, given: Json, content: bool) -> None:
    parameters(span, {**given, "top_p": given.get("p"), "top_k": given.get("k")})
    if content:
        put_questions(span, [_with_plan(message) for message in dicts(given.get("messages"))])


def _response(span: Reading, given: Json, content: bool) -> None:
    read_response(span, {**given, "usage": counts(given.get("usage"))})
    message = given.get("message")
    if content and isinstance(message, dict):
        put_answers(span, {"choices": [{"message": _with_plan(message), "finish_reason": given.get("finish_reason")}]})


def _with_plan(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message whose plan for its calls is its reasoning."""
    plan = message.get("tool_plan")
    return {**message, "reasoning_content": plan} if plan else message


def counts(usage: object) -> dict[str, Any]:
    """Return usage under names that say that cached tokens are within; what is billed is not what was used."""
    given = mapping(usage)
    tokens = mapping(given.get("tokens")) or mapping(given.get("billed_units"))
    return {
        "prompt_tokens": tokens.get("input_tokens"),
        "completion_tokens": tokens.get("output_tokens"),
        "prompt_tokens_details": {"cached_tokens": given.get("cached_tokens", tokens.get("cached_tokens"))},
    }


class _Merger:
    def __init__(self) -> None:
        self._said: dict[str, Any] = {}
        self._blocks: dict[int, tuple[dict[str, Any], Fragments]] = {}
        self._calls: dict[int, tuple[dict[str, Any], Fragments]] = {}
        self._plan = Fragments()

    def add(self, event: dict[str, Any]) -> bool:
        kind, index, delta = event.get("type"), event.get("index", 0), mapping(event.get("delta"))
        message = mapping(delta.get("message"))
        if kind in ("content-start", "content-delta"):
            return _continue(self._blocks, index, mapping(message.get("content")))
        if kind in ("tool-call-start", "tool-call-delta"):
            call = mapping(message.get("tool_calls"))
            _continue(self._calls, index, {**call, **mapping(call.get("function"))})
            return True
        if kind == "tool-plan-delta":
            return self._plan.add("tool_plan", message.get("tool_plan"))
        if kind == "message-start":
            self._said["id"] = event.get("id")
        elif kind == "message-end":
            self._said |= delta
        elif "message" in event and kind is None:  # an error
            self._said["error"] = event
        return False

    def whole(self) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", **self._plan.texts()}
        if self._blocks:
            message["content"] = [self._whole(self._blocks, index) for index in sorted(self._blocks)]
        if self._calls:
            called = [self._whole(self._calls, index) for index in sorted(self._calls)]
            message["tool_calls"] = [{"id": call.get("id"), "function": call} for call in called]
        return {**self._said, "message": message}

    def _whole(self, known: dict[int, tuple[dict[str, Any], Fragments]], index: int) -> dict[str, Any]:
        begun, texts = known[index]
        return {**begun, **texts.texts()}


def _continue(known: dict[int, tuple[dict[str, Any], Fragments]], index: int, piece: Json) -> bool:
    """Add to a block or a call; return whether there was any text in it."""
    if index not in known:
        known[index] = ({}, Fragments())
    begun, texts = known[index]
    brought = False
    for name, value in piece.items():
        if name in ("text", "thinking", "arguments"):
            brought |= texts.add(name, value)
        elif name != "function":
            begun[name] = value
    return brought


READER: Final = Reader(names.Operation.CHAT, _request, _response, _Merger)
