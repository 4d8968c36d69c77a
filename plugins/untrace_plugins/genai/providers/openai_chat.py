"""OpenAI's chat completions, as OpenAI, Azure OpenAI and everybody compatible have them."""

from __future__ import annotations

from typing import Any, Final

from untrace_plugins.genai import names
from untrace_plugins.genai.dialects.parameters import response as read_response
from untrace_plugins.genai.messages import input_messages, messages
from untrace_plugins.genai.providers.openai import common_request
from untrace_plugins.genai.providers.reader import Fragments, Json, Reader, dicts, mapping
from untrace_plugins.genai.reading import Reading
from untrace_plugins.genai.values import dump

__all__ = ["READER"]

_TEXTS: Final = frozenset({"content", "refusal", "reasoning_content", "reasoning"})
"""Texts of an answer; DeepSeek and others have the reasoning beside the content."""
_LAST: Final = ("id", "model", "usage", "service_tier", "system_fingerprint", "error")
"""What chunks repeat: the last one that says it counts. Usage of some grows from chunk to chunk."""


def _request(span: Reading, given: Json, content: bool) -> None:
    common_request(span, given, "chat_completions")
    if content:
        span.put(names.INPUT_MESSAGES, input_messages(given.get("messages")))


def _response(span: Reading, given: Json, content: bool) -> None:
    read_response(span, given)
    if content:
        choices = [_in_blocks(choice) for choice in dicts(given.get("choices"))]
        span.put(names.OUTPUT_MESSAGES, dump([*messages({"choices": choices}, "assistant")]) if choices else None)


def _in_blocks(choice: dict[str, Any]) -> dict[str, Any]:
    """Return a choice of which the sources of a text, and what was spoken, are in its content."""
    message = choice.get("message")
    if not isinstance(message, dict) or not (message.get("audio") or message.get("annotations")):
        return choice
    audio, written = mapping(message.get("audio")), message.get("content")
    blocks: list[Any] = [{"type": "text", "text": written, "citations": message.get("annotations")}] if written else []
    if said := audio.get("transcript"):
        blocks.append({"type": "text", "text": said})
    if sound := audio.get("data"):
        blocks.append({"type": "blob", "modality": "audio", "content": sound})
    return {**choice, "message": {**message, "content": blocks}}


class _Choice:
    """One choice of a stream."""

    __slots__ = ("annotations", "audio", "blocks", "calls", "ended", "function", "latest", "texts")

    def __init__(self) -> None:
        self.texts = Fragments()
        self.annotations: list[Any] = []
        self.blocks: list[Any] = []
        """Content in blocks, as Mistral sends its thinking."""
        self.calls: list[tuple[dict[str, Any], Fragments]] = []
        self.latest: dict[int, int] = {}
        """The place among the calls of the one that a number stands for now."""
        self.function = Fragments()
        """The call of a function in the form that was before tools."""
        self.audio = Fragments()
        self.ended: Any = None

    def add(self, delta: Json) -> bool:
        brought = False
        for key, value in delta.items():
            if value and (
                self.texts.add(key, value) if key in _TEXTS and value.__class__ is str else self._other(key, value)
            ):
                brought = True
        return brought

    def _other(self, key: str, value: Any) -> bool:
        """Take a field of a delta that is no text; return whether it is content."""
        if key in _TEXTS and isinstance(value, list):
            self.blocks += value
        elif key == "tool_calls":
            for call in dicts(value):
                self._call(call)
        elif key == "annotations":
            self.annotations += value
        elif key in ("function_call", "audio"):
            fragments = self.audio if key == "audio" else self.function
            return any([fragments.add(name, piece) for name, piece in mapping(value).items()])  # noqa: C419  all of them
        else:
            return False
        return True

    def _call(self, call: dict[str, Any]) -> None:
        """Add a fragment of a call. Some number all calls 0, or none: then a new id begins a new one."""
        id_, index = call.get("id"), call.get("index")
        place = self.latest.get(index, -1) if isinstance(index, int) else len(self.calls) - 1
        if place < 0 or (id_ and self.calls[place][0].get("id") not in (None, id_)):
            place = len(self.calls)
            self.calls.append(({}, Fragments()))
        if isinstance(index, int):
            self.latest[index] = place
        known, fragments = self.calls[place]
        function = mapping(call.get("function"))
        if id_:
            known["id"] = id_
        if name := function.get("name"):
            known["name"] = name
        arguments = function.get("arguments")
        if isinstance(arguments, dict):
            known["arguments"] = arguments
        else:
            fragments.add("arguments", arguments)

    def whole(self, index: int) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", **self.texts.texts()}
        if self.blocks:
            message["content"] = [*([message["content"]] if "content" in message else []), *self.blocks]
        if self.annotations:
            message["annotations"] = self.annotations
        if audio := self.audio.texts():
            message["audio"] = audio
        if function := self.function.texts():
            message["function_call"] = function
        if self.calls:
            message["tool_calls"] = [
                {"id": known.get("id"), "function": {**fragments.texts(), **known}} for known, fragments in self.calls
            ]
        return {"index": index, "message": message, "finish_reason": self.ended}


class _Merger:
    def __init__(self) -> None:
        self._said: dict[str, Any] = {}
        self._choices: dict[int, _Choice] = {}

    def add(self, event: dict[str, Any]) -> bool:
        brought = False
        for choice in event.get("choices") or ():
            index = choice.get("index", 0)
            known = self._choices.get(index)
            if known is None:
                known = self._choices[index] = _Choice()
            if ended := choice.get("finish_reason"):
                known.ended = ended
            delta = choice.get("delta") or choice.get("message")  # some answer in one piece all the same
            if delta and known.add(delta):
                brought = True
        if not brought or event.get("usage"):
            self._say(event)
        return brought

    def _say(self, event: dict[str, Any]) -> None:
        """Take what stands beside the choices: chunks with content only repeat it."""
        for key in _LAST:
            if value := event.get(key):
                self._said[key] = value
        if usage := mapping(event.get("x_groq")).get("usage"):
            self._said["usage"] = usage

    def whole(self) -> dict[str, Any]:
        choices = [self._choices[index].whole(index) for index in sorted(self._choices)]
        return {**self._said, "choices": choices}


READER: Final = Reader(names.Operation.CHAT, _request, _response, _Merger)
