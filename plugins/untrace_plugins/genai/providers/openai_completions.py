"""OpenAI's completions of texts, from before there was chat; many serve their own models so."""

from __future__ import annotations

from typing import Any, Final

from untrace_plugins.genai import names
from untrace_plugins.genai.dialects.parameters import response as read_response
from untrace_plugins.genai.messages import input_messages, output_messages
from untrace_plugins.genai.providers.openai import common_request
from untrace_plugins.genai.providers.reader import Fragments, Json, Reader
from untrace_plugins.genai.reading import Reading

__all__ = ["READER"]

_LAST: Final = ("id", "model", "usage", "service_tier", "system_fingerprint", "error")


def _request(span: Reading, given: Json, content: bool) -> None:
    common_request(span, given)
    if content:
        span.put(names.INPUT_MESSAGES, input_messages(_texts(given.get("prompt"))))


def _texts(prompt: object) -> object:
    """Return a prompt without those that are numbers of tokens."""
    return [one for one in prompt if isinstance(one, str)] if isinstance(prompt, list) else prompt


def _response(span: Reading, given: Json, content: bool) -> None:
    read_response(span, given)
    if content:
        span.put(names.OUTPUT_MESSAGES, output_messages({"choices": given.get("choices")}))


class _Merger:
    def __init__(self) -> None:
        self._said: dict[str, Any] = {}
        self._texts: dict[int, Fragments] = {}
        self._ended: dict[int, Any] = {}

    def add(self, event: dict[str, Any]) -> bool:
        brought = False
        for key in _LAST:
            if value := event.get(key):
                self._said[key] = value
        for choice in event.get("choices") or ():
            index = choice.get("index", 0)
            texts = self._texts.setdefault(index, Fragments())
            brought |= texts.add("text", choice.get("text"))
            if ended := choice.get("finish_reason"):
                self._ended[index] = ended
        return brought

    def whole(self) -> dict[str, Any]:
        choices = [
            {"index": index, "text": "", **self._texts[index].texts(), "finish_reason": self._ended.get(index)}
            for index in sorted(self._texts)
        ]
        return {**self._said, "choices": choices}


READER: Final = Reader(names.Operation.TEXT_COMPLETION, _request, _response, _Merger)
