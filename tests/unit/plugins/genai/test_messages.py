"""Messages of providers and frameworks become those of the convention."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given as generated
from hypothesis import strategies as st

from untrace_plugins.genai import names
from untrace_plugins.genai.messages import input_messages, instructions, message, output_messages
from untrace_plugins.genai.normalise import normalise
from untrace_plugins.genai.tools import tool_definitions


def read(value: object) -> Any:
    text = input_messages(value)
    return None if text is None else json.loads(text)


def user(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "parts": list(parts)}]


def text(content: str) -> dict[str, Any]:
    return {"type": "text", "content": content}


CALL = {"type": "tool_call", "id": "c1", "name": "look", "arguments": {"a": 1}}
ANSWER = {"type": "tool_call_response", "id": "c1", "response": "found"}
IMAGE = {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "iVBO"}
LINK = {"type": "uri", "modality": "image", "uri": "https://x.example/a.png"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("plain", user(text("plain"))),
        (json.dumps([{"role": "user", "content": "hi"}]), user(text("hi"))),
        ([{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}], user(text("hi"))),
        ([{"role": "human", "content": "hi"}], user(text("hi"))),
        ({"messages": [{"role": "user", "content": "hi"}]}, user(text("hi"))),
        ({"input": "hi", "model": "m"}, user(text("hi"))),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}]}],
            user(IMAGE),
        ),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": LINK["uri"]}}]}], user(LINK)),
        (
            [
                {
                    "role": "user",
                    "content": [
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}}
                    ],
                }
            ],
            user(IMAGE),
        ),
        ([{"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": "iVBO"}}]}], user(IMAGE)),
        ([{"role": "user", "content": [{"image": {"format": "png", "source": {"bytes": "iVBO"}}}]}], user(IMAGE)),
        (
            [
                {
                    "role": "user",
                    "parts": [
                        {
                            "type": "blob",
                            "modality": "image",
                            "mime_type": None,
                            "content": "data:image/png;base64,iVBO",
                        }
                    ],
                }
            ],
            user(IMAGE),
        ),
        (
            [[{"lc": 1, "type": "constructor", "id": ["x", "HumanMessage"], "kwargs": {"content": "hi"}}]],
            user(text("hi")),
        ),
        ({"messages": [{"type": "human", "data": {"content": "hi"}}]}, user(text("hi"))),
        (["one", '{"two": 2}'], [*user(text("one")), *user(text('{"two": 2}'))]),
    ],
)
def test_input_of_each_shape(given: object, expected: object) -> None:
    """Whatever library wrote it, a question is a message with parts."""
    assert read(given) == expected


@pytest.mark.parametrize(
    "given",
    [
        [
            {
                "role": "assistant",
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}}],
            }
        ],
        [{"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "look", "input": {"a": 1}}]}],
        [
            {
                "role": "assistant",
                "content": [{"type": "tool-call", "toolCallId": "c1", "toolName": "look", "input": '{"a": 1}'}],
            }
        ],
        [{"role": "assistant", "content": [{"toolUse": {"toolUseId": "c1", "name": "look", "input": {"a": 1}}}]}],
        [{"role": "model", "parts": [{"functionCall": {"id": "c1", "name": "look", "args": {"a": 1}}}]}],
        [{"type": "function_call", "call_id": "c1", "id": "fc_1", "name": "look", "arguments": '{"a": 1}'}],
        [{"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "look", "arguments": '{"a": 1}'}]}],
        [{"role": "ai", "content": "", "tool_calls": [{"id": "c1", "name": "look", "args": {"a": 1}}]}],
        {
            "choices": [
                {"message": {"tool_calls": [{"id": "c1", "function": {"name": "look", "arguments": '{"a": 1}'}}]}}
            ]
        },
    ],
)
def test_function_call_of_each_shape(given: object) -> None:
    """A function call has id, name, and arguments as an object."""
    assert json.loads(output_messages(given) or "") == [{"role": "assistant", "parts": [CALL]}]


@pytest.mark.parametrize(
    "given",
    [
        [{"role": "tool", "tool_call_id": "c1", "content": "found"}],
        [
            {
                "role": "tool",
                "content": [{"type": "tool-result", "toolCallId": "c1", "output": {"type": "text", "value": "found"}}],
            }
        ],
        [{"type": "function_call_output", "call_id": "c1", "output": "found"}],
        [{"role": "tool", "id": "c1", "content": "found"}],
        [{"role": "tool", "parts": [ANSWER]}],
    ],
)
def test_function_result_of_each_shape(given: object) -> None:
    """A result names the call that it answers."""
    assert read(given) == [{"role": "tool", "parts": [ANSWER]}]


def test_answer_has_its_reasoning_and_why_it_ended() -> None:
    """Reasoning is a part; the provider's word for the end becomes the convention's."""
    given = {
        "choices": [
            {
                "message": {"role": "assistant", "reasoning_content": "so", "content": "yes"},
                "finish_reason": "tool_calls",
            }
        ]
    }
    assert json.loads(output_messages(given) or "") == [
        {
            "role": "assistant",
            "parts": [{"type": "reasoning", "content": "so"}, text("yes")],
            "finish_reason": "tool_call",
        }
    ]


def test_items_of_a_response_become_one_answer() -> None:
    """OpenAI's Responses API puts reasoning beside the message that it belongs to."""
    items = [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "so"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "yes"}]},
    ]
    assert json.loads(output_messages(items) or "") == [
        {"role": "assistant", "parts": [{"type": "reasoning", "content": "so"}, text("yes")]}
    ]


def test_canonical_messages_stay_the_same_bytes() -> None:
    """What is in the form already is not written anew; parts and keys that nobody knows survive."""
    given = '[ {"role":"user", "parts":[{"type":"text","content":"hi","x":1},{"type":"novel","y":[2]}], "z": true} ]'
    assert input_messages(given) == given


@pytest.mark.parametrize("given", ['{"name": "Maria", "content": "x"}', '[{"a": 1}]', "[1, 2]", '{"broken": '])
def test_text_that_is_json_stays_text(given: str) -> None:
    """A structured answer is text, whatever it looks like."""
    (message,) = json.loads(output_messages(given) or "")
    assert message["parts"] == [text(given)]


def test_long_numbers_in_arguments_keep_their_digits() -> None:
    """Arguments that a double cannot hold stay the text that they were."""
    given = '{"id": 12345678901234567890123}'
    (message,) = json.loads(
        output_messages([{"role": "assistant", "function_call": {"name": "f", "arguments": given}}]) or ""
    )
    assert message["parts"][0]["arguments"] == given


@pytest.mark.parametrize("given", [None, 5, True, [], {}, "", [None, 7], {"messages": []}])
def test_nothing_that_is_a_message(given: object) -> None:
    """What holds no message gives none, and no error."""
    assert read(given) is None or all(message["parts"] for message in read(given))


@pytest.mark.parametrize("depth", [100, 500, 900, 5000])
def test_deep_json(depth: int) -> None:
    """Nesting is no reason to fail: what can be read keeps its text, what cannot stays as it is."""
    deep = '[{"role":"user","content":' + "[" * depth + '"deep"' + "]" * depth + "}]"
    changes = normalise({names.OPERATION: "chat", names.INPUT_MESSAGES: deep})
    assert '"deep"' in str(changes.values.get(names.INPUT_MESSAGES, deep))
    assert bool(changes.malformed) == (names.INPUT_MESSAGES not in changes.values)


def test_instructions_are_parts() -> None:
    """Plain instructions become a list with one text part."""
    assert json.loads(instructions("be kind") or "") == [text("be kind")]


@pytest.mark.parametrize(
    "given",
    [
        [{"type": "function", "function": {"name": "look", "description": "d", "parameters": {"type": "object"}}}],
        [{"name": "look", "description": "d", "input_schema": {"type": "object"}}],
        ['{"type":"function","name":"look","description":"d","inputSchema":{"type":"object"}}'],
        [{"toolSpec": {"name": "look", "description": "d", "inputSchema": {"json": {"type": "object"}}}}],
    ],
)
def test_tool_definitions_are_flat(given: object) -> None:
    """Each provider nests its definitions otherwise."""
    assert json.loads(tool_definitions(given) or "") == [
        {"type": "function", "name": "look", "description": "d", "parameters": {"type": "object"}}
    ]


@generated(
    st.sampled_from(("user", "developer", "function", "AIMessageChunk", "tool", "", "critic")),
    st.text() | st.sampled_from(('[{"type": "text", "text": "hi"}]', "[{", '{"role": "user"}')),
)
def test_a_role_and_a_text_are_read_as_any_message(role: str, content: str) -> None:
    """The short way for most messages says what the whole way says."""
    whole = message({"role": role, "content": content}, "user")
    for given in ([{"role": role, "content": content}], {"role": role, "content": content}):
        assert json.loads(str(input_messages(given))) == [whole]
