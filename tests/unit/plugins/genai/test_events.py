"""Content of events as the instrumentations of providers write it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from untrace_pipeline.data import Value
from untrace_plugins.genai import names
from untrace_plugins.genai.events import DETAILS, event_content, merged

USER = [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]
ANSWER = [{"role": "assistant", "parts": [{"type": "text", "content": "ho"}], "finish_reason": "stop"}]


@pytest.mark.parametrize(
    ("name", "body", "attributes"),
    [
        ("gen_ai.user.message", {"content": "hi"}, {}),
        ("gen_ai.user.message", "hi", {}),
        ("gen_ai.user.message", {"content": [{"text": "hi"}]}, {}),
        ("gen_ai.user.message", {"content": {"role": "user", "parts": [{"text": "hi"}]}}, {}),
        ("gen_ai.user.message", None, {"content": "hi", "role": "user"}),
        ("gen_ai.user.message", None, {"gen_ai.event.content": '{"role": "user", "content": "hi"}'}),
        ("gen_ai.content.prompt", None, {"gen_ai.prompt": "hi"}),
        ("gen_ai.content.prompt", None, {"gen_ai.prompt": '[{"role": "user", "content": "hi"}]'}),
        (DETAILS, None, {names.INPUT_MESSAGES: USER}),
        (DETAILS, {names.INPUT_MESSAGES: USER}, {}),
        (DETAILS, None, {names.INPUT_MESSAGES: json.dumps(USER)}),
    ],
)
def test_prompts(name: str, body: Value, attributes: dict[str, Value]) -> None:
    """OpenAI, Bedrock, Gemini, Azure, span events, and the event that has everything."""
    assert json.loads(str(event_content(name, body, attributes)[names.INPUT_MESSAGES])) == USER


@pytest.mark.parametrize(
    ("body", "attributes"),
    [
        ({"index": 0, "finish_reason": "stop", "message": {"content": "ho"}}, {}),
        ({"index": 0, "finish_reason": "end_turn", "message": {"role": "assistant", "content": [{"text": "ho"}]}}, {}),
        ({"index": 0, "finish_reason": "STOP", "content": {"role": "model", "parts": [{"text": "ho"}]}}, {}),
        (None, {"message": '{"content": "ho"}', "finish_reason": "stop", "index": 0}),
        (None, {"gen_ai.event.content": '{"message": {"content": "ho"}, "finish_reason": "stop"}'}),
    ],
)
def test_choices(body: Value, attributes: dict[str, Value]) -> None:
    """A choice is an answer with the reason for its end."""
    assert json.loads(str(event_content("gen_ai.choice", body, attributes)[names.OUTPUT_MESSAGES])) == ANSWER


def test_calls_beside_the_message() -> None:
    """Some write the calls of a choice beside its message."""
    body: Any = {"message": {"content": ""}, "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": "{}"}}]}
    (answer,) = json.loads(str(event_content("gen_ai.choice", body, {})[names.OUTPUT_MESSAGES]))
    assert answer["parts"] == [{"type": "tool_call", "id": "c1", "name": "f", "arguments": {}}]


def test_merging() -> None:
    """Messages follow each other in order of arrival; of anything else the first is kept."""
    joined = merged([{names.INPUT_MESSAGES: json.dumps(USER), names.USAGE_INPUT: 1}] * 2)
    assert json.loads(str(joined[names.INPUT_MESSAGES])) == USER * 2
    assert joined[names.USAGE_INPUT] == 1
