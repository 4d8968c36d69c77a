"""Writes onto spans that are kept how many they stand for, and who kept them."""

from __future__ import annotations

from collections.abc import Sequence

from untrace_pipeline.data import Batch, Field, Level, Value, attribute
from untrace_plugins.sampling.thresholds import ALWAYS, NEVER, probability_of
from untrace_plugins.sampling.trace import Verdict
from untrace_plugins.sampling.tracestate import parse_trace_state, threshold_in

__all__ = ["ADJUSTED_COUNT", "Marking"]

ADJUSTED_COUNT = attribute("sampling.adjusted_count")
"""How many spans one stands for: the reciprocal of the chance that its trace had, over all samplers on its way."""
_TRACE_STATE = Field(Level.ITEM, "trace_state")
_POLICY = attribute("tailsampling.policy", Level.SCOPE)
_CACHED = attribute("tailsampling.cached_decision", Level.SCOPE)


class Marking:
    """Which marks are written. Spans of traces that were kept for certain stay as they came."""

    def __init__(self, *, adjusted_count: bool, tracestate: bool, policy: bool) -> None:
        self._adjusted_count = adjusted_count
        self._tracestate = tracestate
        self._policy = policy

    def needs(self, verdict: Verdict) -> bool:
        """Return whether spans with that verdict are written to."""
        return (
            self._tracestate
            or (self._adjusted_count and verdict.threshold != ALWAYS)
            or (self._policy and bool(verdict.policy))
        )

    def mark(self, batch: Batch, verdict: Verdict, *, late: bool = False) -> None:
        """Write the marks of a verdict onto all spans of a batch."""
        states, counts = batch.columns([_TRACE_STATE, ADJUSTED_COUNT])
        if self._adjusted_count and verdict.threshold != ALWAYS:
            self._count(batch, verdict.threshold, [str(state) for state in states], counts)
        if self._tracestate:
            batch.set(_TRACE_STATE, _raised([str(state) for state in states], verdict.threshold))
        if self._policy and verdict.policy:
            rows = batch.row_count(Level.SCOPE)
            batch.set(_POLICY, [verdict.policy] * rows)
            if late:
                batch.set(_CACHED, [True] * rows)

    def _count(self, batch: Batch, threshold: int, states: Sequence[str], counts: Sequence[Value]) -> None:
        arrived = {state: _arrived(state) for state in dict.fromkeys(states)}
        consistent = self._tracestate
        batch.set(
            ADJUSTED_COUNT,
            [
                _adjusted(count, arrived[state], threshold, consistent=consistent)
                for count, state in zip(counts, states, strict=True)
            ],
        )


def _raised(states: Sequence[str], threshold: int) -> list[Value]:
    """Return tracestates with the threshold; those that hold a higher one, or are not valid, stay as they are."""
    written: dict[str, Value] = {}
    for state in dict.fromkeys(states):
        parsed, valid = parse_trace_state(state)
        if not valid or (parsed.threshold is not None and parsed.threshold > threshold):
            written[state] = state
            continue
        parsed.raise_threshold(threshold)
        written[state] = str(parsed)
    return [written[state] for state in states]


def _arrived(state: str) -> int:
    """Return the threshold with which a span arrived, as far as it is to be believed."""
    threshold = threshold_in(state)
    return ALWAYS if threshold is None or threshold >= NEVER else threshold


def _adjusted(count: Value, arrived: int, threshold: int, *, consistent: bool) -> float:
    """Return how many spans one stands for.

    Thresholds over the same randomness do not multiply: the higher one is the chance. Where the decision was made
    otherwise, and for a count that arrived without a threshold, chances multiply.
    """
    if isinstance(count, int | float) and not isinstance(count, bool) and count > 0 and arrived == ALWAYS:
        return count / probability_of(threshold)
    if consistent:
        return 1 / probability_of(max(arrived, threshold))
    return 1 / (probability_of(threshold) * probability_of(arrived))
