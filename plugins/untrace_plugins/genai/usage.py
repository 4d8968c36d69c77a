"""Token usage as providers and frameworks report it, as the convention counts it.

Canonical: cache parts are included in the input, reasoning in the output. Anthropic and Bedrock report the input
without them, which shows in the names of their keys: those are added.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from untrace_plugins.genai.names import (
    USAGE_CACHE_CREATION,
    USAGE_CACHE_READ,
    USAGE_INPUT,
    USAGE_OUTPUT,
    USAGE_REASONING,
)
from untrace_plugins.genai.values import integer

__all__ = ["usage"]

_INPUT = ("input_tokens", "prompt_tokens", "inputTokens", "promptTokens", "promptTokenCount", "prompt", "input")
_OUTPUT = ("output_tokens", "completion_tokens", "outputTokens", "completionTokens", "completion", "output")
_READ = (
    "prompt_cache_hit_tokens",
    "cache_read_input_tokens",
    "cached_input_tokens",
    "cachedInputTokens",
    "cacheReadInputTokens",
    "cachedContentTokenCount",
    "cache_read_tokens",
    "input_cached_tokens",
    "input_cache_read",
    "cached_tokens",
)
_CREATION = (
    "cache_creation_input_tokens",
    "cacheWriteInputTokens",
    "cacheCreationInputTokens",
    "cache_write_input_tokens",
    "cache_write_tokens",
    "input_cache_creation",
)
_REASONING = (
    "reasoning_tokens",
    "reasoningTokens",
    "thoughtsTokenCount",
    "output_reasoning_tokens",
    "output_reasoning",
)
_INPUT_DETAILS = ("prompt_tokens_details", "input_tokens_details", "input_token_details", "inputTokenDetails")
_OUTPUT_DETAILS = ("completion_tokens_details", "output_tokens_details", "output_token_details", "outputTokenDetails")
_EXCLUSIVE = frozenset({"input_tokens", "inputTokens", "input"})
"""Input keys of those who leave cache parts out, if they stand beside it and not in details of the input."""


def usage(given: object, *, exclusive: bool | None = None) -> Iterator[tuple[str, int]]:
    """Yield canonical attributes and counts of a usage object.

    ``exclusive`` says whether the input was reported without its cache parts; by default the names of the keys do.
    """
    if not isinstance(given, Mapping):
        return
    inner, outer = _details(given, _INPUT_DETAILS), _details(given, _OUTPUT_DETAILS)
    beside = {
        key: _count(given, names) for key, names in ((USAGE_CACHE_READ, _READ), (USAGE_CACHE_CREATION, _CREATION))
    }
    within = {
        USAGE_CACHE_READ: _count(inner, ("cached_tokens", "cache_read", "cacheReadTokens", "cache_read_tokens")),
        USAGE_CACHE_CREATION: _count(
            inner, ("cache_write_tokens", "cache_creation", "cache_creation_tokens", "cacheWriteTokens")
        ),
    }
    key = next((name for name in _INPUT if integer(given.get(name)) is not None), "")
    total = integer(given.get(key)) if key else None
    parts = sum(count for count in beside.values() if count is not None)
    if exclusive is None:
        exclusive = key in _EXCLUSIVE and not inner
    if total is not None:
        if exclusive or parts > total:
            total += parts
        yield USAGE_INPUT, total
    reasoning = _count(given, _REASONING)
    if reasoning is None:
        reasoning = _count(outer, ("reasoning_tokens", "reasoning", "reasoningTokens", "thinking_tokens"))
    if (output := _output(given, reasoning)) is not None:
        yield USAGE_OUTPUT, output
    for name, count in beside.items():
        if (found := count if count is not None else within[name]) is not None:
            yield name, found
    if reasoning is not None:
        yield USAGE_REASONING, reasoning


def _output(given: Mapping[str, Any], reasoning: int | None) -> int | None:
    """Return the output with reasoning: Gemini counts thoughts beside the candidates."""
    gemini = integer(given.get("candidatesTokenCount"))
    return _count(given, _OUTPUT) if gemini is None else gemini + (reasoning or 0)


def _details(given: Mapping[str, Any], names: tuple[str, ...]) -> Mapping[str, Any]:
    return next((given[name] for name in names if isinstance(given.get(name), Mapping)), {})


def _count(given: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    for name in names:
        value = given.get(name)
        if value is not None and (count := integer(value)) is not None:
            return count
    return None
