"""Values as instrumentations send them, and words of dialects."""

from __future__ import annotations

import pytest

from untrace_pipeline.data import Value
from untrace_plugins.genai.usage import usage
from untrace_plugins.genai.values import boolean, integer, number, python_literal, structure, texts
from untrace_plugins.genai.words import finish_reasons, operation, provider, span_kind


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, 5),
        (5.0, 5),
        ("5", 5),
        (True, None),
        (5.5, None),
        ("x", None),
        (1 << 70, None),
        (1e300, None),
        (float("nan"), None),
    ],
)
def test_integer(value: Value, expected: int | None) -> None:
    """Whole numbers come as numbers or text; what is none says nothing."""
    assert integer(value) == expected


@pytest.mark.parametrize("value", ["Infinity", float("inf"), float("nan"), "", True, None, [1], "1e999"])
def test_no_number(value: Value) -> None:
    """Only finite numbers are numbers."""
    assert number(value) is None


def test_booleans_of_python() -> None:
    """Some libraries write ``str(False)``."""
    assert [boolean(one) for one in ("True", "false", True, "yes", 1)] == [True, False, True, None, None]


@pytest.mark.parametrize(
    ("value", "expected"), [('["a"]', ["a"]), ("a", ["a"]), (["a", 1, ""], ["a"]), ([], None), (5, None)]
)
def test_texts(value: Value, expected: object) -> None:
    """A list of strings comes as a list, as JSON, or as one string."""
    assert texts(value) == expected


def test_structure_of_json_that_was_encoded_twice() -> None:
    """MLflow and OpenLLMetry encode strings that are JSON already."""
    assert structure('"{\\"a\\": 1}"') == {"a": 1}
    assert structure("not json") == "not json"
    assert structure("5") == "5"


@pytest.mark.parametrize("value", ["{'a': None}", '{"a": null}'])
def test_literals_of_python(value: str) -> None:
    """LiteLLM writes ``repr`` of dictionaries."""
    assert python_literal(value) == {"a": None}


@pytest.mark.parametrize("value", ["__import__('os')", "(" * 500, "{'a': " * 200, "open('x')"])
def test_literals_are_not_evaluated(value: str) -> None:
    """Only literals are read: anything else is nothing."""
    assert python_literal(value) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("openai", "openai"),
        ("OpenAI", "openai"),
        ("openai.chat", "openai"),
        ("azure-openai.responses", "azure.ai.openai"),
        ("amazon-bedrock", "aws.bedrock"),
        ("az.ai.openai", "azure.ai.openai"),
        ("google.vertex.chat", "gcp.vertex_ai"),
        ("gcp.vertex_ai", "gcp.vertex_ai"),
        ("MistralAI", "mistral_ai"),
        ("my.gateway", "my.gateway"),
        ("", None),
        (5, None),
    ],
)
def test_provider(value: Value, expected: str | None) -> None:
    """Names of providers become the convention's; a second time they stay."""
    assert provider(value) == expected
    assert expected is None or provider(expected) == expected


def test_finish_reasons() -> None:
    """Every provider's word for the end of a choice; unknown words stay, empty ones go."""
    given: list[Value] = ["end_turn", "MAX_TOKENS", "tool-calls", "FinishReason.SAFETY", "pause_turn", ""]
    assert finish_reasons(given) == ["stop", "length", "tool_call", "content_filter", "pause_turn"]
    assert finish_reasons('["stop"]') == ["stop"]


def test_operations_and_kinds() -> None:
    """A kind of span is an operation, or a kind of our own, never both."""
    assert [operation(word) for word in ("LLM", "TOOL", "CHAIN", "chat", "novel")] == [
        "chat",
        "execute_tool",
        None,
        "chat",
        None,
    ]
    assert [span_kind(word) for word in ("LLM", "CHAIN", "GUARDRAIL")] == [None, "chain", "guardrail"]


INPUT, OUTPUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
READ, WRITE = "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_creation.input_tokens"
REASONING = "gen_ai.usage.reasoning.output_tokens"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 4,
                "prompt_tokens_details": {"cached_tokens": 8},
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            {INPUT: 9, OUTPUT: 4, READ: 8, REASONING: 3},
        ),
        (
            {"input_tokens": 9, "output_tokens": 4, "input_tokens_details": {"cached_tokens": 8}},
            {INPUT: 9, OUTPUT: 4, READ: 8},
        ),
        (
            {"input_tokens": 1, "output_tokens": 4, "cache_read_input_tokens": 8, "cache_creation_input_tokens": 2},
            {INPUT: 11, OUTPUT: 4, READ: 8, WRITE: 2},
        ),
        ({"inputTokens": 1, "outputTokens": 4, "cacheReadInputTokens": 8}, {INPUT: 9, OUTPUT: 4, READ: 8}),
        (
            {"promptTokenCount": 9, "candidatesTokenCount": 4, "thoughtsTokenCount": 3, "cachedContentTokenCount": 8},
            {INPUT: 9, OUTPUT: 7, READ: 8, REASONING: 3},
        ),
        ({"input": 1, "output": 4, "input_cached_tokens": 8}, {INPUT: 9, OUTPUT: 4, READ: 8}),
        ({}, {}),
        ({"prompt_tokens": "many"}, {}),
        ("no object", {}),
    ],
)
def test_usage_of_each_provider(given: object, expected: dict[str, int]) -> None:
    """Cache parts are included in the input, reasoning in the output, whoever counted."""
    assert dict(usage(given)) == expected
