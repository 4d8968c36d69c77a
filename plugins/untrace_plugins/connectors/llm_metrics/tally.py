"""The series of calls that have all dimensions in common, found once per flush."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from untrace_plugins.connectors.llm_metrics.calls import Calls
from untrace_plugins.connectors.llm_metrics.catalog import Source
from untrace_plugins.metrics.series import Exemplar, Moment, Series

__all__ = ["Find", "Tally"]

Find: TypeAlias = Callable[[Moment], tuple[Series, bool]]
"""Returns a series, made if need be, and whether it is not that of the overflow."""


class Tally:
    """Adds calls to their series; a series is made when there is something for it: unknown is absent, never 0."""

    def __init__(self, finds: Mapping[Source, Sequence[Find]], exemplars: int) -> None:
        self._finds = finds
        self._exemplars = exemplars
        self._found: dict[Source, list[tuple[Series, bool]]] = {}

    def add(self, calls: Calls, places: Sequence[int], now: Moment) -> bool:
        """Add calls; return whether all that they say went into series of their own."""
        own = True
        for source, finds in self._finds.items():
            counted, values = calls.told(source, places)
            if not values:
                continue
            found = self._found.get(source)
            if found is None:
                found = self._found[source] = [find(now) for find in finds]
            weights = calls.weights and [calls.weights[place] for place in counted]
            for series, mine in found:
                series.add(values, weights)
                series.seen = now.seconds
                own = own and mine
                if mine and len(series.exemplars) < self._exemplars:
                    self._exemplify(series.exemplars, calls, counted, values)
        return own

    def _exemplify(
        self, exemplars: list[Exemplar], calls: Calls, places: Sequence[int], values: Sequence[float]
    ) -> None:
        for place, value in zip(places, values, strict=True):
            trace_id, span_id = calls.trace_ids[place], calls.span_ids[place]
            if trace_id and isinstance(trace_id, bytes) and isinstance(span_id, bytes):
                exemplars.append(Exemplar(trace_id, span_id, float(value)))
                if len(exemplars) >= self._exemplars:
                    return
