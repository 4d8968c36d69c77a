"""Tokens that a span says it used, checked: they come from strangers."""

from __future__ import annotations

import enum
from typing import Final

from untrace_pipeline.data import Value
from untrace_plugins.genai.pricing import Usage

__all__ = ["Status", "read_usage"]

_MOST: Final = 10**10
"""More tokens than any call can have; what says more is broken."""


class Status(enum.StrEnum):
    """What became of the cost of a call; ``untrace.cost.status``."""

    OK = "ok"
    """From prices and usage."""
    REPORTED = "reported"
    """As the instrumentation said."""
    DUPLICATE = "duplicate"
    """Another span counts for the call."""
    NO_USAGE = "no_usage"
    """The span has no tokens: a stream without usage, an error."""
    INVALID_USAGE = "invalid_usage"
    """The tokens are no counts, or contradict each other."""
    NO_MODEL = "no_model"
    """The span names no model."""
    UNKNOWN_MODEL = "unknown_model"
    """There is no price for the model at that provider at that time."""


def read_usage(counts: tuple[Value, ...]) -> Usage | Status:
    """Return input, output, cache read, cache creation and reasoning tokens, or what is wrong with them."""
    tokens = [_count(value) for value in counts]
    if tokens[0] is None and tokens[1] is None and not any(tokens):
        return Status.NO_USAGE if all(value is None for value in counts) else Status.INVALID_USAGE
    if any(count is None and value is not None for count, value in zip(tokens, counts, strict=True)):
        return Status.INVALID_USAGE
    usage = Usage(*[count or 0 for count in tokens])
    if usage.cache_read + usage.cache_write > usage.input or usage.reasoning > usage.output:
        return Status.INVALID_USAGE
    return usage


def _count(value: Value) -> int | None:
    """Return a count of tokens, ``None`` for anything that is none; some libraries send whole floats."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST else None
