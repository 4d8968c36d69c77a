"""One edit: what an editor with its arguments does to the rows of a workspace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from untrace_pipeline.conditions.expression import Expression
from untrace_pipeline.data import Field, Value
from untrace_pipeline.errors import EvaluationError
from untrace_pipeline.statements.storable import storable
from untrace_pipeline.statements.targets import Target
from untrace_pipeline.statements.workspace import Workspace

__all__ = ["UNCHANGED", "Edit", "Trouble"]

UNCHANGED: Any = object()
"""What the function of an edit returns where nothing is to be written."""
_FAILURES = (ArithmeticError, LookupError, RecursionError, TypeError, ValueError)
_STORABLE = frozenset({bool, float, bytes})


@dataclass(slots=True)
class Trouble:
    """What went wrong in some rows: how many, and the first error; it names types, never values."""

    rows: int = 0
    first: str = ""

    def add(self, error: EvaluationError) -> None:
        """Note one more row."""
        self.rows += 1
        self.first = self.first or str(error)


@dataclass(frozen=True, slots=True)
class Edit:
    """Calls a function per row and writes what it returns; ``None`` removes, :data:`UNCHANGED` leaves alone.

    Attributes:
        target: where the result goes
        function: gets the current value of the target, if ``modifies``, and the arguments
        arguments: expressions over the same rows
        modifies: whether the function looks at what is there
        repeatable: whether doing it twice is the same as doing it once, given the same arguments

    """

    target: Target
    function: Callable[..., Any]
    arguments: tuple[Expression, ...] = ()
    modifies: bool = True
    repeatable: bool = False

    @property
    def reads(self) -> frozenset[Field]:
        """The fields that are looked at."""
        expressions = [*self.arguments, *self.target.keys]
        if self.modifies:
            expressions.append(self.target.read)
        if self.target.root is not None:
            expressions.append(self.target.root)
        return frozenset[Field]().union(*[expression.fields for expression in expressions])

    def run(self, workspace: Workspace, rows: Sequence[int], trouble: Trouble) -> None:
        """Edit the rows, which are in ascending order."""
        values = self._values(workspace, rows)
        if self.target.keys:
            values = self._within(workspace, rows, values)
        accepted, written = self._accepted(rows, values, trouble)
        if written:
            workspace.put(self.target.field, written, accepted)

    def _values(self, workspace: Workspace, rows: Sequence[int]) -> Iterable[Any]:
        frame = workspace.frame(rows)
        sources = [self.target.read, *self.arguments] if self.modifies else self.arguments
        if not sources:
            return repeat(self.function(), len(rows))
        columns = [source.evaluate(frame) for source in sources]
        safe = all(source.safe for source in sources)
        return [_called(self.function, row, safe=safe) for row in zip(*columns, strict=True)]

    def _within(self, workspace: Workspace, rows: Sequence[int], values: Iterable[Any]) -> list[Any]:
        """Return the value of the field with each result put to its place inside."""
        assert self.target.root is not None  # where there are keys there is one
        frame = workspace.frame(rows)
        columns = [source.evaluate(frame) for source in (self.target.root, *self.target.keys)]
        return [
            value if value is UNCHANGED else _called(self._inside, (value, *row), safe=False)
            for value, *row in zip(values, *columns, strict=True)
        ]

    def _inside(self, value: Any, root: Any, *keys: Any) -> Any:
        return self.target.place(root, keys, None if value is None else self.target.accept(value))

    def _accepted(
        self, rows: Sequence[int], values: Iterable[Any], trouble: Trouble
    ) -> tuple[list[Value], Sequence[int]]:
        """Return the values that can be written, and their rows."""
        accept = storable if self.target.keys else self.target.accept
        known = _STORABLE if accept is storable else frozenset[type]()
        good: list[Value] = []
        places: list[int] = []
        for row, value in zip(rows, values, strict=True):
            if value is UNCHANGED:
                continue
            taken: Any = value if value is None or value.__class__ in known else _called(accept, (value,), safe=False)
            if taken.__class__ is EvaluationError:
                trouble.add(taken)
                continue
            good.append(taken)
            places.append(row)
        return good, rows if len(places) == len(rows) else places


def _called(function: Callable[..., Any], arguments: Sequence[Any], *, safe: bool) -> Any:
    """Return what a function gives for one row, or its error; an argument without an answer is the answer."""
    if not safe:
        for argument in arguments:
            if argument.__class__ is EvaluationError:
                return argument
    try:
        return function(*arguments)
    except EvaluationError as error:
        return error
    except _FAILURES as error:
        return EvaluationError(type(error).__name__)  # its text may quote the data
