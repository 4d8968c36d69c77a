"""Token usage as providers and frameworks report it, as the convention counts it.

Canonical: cache parts are included in the input, reasoning in the output. Anthropic and Bedrock report the input
without them, which shows in the names of their keys: those are added.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

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
_READ_WITHIN = ("cached_tokens", "cache_read", "cacheReadTokens", "cache_read_tokens")
_CREATION_WITHIN = ("cache_write_tokens", "cache_creation", "cache_creation_tokens", "cacheWriteTokens")
_REASONING_WITHIN = ("reasoning_tokens", "reasoning", "reasoningTokens", "thinking_tokens")
_GEMINI_OUTPUT = ("candidatesTokenCount",)
_NO_DETAILS: Mapping[str, Any] = {}
_EXCLUSIVE = frozenset({"input_tokens", "inputTokens", "input"})
"""Input keys of those who leave cache parts out, if they stand beside it and not in details of the input."""


class _Keys(NamedTuple):
    """Which keys of a usage object say what, in the order in which they are asked."""

    input: tuple[str, ...]
    output: tuple[str, ...]
    read: tuple[str, ...]
    creation: tuple[str, ...]
    reasoning: tuple[str, ...]
    gemini_output: tuple[str, ...]
    input_details: tuple[str, ...]
    output_details: tuple[str, ...]
    read_within: tuple[str, ...]
    """This and what follows are of details."""
    creation_within: tuple[str, ...]
    reasoning_within: tuple[str, ...]


@lru_cache(maxsize=256)
def _keys(known: tuple[str, ...]) -> _Keys:
    """Sort the keys of an object; there are few sets of them, and everybody repeats his."""
    groups = (
        *(_INPUT, _OUTPUT, _READ, _CREATION, _REASONING, _GEMINI_OUTPUT, _INPUT_DETAILS, _OUTPUT_DETAILS),
        *(_READ_WITHIN, _CREATION_WITHIN, _REASONING_WITHIN),
    )
    return _Keys(*[tuple(name for name in group if name in known) for group in groups])


def usage(given: object, *, exclusive: bool | None = None) -> Iterator[tuple[str, int]]:
    """Yield canonical attributes and counts of a usage object.

    ``exclusive`` says whether the input was reported without its cache parts; by default the names of the keys do.
    """
    if not isinstance(given, Mapping):
        return
    keys = _keys(tuple(given))
    inner, outer = _details(given, keys.input_details), _details(given, keys.output_details)
    read, written = _count(given, keys.read), _count(given, keys.creation)
    for key in keys.input:
        if (total := integer(given[key])) is not None:
            parts = (read or 0) + (written or 0)
            if parts and (parts > total or (key in _EXCLUSIVE and not inner if exclusive is None else exclusive)):
                total += parts
            yield USAGE_INPUT, total
            break
    reasoning = _count(given, keys.reasoning)
    if reasoning is None:
        reasoning = _count(outer, _keys(tuple(outer)).reasoning_within)
    if (output := _output(given, keys, reasoning)) is not None:
        yield USAGE_OUTPUT, output
    within = _keys(tuple(inner))
    if read is not None or (read := _count(inner, within.read_within)) is not None:
        yield USAGE_CACHE_READ, read
    if written is not None or (written := _count(inner, within.creation_within)) is not None:
        yield USAGE_CACHE_CREATION, written
    if reasoning is not None:
        yield USAGE_REASONING, reasoning


def _output(given: Mapping[str, Any], keys: _Keys, reasoning: int | None) -> int | None:
    """Return the output with reasoning: Gemini counts thoughts beside the candidates."""
    gemini = _count(given, keys.gemini_output)
    return _count(given, keys.output) if gemini is None else gemini + (reasoning or 0)


def _details(given: Mapping[str, Any], names: tuple[str, ...]) -> Mapping[str, Any]:
    for name in names:
        details = given[name]
        if details.__class__ is dict or isinstance(details, Mapping):
            found: Mapping[str, Any] = details
            return found
    return _NO_DETAILS


def _count(given: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    for name in names:
        if (count := integer(given[name])) is not None:
            return count
    return None
