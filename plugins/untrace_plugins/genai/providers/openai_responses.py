"""OpenAI's Responses API: items in and out, typed events, and the whole answer again in the last of them."""

from __future__ import annotations

from typing import Any, Final

from untrace_plugins.genai import names
from untrace_plugins.genai.dialects.parameters import response as read_response
from untrace_plugins.genai.messages import messages
from untrace_plugins.genai.providers.content import put_instructions, put_questions
from untrace_plugins.genai.providers.openai import common_request
from untrace_plugins.genai.providers.reader import Fragments, Json, Reader, dicts, mapping
from untrace_plugins.genai.reading import Reading
from untrace_plugins.genai.values import dump, text
from untrace_plugins.genai.words import output_type

__all__ = ["READER"]

_UNFINISHED: Final = frozenset({"queued", "in_progress"})
_LAST: Final = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})
_DELTA: Final = ".delta"
_FIELDS: Final = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.function_call_arguments.delta": "arguments",
    "response.mcp_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "input",
    "response.code_interpreter_call_code.delta": "code",
    "response.reasoning_summary_text.delta": "summary",
    "response.reasoning_text.delta": "summary",
}
"""Which text of an item an event continues."""


def _request(span: Reading, given: Json, content: bool) -> None:
    common_request(span, given, "responses")
    _conversation(span, given)
    wanted = mapping(mapping(given.get("text")).get("format")).get("type")
    span.put(names.OUTPUT_TYPE, output_type(wanted))
    prompt = mapping(given.get("prompt"))
    span.put(names.PROMPT_NAME, text(prompt.get("id")))
    span.put(names.PROMPT_VERSION, text(prompt.get("version")))
    if content:
        put_instructions(span, given.get("instructions"))
        put_questions(span, given.get("input"))


def _conversation(span: Reading, given: Json) -> None:
    found = given.get("conversation")
    span.put(names.CONVERSATION_ID, text(found if isinstance(found, str) else mapping(found).get("id")))


def _response(span: Reading, given: Json, content: bool) -> None:
    if not isinstance(given.get("output"), list):
        given = {**given, "output": []}
    read_response(span, given)
    if given.get("status") in _UNFINISHED:  # it has not ended, whatever it has asked for so far
        span.values.pop(names.RESPONSE_FINISH_REASONS, None)
    _conversation(span, given)
    if content and (found := list(messages(given["output"], "assistant"))):
        reasons = span.values.get(names.RESPONSE_FINISH_REASONS)
        if isinstance(reasons, list):
            found[-1]["finish_reason"] = reasons[-1]
        span.put(names.OUTPUT_MESSAGES, dump(found))


class _Item:
    """One item of the output while it comes."""

    __slots__ = ("begun", "done", "texts")

    def __init__(self) -> None:
        self.begun: dict[str, Any] = {}
        self.done: dict[str, Any] | None = None
        self.texts = Fragments()

    def whole(self) -> dict[str, Any]:
        if self.done is not None:
            return self.done
        texts = self.texts.texts()
        found: dict[str, Any] = {"type": "message", "role": "assistant", **self.begun}
        if "text" in texts or "refusal" in texts:
            found["content"] = [
                {"type": "output_text" if name == "text" else name, name: texts.pop(name)}
                for name in ("text", "refusal")
                if name in texts
            ]
        if "summary" in texts:
            found["summary"] = [{"type": "summary_text", "text": texts.pop("summary")}]
        return {**found, **texts}


class _Merger:
    def __init__(self) -> None:
        self._response: dict[str, Any] = {}
        self._items: dict[int, _Item] = {}
        self._ended = False

    def add(self, event: dict[str, Any]) -> bool:
        kind = event.get("type") or ""
        if kind.endswith(_DELTA):
            return self._item(event).texts.add(_FIELDS.get(kind, ""), event.get("delta"))
        if isinstance(found := event.get("response"), dict):
            self._response = found
            self._ended = kind in _LAST
        elif kind == "response.output_item.added":
            self._item(event).begun = event["item"]
        elif kind == "response.output_item.done":
            self._item(event).done = event["item"]
        elif kind == "error" or "error" in event:
            error = event.get("error")
            self._response = {**self._response, "error": error if isinstance(error, dict) else {**event, "type": None}}
        return False

    def _item(self, event: dict[str, Any]) -> _Item:
        index = event.get("output_index", 0)
        found = self._items.get(index)
        if found is None:
            found = self._items[index] = _Item()
        return found

    def whole(self) -> dict[str, Any]:
        """Return the answer of the last event; put together from the others if it did not come, or has no output."""
        if self._ended and dicts(self._response.get("output")):
            return self._response
        items = [self._items[index].whole() for index in sorted(self._items)]
        return {**self._response, "output": items}


READER: Final = Reader(names.Operation.CHAT, _request, _response, _Merger)
