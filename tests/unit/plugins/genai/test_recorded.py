"""Spans of libraries that no capture has, of calls to a stand-in that always answers the same: the truth is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from untrace_plugins.genai import names
from untrace_plugins.genai.normalise import normalise

RECORDED = [
    json.loads(line)
    for line in (Path(__file__).parent / "testdata" / "recorded.jsonl").read_text(encoding="utf-8").splitlines()
]
"""One span a line: library, version, dialect, name and attributes."""

OPENAI = {
    names.PROVIDER: "openai",
    names.REQUEST_MODEL: "gpt-4o",
    names.RESPONSE_MODEL: "gpt-4o-2024-08-06",
    names.USAGE_INPUT: 20,
    names.USAGE_OUTPUT: 5,
    names.USAGE_CACHE_READ: 12,
}
ANTHROPIC = {
    names.PROVIDER: "anthropic",
    names.REQUEST_MODEL: "claude-sonnet-4-5",
    names.RESPONSE_MODEL: "claude-sonnet-4-5-20250929",
    names.USAGE_INPUT: 23,  # 8 and what was cached: 12 read, 3 written
    names.USAGE_OUTPUT: 5,
    names.USAGE_CACHE_READ: 12,
    names.USAGE_CACHE_CREATION: 3,
}
WITHOUT_CONTENT = {"anthropic.messages.create"}
"""The provider's own span, which has content only on request."""


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda one: f"{one['library']}-{one['span']}")
def test_recorded_span(recorded: dict[str, Any]) -> None:
    """Models, tokens, question, answer, and why it ended."""
    attributes = recorded["attributes"]
    changes = normalise(attributes)
    found = {**attributes, **changes.values}
    truth = ANTHROPIC if found.get(names.PROVIDER) == "anthropic" else OPENAI
    assert changes.dialect == recorded["dialect"]
    assert found[names.OPERATION] == "chat"
    assert {key: found.get(key) for key in truth} == truth
    assert found.get(names.USAGE_REASONING, 2) in (0, 2)
    if recorded["span"] not in WITHOUT_CONTENT:
        _check_content(found)


def _check_content(found: dict[str, Any]) -> None:
    answers = json.loads(found[names.OUTPUT_MESSAGES])
    parts = [part for message in answers for part in message["parts"]]
    calls = [part for part in parts if part["type"] == "tool_call"]
    texts = "".join(part["content"] for part in parts if part["type"] == "text")
    assert found[names.RESPONSE_FINISH_REASONS] == (["tool_call"] if calls else ["stop"])
    assert texts == "hello there" or (calls and not texts)
    assert all((call["name"], call["arguments"]) == ("look", {"a": 1}) for call in calls)
    asked = [part for message in json.loads(found[names.INPUT_MESSAGES]) for part in message["parts"]]
    assert {"hi", "what"} & {part.get("content") for part in asked}
