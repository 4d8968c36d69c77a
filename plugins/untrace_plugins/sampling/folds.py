"""Running values of a trace: its times, its randomness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from untrace_pipeline.data import Batch, Field, Level, Value
from untrace_plugins.sampling.survey import Columns
from untrace_plugins.sampling.tracestate import parse_trace_state

__all__ = ["LatencyWithin", "Marked", "Randomness"]

_START, _END = Field(Level.ITEM, "start_time_unix_nano"), Field(Level.ITEM, "end_time_unix_nano")
_TRACE_STATE = Field(Level.ITEM, "trace_state")
_SIGN = 1 << 63
_MILLISECOND = 1_000_000

Times: TypeAlias = "tuple[int, int] | None"


@dataclass(frozen=True)
class LatencyWithin:
    """Whether a trace has been as long as that at any moment, from its earliest start to its latest end.

    The state is those two, or ``None`` once it was. Times are nanoseconds of 64 bits; a start or end of 0 is replaced
    by the next one, and what is beyond 2**63 is negative: the Collector's arithmetic.
    """

    above_ms: int
    """Whole milliseconds must be more than this."""
    at_most_ms: int
    """And at most this; 0 = no bound."""
    initial: Times = (0, 0)
    fields = (_START, _END)

    @cached_property
    def _bounds(self) -> tuple[int, int]:
        """Nanoseconds that are long enough, and those that are not any more."""
        greatest = (self.at_most_ms + 1) * _MILLISECOND if self.at_most_ms else _SIGN
        return (self.above_ms + 1) * _MILLISECOND, greatest

    def prepare(self, batch: Batch, columns: Columns) -> tuple[list[Value], list[Value]]:
        """Return starts and ends."""
        return columns[_START], columns[_END]

    def add(self, state: Times, prepared: tuple[list[int], list[int]], rows: Sequence[int]) -> Times:
        """Go on with some spans."""
        if state is None:
            return None
        least, greatest = self._bounds
        starts, ends = prepared
        first, last = state
        for row in rows:
            start, end = starts[row], ends[row]
            if not first or start < first:
                first = start
            if not last or end > last:
                last = end
            if first < _SIGN > last:
                if least <= last - first < greatest:
                    return None
            elif least <= min(_signed(last) - _signed(first), _SIGN - 1) < greatest:
                return None
        return first, last


def _signed(value: int) -> int:
    return value if value < _SIGN else value - 2 * _SIGN


@dataclass(frozen=True, slots=True)
class Marked:
    """What tracestates of a trace say about consistent sampling."""

    sampled: bool = False
    """Whether any has a threshold or randomness."""
    randomness: int | None = None
    """The first explicit randomness."""


@dataclass(frozen=True)
class Randomness:
    """Explicit randomness of a trace, and whether it was sampled consistently before."""

    initial: Marked = Marked()
    fields = (_TRACE_STATE,)

    def prepare(self, batch: Batch, columns: Columns) -> list[Marked | None]:
        """Return what each tracestate says; ``None`` where that is nothing."""
        states = columns[_TRACE_STATE]
        said = {state: _read(state) for state in set(map(str, states))}
        return [said[str(state)] for state in states]

    def add(self, state: Marked, prepared: Sequence[Marked | None], rows: Sequence[int]) -> Marked:
        """Go on until there is explicit randomness."""
        for row in rows:
            said = prepared[row]
            if state.randomness is not None:
                break
            if said is not None:
                state = said if said.randomness is not None else Marked(sampled=True)
        return state


def _read(text: str) -> Marked | None:
    parsed, valid = parse_trace_state(text) if text else (None, False)
    if parsed is None or not valid or (parsed.randomness is None and parsed.threshold is None):
        return None
    return Marked(sampled=True, randomness=parsed.randomness)
