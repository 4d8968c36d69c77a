"""What a trace has used so far: money, tokens, time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

from untrace_pipeline.data import Batch, Field, Level, Value, attribute
from untrace_plugins.genai.limits import MOST_TOKENS, MOST_USD
from untrace_plugins.genai.names import DUPLICATE, USAGE_COST, USAGE_INPUT, USAGE_OUTPUT
from untrace_plugins.sampling.survey import Columns

__all__ = ["Usage", "UsageFold"]

_START, _END = Field(Level.ITEM, "start_time_unix_nano"), Field(Level.ITEM, "end_time_unix_nano")
_COST, _DUPLICATE = attribute(USAGE_COST), attribute(DUPLICATE)
_INPUT, _OUTPUT = attribute(USAGE_INPUT), attribute(USAGE_OUTPUT)


class Usage(NamedTuple):
    """Sums over spans; those that another span counts for (``untrace.usage.duplicate``) are left out."""

    cost: float = 0.0
    """USD."""
    tokens: int = 0
    first: int = 0
    """Earliest start, nanoseconds since the Unix epoch; 0 if none is known."""
    last: int = 0
    """Latest end."""

    @property
    def seconds(self) -> float:
        """From the earliest start to the latest end."""
        return max(self.last - self.first, 0) / 1e9 if self.first else 0.0


class UsageFold:
    """Adds up what spans used. Values that cannot be are left out and counted: negative, not finite, no numbers."""

    fields = (_COST, _INPUT, _OUTPUT, _DUPLICATE, _START, _END)
    initial = Usage()

    def __init__(self, invalid: Callable[[int], None]) -> None:
        """``invalid`` is told how many values of a request were left out."""
        self._invalid = invalid

    def prepare(self, batch: Batch, columns: Columns) -> list[Usage]:
        """Return what each span used."""
        costs = _valid(columns[_COST], _is_cost)
        inputs, outputs = (_valid(columns[field], _is_count) for field in (_INPUT, _OUTPUT))
        bad = sum(valid.count(None) for valid in (costs, inputs, outputs))
        if bad:
            self._invalid(bad)
        starts, ends = cast("list[int]", columns[_START]), cast("list[int]", columns[_END])
        rows = zip(costs, inputs, outputs, columns[_DUPLICATE], starts, ends, strict=True)
        return [
            Usage(0.0, 0, start, end)
            if twice is True
            else Usage(cost or 0.0, int((got or 0) + (gave or 0)), start, end)
            for cost, got, gave, twice, start, end in rows
        ]

    def add(self, state: Usage, prepared: Sequence[Usage], rows: Sequence[int]) -> Usage:
        """Go on with some spans."""
        cost, tokens, first, last = state
        for row in rows:
            span = prepared[row]
            cost += span.cost
            tokens += span.tokens
            if span.first and (not first or span.first < first):
                first = span.first
            last = max(last, span.last)
        return Usage(cost, tokens, first, last)


def _valid(values: Sequence[Value], test: Callable[[Value], bool]) -> list[float | None]:
    """Return the values, 0 where there is none, and ``None`` for one that cannot be."""
    return [0 if value is None else cast("float", value) if test(value) else None for value in values]


def _is_cost(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MOST_USD


def _is_count(value: Value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS
