"""Costs in US dollars under the names that destinations read.

Inside, ``untrace.cost.input`` includes what cached tokens cost, and ``untrace.cost.output`` what reasoning did, as
tokens do; ``gen_ai.usage.cost`` is the total.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from untrace_plugins.genai import names
from untrace_plugins.genai.emit.content import to_json
from untrace_plugins.genai.emit.span import Changes, Span

__all__ = ["Cost", "CostForm", "cost_attributes", "cost_of"]


class CostForm(enum.StrEnum):
    """Families of cost attributes."""

    GENAI = "genai"
    UNTRACE = "untrace"
    OPENINFERENCE = "openinference"
    LANGFUSE = "langfuse"
    LANGWATCH = "langwatch"
    POSTHOG = "posthog"


@dataclass(frozen=True, slots=True)
class Cost:
    """What one call cost, in US dollars; parts are ``None`` where only the total is known, or where there are none."""

    total: float
    input: float | None = None
    """With cached tokens, read and written."""
    output: float | None = None
    """With reasoning."""
    cache_read: float | None = None
    cache_write: float | None = None
    reasoning: float | None = None


def cost_of(span: Span) -> Cost | None:
    """Return the cost that a span carries, ``None`` where it is unknown."""
    total = span.number(names.USAGE_COST)
    if total is None:
        total = span.number(names.COST_TOTAL)
    return None if total is None else Cost(total, *(span.number(name) for name in _PARTS))


def cost_attributes(cost: Cost, form: CostForm) -> Changes:
    """Return the attributes of one family; parts that are not known are absent."""
    return _known(_FAMILIES[form](cost))


_PARTS: Final = (
    names.COST_INPUT,
    names.COST_OUTPUT,
    names.COST_CACHE_READ,
    names.COST_CACHE_WRITE,
    names.COST_REASONING,
)


def _known(values: Mapping[str, float | str | None]) -> Changes:
    return {name: value for name, value in values.items() if value is not None}


def _fresh(cost: Cost) -> float | None:
    """Return what input tokens cost that were in no cache."""
    return None if cost.input is None else max(0.0, cost.input - (cost.cache_read or 0) - (cost.cache_write or 0))


def _spoken(cost: Cost) -> float | None:
    """Return what output tokens cost without reasoning."""
    return None if cost.output is None else max(0.0, cost.output - (cost.reasoning or 0))


def _genai(cost: Cost) -> dict[str, float | str | None]:
    return {names.USAGE_COST: cost.total}


def _untrace(cost: Cost) -> dict[str, float | str | None]:
    parts = (cost.input, cost.output, cost.cache_read, cost.cache_write, cost.reasoning)
    return {**dict(zip(_PARTS, parts, strict=True)), names.COST_TOTAL: cost.total}


def _openinference(cost: Cost) -> dict[str, float | str | None]:
    return {
        "llm.cost.total": cost.total,
        "llm.cost.prompt": cost.input,
        "llm.cost.completion": cost.output,
        "llm.cost.prompt_details.input": _fresh(cost),
        "llm.cost.prompt_details.cache_read": cost.cache_read,
        "llm.cost.prompt_details.cache_write": cost.cache_write,
        "llm.cost.completion_details.output": _spoken(cost),
        "llm.cost.completion_details.reasoning": cost.reasoning,
    }


def _langfuse(cost: Cost) -> dict[str, float | str | None]:
    details = {
        "input": _fresh(cost),
        "input_cache_read": cost.cache_read,
        "input_cache_creation": cost.cache_write,
        "output": _spoken(cost),
        "output_reasoning": cost.reasoning,
        "total": cost.total,
    }
    return {"langfuse.observation.cost_details": to_json(_known(details))}


def _langwatch(cost: Cost) -> dict[str, float | str | None]:
    return {"langwatch.span.cost": cost.total}


def _posthog(cost: Cost) -> dict[str, float | str | None]:
    return {
        "$ai_total_cost_usd": cost.total,
        "$ai_input_cost_usd": cost.input,
        "$ai_output_cost_usd": cost.output,
    }


_FAMILIES: Final[Mapping[CostForm, Callable[[Cost], dict[str, float | str | None]]]] = {
    CostForm.GENAI: _genai,
    CostForm.UNTRACE: _untrace,
    CostForm.OPENINFERENCE: _openinference,
    CostForm.LANGFUSE: _langfuse,
    CostForm.LANGWATCH: _langwatch,
    CostForm.POSTHOG: _posthog,
}
