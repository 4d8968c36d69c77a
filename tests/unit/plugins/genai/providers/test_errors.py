"""What providers say of errors, and that the keys they quote are not in it."""

from __future__ import annotations

from typing import Any

import pytest

from untrace_plugins.genai.providers.errors import LONGEST_MESSAGE, failure, failure_of_status, masked, without

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"error": {"message": "m", "type": "t", "code": "c"}}, ("c", "m")),
        ({"error": {"message": "m", "type": "t", "code": None}}, ("t", "m")),
        ({"error": {"message": "m", "code": 429, "status": "RESOURCE_EXHAUSTED"}}, ("RESOURCE_EXHAUSTED", "m")),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "m"}}, ("overloaded_error", "m")),
        ({"error": "model not found"}, ("", "model not found")),
        ({"error": {"message": "m", "type": "a text and no type"}}, ("", "m")),
    ],
)
def test_forms(answer: dict[str, Any], expected: tuple[str, str]) -> None:
    """The most particular word that is a word, and the text."""
    assert failure(answer) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"message": "invalid api token", "id": "x"}, ("", "invalid api token")),
        ({"object": "error", "message": "m", "type": "BadRequestError", "code": 400}, ("BadRequestError", "m")),
        ({"detail": "Not Found"}, ("", "Not Found")),
        ({"detail": [{"loc": ["body"], "msg": "field required"}]}, ("", "field required")),
        ({}, ("", "")),
    ],
)
def test_forms_without_an_error(answer: dict[str, Any], expected: tuple[str, str]) -> None:
    """Some only say with the status that it is one."""
    assert failure(answer) is None
    assert failure_of_status(answer) == expected


@pytest.mark.parametrize("answer", [{"error": None}, {"error": {}}, {"error": ""}, {"error": 5}, {"id": "x"}])
def test_no_error(answer: dict[str, Any]) -> None:
    """A field of that name is none if it is empty."""
    assert failure(answer) is None


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: CANARY12. You can find",
        "Incorrect API key provided: sk-CANAR***************CANARY.",
        "Incorrect API key provided: CANARY-äö.",
        "invalid x-api-key: CANARY1234",
        "Bearer CANARY123 is expired",
        "Basic CANARYCANARY==",
        "key sk-ant-api03-CANARY_x-y",
        "AIzaCANARYCANARY",
        "token eyJCANARYxx.eyJCANARY.CANARY",
        "https://x.example/v1?key=CANARY1&alt=sse",
        "https://x.example/v1?a=b&sig=CANARY",
    ],
)
def test_keys(text: str) -> None:
    """Keys are taken out, in every form that providers quote them in."""
    assert "CANARY" not in masked(text)
    assert "***" in masked(text)


@pytest.mark.parametrize(
    "text",
    [
        "The model `claude-sonnet-4-5-20250929` does not exist",
        "Rate limit reached for gpt-4o in organization org-abc on tokens per min. Limit: 30000 / min.",
        "task-force and risk-taking are words; so is a key: one",
        "Unsupported value: 'temperature' does not support 0.2",
        "This model's maximum context length is 128000 tokens",
    ],
)
def test_no_keys(text: str) -> None:
    """Models, limits and words stay."""
    assert masked(text) == text


def test_length() -> None:
    """A message is no page."""
    assert len(masked("x" * 10_000)) == LONGEST_MESSAGE


def test_secrets_that_are_known_are_taken_out() -> None:
    """Wherever they stand, of whatever form; not what is too short to be one."""
    text = "team a does not allow hunter2-of-ours (hunter2-of-ours) for this model"
    assert without(text, ["hunter2-of-ours", "a"]) == "team a does not allow *** (***) for this model"
