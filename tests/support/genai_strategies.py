"""Spans in canonical form, for properties: well-formed conversations, and anything at all."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from untrace_plugins.genai import names
from untrace_plugins.genai.names import Kind, Operation

__all__ = ["canonical_spans", "hostile_spans", "llm_calls"]

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
leaves = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | words
json_values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=8
)
arguments = st.dictionaries(words, json_values, max_size=3)
base64 = st.sampled_from(["aGVsbG8=", "d29ybGQ="])
identifiers = st.from_regex(r"call_[a-z0-9]{6}", fullmatch=True)

texts = st.builds(lambda text: {"type": "text", "content": text}, words)
reasoning = st.builds(lambda text: {"type": "reasoning", "content": text}, words)
calls = st.builds(
    lambda call, name, arguments: {"type": "tool_call", "id": call, "name": name, "arguments": arguments},
    identifiers,
    words,
    arguments,
)
responses = st.builds(
    lambda call, response: {"type": "tool_call_response", "id": call, "response": response}, identifiers, words
)
images = st.builds(
    lambda content: {"type": "blob", "modality": "image", "mime_type": "image/png", "content": content}, base64
) | st.just({"type": "uri", "modality": "image", "uri": "https://example.com/a.png"})
others = st.just({"type": "file", "modality": "image", "file_id": "file-1"}) | st.just(
    {"type": "x_own", "data": "kept"}
)


def _message(role: str, parts: st.SearchStrategy[dict[str, Any]], **more: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(lambda found: {"role": role, "parts": found, **more}, st.lists(parts, min_size=1, max_size=3))


questions = _message("user", texts | images | others)
answers = _message("assistant", texts | reasoning | calls)
results = _message("tool", responses)
conversations = st.lists(questions | answers | results, min_size=1, max_size=4)
choices = st.lists(_message("assistant", texts | reasoning | calls, finish_reason="stop"), min_size=1, max_size=2)
instructions = st.lists(texts, min_size=1, max_size=2)
definitions = st.lists(
    st.builds(lambda name, parameters: {"type": "function", "name": name, "parameters": parameters}, words, arguments),
    min_size=1,
    max_size=2,
)
_counts = st.integers(0, 10**7)
_json = {
    names.INPUT_MESSAGES: conversations,
    names.OUTPUT_MESSAGES: choices,
    names.SYSTEM_INSTRUCTIONS: instructions,
    names.TOOL_DEFINITIONS: definitions,
    names.METADATA: st.dictionaries(st.from_regex(r"[a-z]{3,8}", fullmatch=True), words, min_size=1, max_size=3),
}
_plain = {
    names.OPERATION: st.sampled_from([*Operation, "plan"]),
    names.SPAN_KIND: st.sampled_from([*Kind]),
    names.PROVIDER: st.sampled_from(["openai", "aws.bedrock", "own"]),
    names.REQUEST_MODEL: words,
    names.RESPONSE_MODEL: words,
    names.REQUEST_TEMPERATURE: st.floats(0, 2),
    names.REQUEST_STOP_SEQUENCES: st.lists(words, min_size=1, max_size=2),
    names.USAGE_INPUT: _counts,
    names.USAGE_OUTPUT: _counts,
    names.USAGE_CACHE_READ: _counts,
    names.USAGE_REASONING: _counts,
    names.USAGE_COST: st.floats(0, 10),
    names.COST_INPUT: st.floats(0, 10),
    names.RESPONSE_FINISH_REASONS: st.lists(words, min_size=1, max_size=2),
    names.SESSION_ID: words,
    names.USER_ID: words,
    names.TAGS: st.lists(words, min_size=1, max_size=2),
    names.INPUT: words,
    names.OUTPUT: words,
    names.TOOL_CALL_ARGUMENTS: arguments.map(json.dumps),
    names.TOOL_CALL_RESULT: words,
    names.DIALECT: st.just("langfuse"),
    "own.attribute": words,
}
canonical_spans = st.fixed_dictionaries(
    {}, optional={**{name: found.map(json.dumps) for name, found in _json.items()}, **_plain}
)
"""Attributes of spans in canonical form, any of which may be absent."""
llm_calls = st.fixed_dictionaries(
    {
        names.OPERATION: st.sampled_from(["chat", "generate_content", "text_completion"]),
        names.PROVIDER: st.sampled_from(["openai", "anthropic", "aws.bedrock"]),
        names.REQUEST_MODEL: words,
        names.RESPONSE_MODEL: words,
        names.INPUT_MESSAGES: conversations.map(json.dumps),
        names.OUTPUT_MESSAGES: choices.map(json.dumps),
    },
    optional={
        names.SYSTEM_INSTRUCTIONS: instructions.map(json.dumps),
        names.TOOL_DEFINITIONS: definitions.map(json.dumps),
        names.REQUEST_TEMPERATURE: st.floats(0, 2),
        names.REQUEST_STOP_SEQUENCES: st.lists(words, min_size=1, max_size=2),
        names.TAGS: st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), min_size=1, max_size=2),
        names.METADATA: st.dictionaries(st.from_regex(r"x_[a-z]{3,8}", fullmatch=True), words, min_size=1).map(
            json.dumps
        ),
        names.USAGE_INPUT: _counts,
        names.USAGE_OUTPUT: _counts,
        names.USER_ID: words,
        names.SESSION_ID: words,
    },
)
"""Attributes of calls to models with conversations."""

_any_json = st.recursive(
    leaves | st.sampled_from(["text", "tool_call", "blob", "user", "function"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "parts", "type", "content", "id", "name", "arguments", "function", "mime_type"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
hostile_spans = st.dictionaries(
    st.sampled_from([*_json, *_plain]),
    _any_json
    | _any_json.map(json.dumps)
    | st.just("[" * 5000)
    | st.just("[" * 900 + "]" * 900)
    | st.binary(max_size=4),
    max_size=8,
)
"""Attributes under canonical names, with values of any type and JSON of any shape."""
