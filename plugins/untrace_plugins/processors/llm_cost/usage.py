"""Tokens that a span says it used, checked: they come from strangers."""

from __future__ import annotations

import enum
from typing import Final

from untrace_pipeline.data import Value
from untrace_plugins.genai.limits import MOST_TOKENS
from untrace_plugins.genai.pricing import Usage

__all__ = ["Status", "read_usage"]


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


_NOTHING: Final = (None,) * 5


def read_usage(counts: tuple[Value, ...]) -> Usage | Status:
    """Return input, output, cache read, cache creation and reasoning tokens, or what is wrong with them."""
    try:
        sent, answered, read, written, thought = [
            value if value.__class__ is int else 0 if value is None else _whole(value) for value in counts
        ]
    except ValueError:
        return Status.INVALID_USAGE
    if not sent and not answered and counts == _NOTHING:
        return Status.NO_USAGE
    # Parts within their sum, nothing below zero: with that, no part is greater than the greatest sum either.
    if read >= 0 and written >= 0 and read + written <= sent <= MOST_TOKENS and 0 <= thought <= answered <= MOST_TOKENS:
        return Usage(sent, answered, read, written, thought)
    return Status.INVALID_USAGE


def _whole(value: Value) -> int:
    """Return a whole float as a count: some libraries send those. Raises ``ValueError`` for anything else."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise ValueError
