"""Costs that instrumentations report, in all the places where they do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from untrace_pipeline.data import Batch, Level, Value, attribute
from untrace_plugins.genai import names
from untrace_plugins.genai.emit.cost import Cost
from untrace_plugins.genai.limits import MOST_USD
from untrace_plugins.genai.values import load

__all__ = ["reported_costs"]

_LANGFUSE: Final = "langfuse.observation.cost_details"
_PLACES: Final = (
    (names.USAGE_COST, names.COST_INPUT, names.COST_OUTPUT),
    ("operation.cost", "", ""),
    ("gen_ai.cost.total_cost", "gen_ai.cost.input_cost", "gen_ai.cost.output_cost"),
    ("llm.cost.total", "llm.cost.prompt", "llm.cost.completion"),
    ("langwatch.span.cost", "", ""),
)
"""Attributes of total, input and output cost; the first place that has a total is taken."""
_KEYS: Final = [name for place in _PLACES for name in place if name]
_FIELDS: Final = [attribute(name) for name in [*_KEYS, _LANGFUSE]]


def reported_costs(batch: Batch, rows: Sequence[int]) -> list[Cost | None]:
    """Return for each of the rows the cost that its instrumentation has reported."""
    columns = dict(zip([*_KEYS, _LANGFUSE], batch.columns(_FIELDS, Level.ITEM, rows), strict=True))
    absent: list[Value] = [None] * len(rows)
    costs: list[Cost | None] = [None] * len(rows)
    for place in _PLACES:
        if columns[place[0]] != absent:
            _take(costs, [columns.get(name, absent) for name in place])
    if columns[_LANGFUSE] != absent:
        details = [_details(value) for value in columns[_LANGFUSE]]
        _take(costs, [[one.get(key) for one in details] for key in _DETAILS])
    return costs


def _take(costs: list[Cost | None], columns: Sequence[Sequence[Value]]) -> None:
    """Fill in what columns of total, input and output say about rows that have no cost yet."""
    for row, values in enumerate(zip(*columns, strict=True)):
        if costs[row] is None:
            costs[row] = _cost(values)


_DETAILS: Final = ("total", "input", "output")


def _details(value: Value) -> dict[str, Any]:
    found = load(value) if isinstance(value, str) else None
    return found if isinstance(found, dict) else {}


def _cost(values: Sequence[Value]) -> Cost | None:
    """Return a cost, ``None`` without a sensible total: 0 is what libraries report for models they do not know."""
    total, sent, answered = map(_amount, values)
    return Cost(total, sent, answered) if total else None


def _amount(value: Value) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and 0 <= value <= MOST_USD else None
