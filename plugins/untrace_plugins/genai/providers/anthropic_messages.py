"""Anthropic's messages: blocks of content, usage without its cached part, and errors within a stream."""

from __future__ import annotations

from typing import Any, Final

from untrace_plugins.genai import names
from untrace_plugins.genai.dialects.parameters import parameters
from untrace_plugins.genai.dialects.parameters import response as read_response
from untrace_plugins.genai.providers.content import put_answers, put_instructions, put_questions
from untrace_plugins.genai.providers.reader import Fragments, Json, Reader, mapping
from untrace_plugins.genai.reading import Reading
from untrace_plugins.genai.values import exact_structure, integer, text

__all__ = ["READER"]

_PIECES: Final = ("text", "thinking", "partial_json")
"""What deltas bring; signatures are proofs for the provider, and no content."""


def _request(span: Reading, given: Json, content: bool) -> None:
    parameters(span, given)
    span.put(names.REQUEST_REASONING_LEVEL, text(mapping(given.get("output_config")).get("effort")))
    span.put(names.USER_ID, text(mapping(given.get("metadata")).get("user_id")))
    if content:
        put_instructions(span, given.get("system"))
        put_questions(span, given.get("messages"))


def _response(span: Reading, given: Json, content: bool) -> None:
    read_response(span, given)
    written = mapping(mapping(given.get("usage")).get("cache_creation"))
    span.put(names.USAGE_CACHE_CREATION_5M, integer(written.get("ephemeral_5m_input_tokens")))
    span.put(names.USAGE_CACHE_CREATION_1H, integer(written.get("ephemeral_1h_input_tokens")))
    if content and given.get("content"):
        put_answers(span, given)


class _Merger:
    def __init__(self) -> None:
        self._message: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._blocks: dict[int, tuple[dict[str, Any], Fragments, list[Any]]] = {}
        """Each block as it began, what was added to its texts, and its citations."""

    def add(self, event: dict[str, Any]) -> bool:
        kind = event.get("type")
        if kind == "content_block_delta":
            return self._delta(event.get("index", 0), event["delta"])
        if kind == "content_block_start":
            block = event["content_block"]
            self._blocks[event.get("index", 0)] = (block, Fragments(), [])
            return block.get("type") not in ("text", "thinking")
        if kind == "message_start":
            self._message = dict(event["message"])
            self._count(self._message.get("usage"))
        elif kind == "message_delta":
            self._message |= {key: value for key, value in mapping(event.get("delta")).items() if value is not None}
            self._count(event.get("usage"))
        elif "error" in event:
            self._message["error"] = event["error"]
        return False

    def _delta(self, index: int, delta: dict[str, Any]) -> bool:
        if index not in self._blocks:  # its beginning was not kept
            self._blocks[index] = ({"type": "text"}, Fragments(), [])
        _, texts, citations = self._blocks[index]
        if "citation" in delta:
            citations.append(delta["citation"])
        return any(texts.add(name, delta[name]) for name in _PIECES if name in delta)  # it has one of them

    def _count(self, usage: object) -> None:
        """Take counts: those of a later event are sums, and stand for the earlier ones."""
        self._usage |= {key: count for key, count in mapping(usage).items() if count is not None}

    def whole(self) -> dict[str, Any]:
        content = [self._block(*self._blocks[index]) for index in sorted(self._blocks)]
        return {**self._message, "content": content, "usage": self._usage}

    def _block(self, begun: dict[str, Any], texts: Fragments, citations: list[Any]) -> dict[str, Any]:
        found, pieces = dict(begun), texts.texts()
        if (given := pieces.pop("partial_json", None)) is not None:
            found["input"] = exact_structure(given)
        for name, piece in pieces.items():
            found[name] = str(found.get(name) or "") + piece
        if citations:
            found["citations"] = citations
        return found


READER: Final = Reader(names.Operation.CHAT, _request, _response, _Merger)
