"""What policies want to know of spans, asked once per request and kept per trace.

So nothing is decoded when a trace is decided: what matters of its spans is a few bits and sums by then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import compress
from typing import Any, Protocol

from untrace_pipeline.data import Batch, Field, Level, Value
from untrace_plugins.sampling.trace import Trace

__all__ = ["Answers", "Columns", "Fold", "Question", "Survey", "rows_where"]

Columns = Mapping[Field, list[Value]]
"""One value per span, for every field that the questions name."""


class Question(Protocol):
    """Yes or no to each span; a trace says yes when one of its spans does. Hashable: equal ones are asked once."""

    @property
    def fields(self) -> tuple[Field, ...]:
        """The columns that it reads, all of items."""

    def rows(self, batch: Batch, columns: Columns) -> Sequence[int]:
        """Return the rows of the spans that say yes."""


class Fold(Protocol):
    """A running value over the spans of a trace, in order of arrival. Hashable: equal ones are made once."""

    @property
    def fields(self) -> tuple[Field, ...]:
        """The columns that it reads, all of items."""

    @property
    def initial(self) -> Any:
        """What it begins with; immutable."""

    def prepare(self, batch: Batch, columns: Columns) -> Any:
        """Return what :meth:`add` wants of a request."""

    def add(self, state: Any, prepared: Any, rows: Sequence[int]) -> Any:
        """Return the state after some spans of the request."""


class Answers:
    """The answers of one request."""

    __slots__ = ("_folds", "_hits")

    def __init__(self, hits: list[int] | None, folds: Sequence[tuple[Fold, Any]]) -> None:
        """``hits`` are the bits of each row, if there are any; each fold comes with what it has prepared."""
        self._hits = hits
        self._folds = folds

    def tell(self, trace: Trace, rows: Sequence[int]) -> None:
        """Let a trace know what some spans say."""
        if self._hits is not None:
            for row in rows:
                trace.hits |= self._hits[row]
        states = trace.states
        for place, (fold, prepared) in enumerate(self._folds):
            states[place] = fold.add(states[place], prepared, rows)


class Survey:
    """Questions and folds, each with its place in what a trace knows."""

    def __init__(self) -> None:
        self._questions: dict[Question, int] = {}
        self._folds: dict[Fold, int] = {}
        self._bits = 0
        self._initial: list[Any] = []

    def question(self, question: Question) -> int:
        """Return the bit of a question in ``Trace.hits``."""
        bit = self._questions.get(question)
        if bit is None:
            bit = self._questions[question] = self.bit()
        return bit

    def bit(self) -> int:
        """Return a bit that whoever decides sets himself."""
        self._bits += 1
        return 1 << (self._bits - 1)

    def fold(self, fold: Fold) -> int:
        """Return the place of a fold in ``Trace.states``."""
        place = self._folds.get(fold)
        if place is None:
            place = self._folds[fold] = len(self._folds)
            self._initial.append(fold.initial)
        return place

    def begin(self) -> list[Any]:
        """Return the states of a trace without spans."""
        return self._initial.copy()

    def ask(self, batch: Batch) -> Answers:
        """Read the columns of a request and answer for each span."""
        fields = self._fields()
        columns = dict(zip(fields, batch.columns(fields, Level.ITEM), strict=True)) if fields else {}
        said = [(question.rows(batch, columns), bit) for question, bit in self._questions.items()]
        hits = _hits(said, batch.item_count) if any(rows for rows, _ in said) else None
        return Answers(hits, [(fold, fold.prepare(batch, columns)) for fold in self._folds])

    def _fields(self) -> list[Field]:
        asking: list[Question | Fold] = [*self._questions, *self._folds]
        return list(dict.fromkeys(field for one in asking for field in one.fields))


def _hits(said: Sequence[tuple[Sequence[int], int]], count: int) -> list[int]:
    """Return the bits of each row."""
    hits = [0] * count
    for rows, bit in said:
        for row in rows:
            hits[row] |= bit
    return hits


def rows_where(mask: Sequence[object]) -> list[int]:
    """Return the rows at which something true stands."""
    return list(compress(range(len(mask)), mask))
