"""Costs in US dollars under the names that destinations read.

Inside, ``untrace.cost.input`` includes what cached tokens cost, and ``untrace.cost.output`` what reasoning did, as
tokens do; ``gen_ai.usage.cost`` is the total.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Final, NamedTuple, TypeAlias

from untrace_pipeline.data import Value
from untrace_plugins.genai import names
from untrace_plugins.genai.emit.content import to_json
from untrace_plugins.genai.emit.span import Changes, Span

__all__ = ["COSTS", "Cost", "CostForm", "cost_attributes", "cost_columns", "cost_of"]


class CostForm(enum.StrEnum):
    """Families of cost attributes."""

    GENAI = "genai"
    UNTRACE = "untrace"
    OPENINFERENCE = "openinference"
    LANGFUSE = "langfuse"
    LANGWATCH = "langwatch"
    POSTHOG = "posthog"


class Cost(NamedTuple):
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
    found = {name: of(cost) for name, of in _FAMILIES[form].items()}
    return {name: value for name, value in found.items() if value is not None}


def cost_columns(costs: Sequence[Cost], form: CostForm) -> dict[str, list[Value]]:
    """Return the attributes of one family for many calls, ``None`` where a part is not known."""
    return {name: [of(cost) for cost in costs] for name, of in _FAMILIES[form].items()}


def _fresh(cost: Cost) -> float | None:
    """Return what input tokens cost that were in no cache."""
    return None if cost.input is None else max(0.0, cost.input - (cost.cache_read or 0) - (cost.cache_write or 0))


def _spoken(cost: Cost) -> float | None:
    """Return what output tokens cost without reasoning."""
    return None if cost.output is None else max(0.0, cost.output - (cost.reasoning or 0))


def _langfuse(cost: Cost) -> str:
    details = {
        "input": _fresh(cost),
        "input_cache_read": cost.cache_read,
        "input_cache_creation": cost.cache_write,
        "output": _spoken(cost),
        "output_reasoning": cost.reasoning,
        "total": cost.total,
    }
    return to_json({name: value for name, value in details.items() if value is not None})


_Reader: TypeAlias = Callable[[Cost], Value]
_total: Final[_Reader] = attrgetter("total")
_input: Final[_Reader] = attrgetter("input")
_output: Final[_Reader] = attrgetter("output")
_cache_read: Final[_Reader] = attrgetter("cache_read")
_cache_write: Final[_Reader] = attrgetter("cache_write")
_reasoning: Final[_Reader] = attrgetter("reasoning")

_PARTS: Final = {
    names.COST_INPUT: _input,
    names.COST_OUTPUT: _output,
    names.COST_CACHE_READ: _cache_read,
    names.COST_CACHE_WRITE: _cache_write,
    names.COST_REASONING: _reasoning,
}
COSTS: Final = (names.USAGE_COST, names.COST_TOTAL, *_PARTS)
"""The canonical attributes."""

_FAMILIES: Final[Mapping[CostForm, Mapping[str, _Reader]]] = {
    CostForm.GENAI: {names.USAGE_COST: _total},
    CostForm.UNTRACE: {names.COST_TOTAL: _total, **_PARTS},
    CostForm.OPENINFERENCE: {
        "llm.cost.total": _total,
        "llm.cost.prompt": _input,
        "llm.cost.completion": _output,
        "llm.cost.prompt_details.input": _fresh,
        "llm.cost.prompt_details.cache_read": _cache_read,
        "llm.cost.prompt_details.cache_write": _cache_write,
        "llm.cost.completion_details.output": _spoken,
        "llm.cost.completion_details.reasoning": _reasoning,
    },
    CostForm.LANGFUSE: {"langfuse.observation.cost_details": _langfuse},
    CostForm.LANGWATCH: {"langwatch.span.cost": _total},
    CostForm.POSTHOG: {
        "$ai_total_cost_usd": _total,
        "$ai_input_cost_usd": _input,
        "$ai_output_cost_usd": _output,
    },
}
