"""Conditions of the common language as questions and folds of a survey."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

from untrace_pipeline.conditions import Condition, Conditions, ConditionSource, compile_condition
from untrace_pipeline.data import Batch, Field, Level, Signal
from untrace_plugins.sampling.survey import Columns, rows_where

__all__ = ["FAILED", "UNKNOWN", "YES", "ConditionQuestion", "FirstAnswer", "Troubles"]

UNKNOWN, YES, FAILED = range(3)
"""What :class:`FirstAnswer` has of a trace: nothing yet, a span that says yes, or one without an answer."""

LOG_EVERY = 10.0
"""Seconds between two messages about conditions without an answer."""


class Troubles:
    """Says now and then that a condition had no answer."""

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = monotonic) -> None:
        self._logger = logger
        self._clock = clock
        self._next = float("-inf")

    def report(self, trouble: str) -> None:
        """Log it, unless something like it was logged lately."""
        if (now := self._clock()) >= self._next:
            self._next = now + LOG_EVERY
            self._logger.warning("a condition has no answer and is passed over: %s", trouble)


class ConditionQuestion:
    """Whether any of some conditions holds for a span, or for one of its events; without an answer it does not."""

    fields: tuple[Field, ...] = ()

    def __init__(
        self, spans: Sequence[ConditionSource], events: Sequence[ConditionSource] = (), troubles: Troubles | None = None
    ) -> None:
        """``troubles`` is told of conditions that have no answer."""
        self._levels = [_compiled(spans, Level.ITEM), _compiled(events, Level.EVENT)]
        self._troubles = troubles

    def rows(self, batch: Batch, columns: Columns) -> Sequence[int]:
        """Return the rows of the spans for which one holds."""
        found: set[int] = set()
        for conditions in self._levels:
            if conditions is None:
                continue
            mask, trouble = conditions.any(batch)
            if trouble is not None and self._troubles is not None:
                self._troubles.report(trouble)
            rows = rows_where(mask)
            if rows and conditions.level is Level.EVENT:
                owners = batch.parents(Level.EVENT, Level.ITEM)
                rows = [owners[row] for row in rows]
            found.update(rows)
        return list(found)


def _compiled(sources: Sequence[ConditionSource], level: Level) -> Conditions | None:
    conditions = [compile_condition(source, Signal.TRACES, level) for source in sources]
    return Conditions(conditions, level) if conditions else None


@dataclass(eq=False)
class FirstAnswer:
    """The first span of a trace for which a condition holds or has no answer: the one that came first decides."""

    spans: Sequence[Condition]
    events: Sequence[Condition]
    initial = UNKNOWN
    fields = ()

    def prepare(self, batch: Batch, columns: Columns) -> list[int]:
        """Return what each span says: its own conditions first, then those of its events in order."""
        outcome = _first(self.spans, batch, batch.item_count)
        if self.events:
            owners = batch.parents(Level.EVENT, Level.ITEM)
            for owner, said in zip(owners, _first(self.events, batch, len(owners)), strict=True):
                outcome[owner] = outcome[owner] or said
        return outcome

    def add(self, state: int, prepared: list[int], rows: Sequence[int]) -> int:
        """Keep the first that says something."""
        return state or next((prepared[row] for row in rows if prepared[row]), UNKNOWN)


def _first(conditions: Sequence[Condition], batch: Batch, rows: int) -> list[int]:
    """Return what the first condition with something to say makes of each row."""
    outcome = [UNKNOWN] * rows
    for condition in conditions:
        for row, answer in enumerate(condition.answers(batch)):
            if not outcome[row] and answer is not False:
                outcome[row] = YES if answer is True else FAILED
    return outcome
