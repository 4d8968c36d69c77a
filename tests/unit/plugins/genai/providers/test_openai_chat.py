"""Chat completions beyond the usual: what OpenAI, Azure and those who are compatible put into streams."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.exchanges import exchange
from untrace_plugins.genai import names
from untrace_plugins.genai.providers.exchange import Api, Capture
from untrace_plugins.genai.providers.span import to_span

pytestmark = pytest.mark.once

HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-2024-08-06"}
ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "stream": True}


def events(*deltas: dict[str, Any], end: str = "stop", **last: Any) -> list[bytes]:
    """Return a stream of these deltas."""
    chunks = [{**HEAD, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({**HEAD, "choices": [{"index": 0, "delta": {}, "finish_reason": end}], **last})
    return [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks] + [b"data: [DONE]\n\n"]


def found(response: Any, request: Any = ASKED, **more: Any) -> dict[str, Any]:
    attributes = to_span(exchange(Api.OPENAI_CHAT, request, response, **more), Capture.FULL).attributes
    assert names.CAPTURE_UNREADABLE not in attributes
    return {key: json.loads(str(value)) if key in names.JSON_ATTRIBUTES else value for key, value in attributes.items()}


def parts(response: Any) -> list[dict[str, Any]]:
    answered: list[dict[str, Any]] = found(response)[names.OUTPUT_MESSAGES][0]["parts"]
    return answered


def text(content: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "content": content, **more}


def call(id_: str, name: str, **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_call", "id": id_, "name": name, "arguments": arguments}


def fragment(arguments: str, index: int | None = None, id_: str | None = None, name: str = "") -> dict[str, Any]:
    given = {"id": id_, "index": index, "function": {"name": name, "arguments": arguments}}
    return {"tool_calls": [{key: value for key, value in given.items() if value is not None}]}


def test_request_parameters() -> None:
    """Everything of a request has its place; tools are flat, and who asks is known."""
    request = {
        **{key: value for key, value in ASKED.items() if key != "stream"},
        "max_completion_tokens": 10,
        "n": 2,
        "temperature": 0,
        "top_p": 0.5,
        "stop": "END",
        "seed": 7,
        "frequency_penalty": 0.1,
        "presence_penalty": -0.1,
        "reasoning_effort": "low",
        "service_tier": "flex",
        "response_format": {"type": "json_schema", "json_schema": {}},
        "tools": [{"type": "function", "function": {"name": "look", "description": "d", "parameters": {}}}],
        "user": "u-1",
        "metadata": {"team": "blue"},
    }
    span = to_span(exchange(Api.OPENAI_CHAT, request, {"choices": []}), Capture.FULL)
    assert span.name == "chat gpt-4o"
    expected = {
        names.REQUEST_MAX_TOKENS: 10,
        names.REQUEST_CHOICE_COUNT: 2,
        names.REQUEST_TEMPERATURE: 0.0,
        names.REQUEST_TOP_P: 0.5,
        names.REQUEST_STOP_SEQUENCES: ["END"],
        names.REQUEST_SEED: 7,
        names.REQUEST_FREQUENCY_PENALTY: 0.1,
        names.REQUEST_PRESENCE_PENALTY: -0.1,
        names.REQUEST_REASONING_LEVEL: "low",
        names.OPENAI_REQUEST_SERVICE_TIER: "flex",
        names.OUTPUT_TYPE: "json",
        names.TOOL_DEFINITIONS: '[{"type":"function","name":"look","description":"d","parameters":{}}]',
        names.USER_ID: "u-1",
        names.METADATA: '{"team":"blue"}',
    }
    assert {key: span.attributes.get(key) for key in expected} == expected


def test_several_choices_mixed() -> None:
    """Choices come in any order, and each has its own end."""
    chunks = [
        {"choices": [{"index": 1, "delta": {"content": "b"}, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}]},
        {"choices": [{"index": 1, "delta": {}, "finish_reason": "length"}]},
        {"choices": [{"index": 0, "delta": {"content": "A"}, "finish_reason": "stop"}]},
    ]
    attributes = found([b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks])
    assert attributes[names.OUTPUT_MESSAGES] == [
        {"role": "assistant", "parts": [text("aA")], "finish_reason": "stop"},
        {"role": "assistant", "parts": [text("b")], "finish_reason": "length"},
    ]
    assert attributes[names.RESPONSE_FINISH_REASONS] == ["stop", "length"]


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        ([{"refusal": "I "}, {"refusal": "will not."}], [text("I will not.")]),
        ([{"reasoning_content": "hm"}, {"content": "yes"}], [{"type": "reasoning", "content": "hm"}, text("yes")]),
        ([{"reasoning": "hm"}, {"content": "yes"}], [{"type": "reasoning", "content": "hm"}, text("yes")]),
        (
            [{"content": "see", "annotations": None}, {"annotations": [{"type": "url_citation"}]}],
            [text("see", citations=[{"type": "url_citation"}])],
        ),
        (
            [{"audio": {"id": "a", "transcript": "Hel"}}, {"audio": {"transcript": "lo", "data": "UklG"}}],
            [text("Hello"), {"type": "blob", "modality": "audio", "content": "UklG"}],
        ),
        (
            [{"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}, {"content": "yes"}],
            [{"type": "reasoning", "content": "hm"}, text("yes")],
        ),
        (
            [{"function_call": {"name": "look", "arguments": '{"a"'}}, {"function_call": {"arguments": ":1}"}}],
            [{"type": "tool_call", "name": "look", "arguments": {"a": 1}}],
        ),
    ],
    ids=["refusal", "deepseek", "openrouter", "sources", "audio", "mistral", "function"],
)
def test_kinds_of_content(deltas: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Whatever an answer is made of is in it."""
    answered = parts(events({"role": "assistant", "content": ""}, *deltas))
    assert sorted(answered, key=str) == sorted(expected, key=str)


@pytest.mark.parametrize(
    "fragments",
    [
        [fragment("", 0, "c1", "look"), fragment("", 1, "c2", "go"), fragment('{"a":1}', 0), fragment('{"b":2}', 1)],
        [fragment('{"a":1}', 0, "c1", "look"), fragment('{"b":2}', 0, "c2", "go")],
        [fragment('{"a"', None, "c1", "look"), fragment(":1}"), fragment('{"b":2}', None, "c2", "go")],
        [fragment('{"a":', 0, "c1", "look"), fragment("1}", 0, "c1"), fragment('{"b":2}', 1, "c2", "go")],
    ],
    ids=["by number", "all number 0", "no numbers", "id repeated"],
)
def test_parallel_calls(fragments: list[dict[str, Any]]) -> None:
    """Fragments are put together by number; where that says nothing, a new id begins a new call."""
    assert parts(events(*fragments, end="tool_calls")) == [call("c1", "look", a=1), call("c2", "go", b=2)]


def test_arguments_that_are_no_json() -> None:
    """A call that was cut has what came of its arguments, as text."""
    answered = parts(events(fragment('{"city":"Zü', 0, "c1", "look")))
    assert answered[0]["arguments"] == '{"city":"Zü'


def test_plain_answer_of_a_stranger() -> None:
    """Fields that nobody knows do no harm; nulls say nothing."""
    answer = {
        **HEAD,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi", "weird": [1]}, "logprobs": {}}],
        "usage": None,
        "x_vendor": {"deep": [[]]},
    }
    attributes = found(answer)
    assert attributes[names.OUTPUT_MESSAGES] == [{"role": "assistant", "parts": [text("hi")]}]
    assert not attributes.keys() & {*names.USAGE, names.RESPONSE_FINISH_REASONS}


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ({"x_groq": {"usage": {"prompt_tokens": 5, "completion_tokens": 2}}}, (5, 2, None)),
        ({"usage": {"prompt_tokens": 5, "completion_tokens": 2, "prompt_cache_hit_tokens": 3}}, (5, 2, 3)),
    ],
    ids=["groq", "deepseek"],
)
def test_usage_of_others(last: dict[str, Any], expected: tuple[int | None, ...]) -> None:
    """Tokens are found where others put them."""
    attributes = found(events({"content": "hi"}, **last))
    keys = (names.USAGE_INPUT, names.USAGE_OUTPUT, names.USAGE_CACHE_READ)
    assert tuple(attributes.get(key) for key in keys) == expected


def test_usage_that_grows() -> None:
    """Some repeat the usage in every chunk: the last one counts."""
    chunks = [
        {**HEAD, "choices": [{"index": 0, "delta": {"content": "x"}}], "usage": {"completion_tokens": count}}
        for count in (1, 2, 3)
    ]
    attributes = found([b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks])
    assert attributes[names.USAGE_OUTPUT] == 3


def test_spoken_answer_in_one_piece() -> None:
    """What was said is text, and the sound is there."""
    message = {"role": "assistant", "content": None, "audio": {"id": "a", "data": "UklG", "transcript": "Hello"}}
    request = {**ASKED, "modalities": ["text", "audio"]}
    attributes = found({**HEAD, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}, request)
    assert attributes[names.OUTPUT_TYPE] == "speech"
    assert attributes[names.OUTPUT_MESSAGES][0]["parts"] == [
        text("Hello"),
        {"type": "blob", "modality": "audio", "content": "UklG"},
    ]
