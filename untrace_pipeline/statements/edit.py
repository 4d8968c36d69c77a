"""One edit: what an editor with its arguments does to the rows of a workspace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from untrace_pipeline.conditions.expression import Expression
from untrace_pipeline.data import Field
from untrace_pipeline.errors import ConditionError, EvaluationError
from untrace_pipeline.statements.storable import all_storable, storable
from untrace_pipeline.statements.targets import Target
from untrace_pipeline.statements.workspace import Workspace

__all__ = ["UNCHANGED", "Edit", "Reshape", "Step", "Trouble", "assignment", "called"]

UNCHANGED: Any = object()
"""What the function of an edit returns where nothing is to be written."""
_FAILURES = (ArithmeticError, LookupError, RecursionError, TypeError, ValueError)


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
        function: gets the current value of the target, if ``modifies``, and the arguments; without a function, the
            only argument is written, except where it is nothing
        arguments: expressions over the same rows
        modifies: whether the function looks at what is there
        sound: whether all that it returns is known to be storable, because it comes out of what is there

    """

    target: Target
    function: Callable[..., Any] | None = None
    arguments: tuple[Expression, ...] = ()
    modifies: bool = True
    sound: bool = False

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
        rows, values = _without(UNCHANGED, rows, values) if UNCHANGED in values else (rows, values)
        if not self._taken_as_they_are(values):
            accept = storable if self.target.keys else self.target.accept
            values = [value if value is None else called(accept, (value,), safe=False) for value in values]
            rows, values = _without_errors(rows, values, trouble)
        if len(rows):
            workspace.put(self.target.field, rows, values)

    def _taken_as_they_are(self, values: list[Any]) -> bool:
        if self.sound and not self.target.keys:
            return EvaluationError not in set(map(type, values))
        return self.target.accept is storable and not self.target.keys and all_storable(values)

    def _values(self, workspace: Workspace, rows: Sequence[int]) -> list[Any]:
        frame = workspace.frame(rows)
        sources = [self.target.read, *self.arguments] if self.modifies else self.arguments
        columns = [source.evaluate(frame) for source in sources]
        if self.function is None:
            (values,) = columns
            return [UNCHANGED if value is None else value for value in values] if None in values else values
        if not columns:
            return [self.function()] * len(rows)
        safe = all(source.safe for source in sources)
        results = [called(self.function, row, safe=safe) for row in zip(*columns, strict=True)]
        if not self.modifies:
            return results
        unchanged = [
            new is old and old.__class__ is not EvaluationError for new, old in zip(results, columns[0], strict=True)
        ]
        return [UNCHANGED if same else new for same, new in zip(unchanged, results, strict=True)]

    def _within(self, workspace: Workspace, rows: Sequence[int], values: list[Any]) -> list[Any]:
        """Return the value of the field with each result put to its place inside."""
        assert self.target.root is not None  # where there are keys there is one
        frame = workspace.frame(rows)
        columns = [source.evaluate(frame) for source in (self.target.root, *self.target.keys)]
        return [
            value if value is UNCHANGED else called(self._inside, (value, *row), safe=False)
            for value, *row in zip(values, *columns, strict=True)
        ]

    def _inside(self, value: Any, root: Any, *keys: Any) -> Any:
        return self.target.place(root, keys, None if value is None else self.target.accept(value))


def assignment(target: Target, value: Expression) -> Edit:
    """Return the edit that writes a value. Raises :class:`ConditionError` for a constant that does not fit."""
    if value.constant and value.constant[0] is not None:
        try:
            target.accept(value.constant[0])
        except EvaluationError as error:
            raise ConditionError(str(error)) from None
    return Edit(target, arguments=(value,), modifies=False)


@dataclass(frozen=True, slots=True)
class Reshape:
    """What an editor of metrics does to one of them: called with its message, those beside it, and the arguments."""

    function: Callable[..., None]
    arguments: tuple[Expression, ...] = ()

    def values(self, workspace: Workspace, rows: Sequence[int]) -> list[tuple[Any, ...]]:
        """Return the arguments for each of the rows."""
        frame = workspace.frame(rows)
        columns = [argument.evaluate(frame) for argument in self.arguments]
        return list(zip(*columns, strict=True)) if columns else [()] * len(rows)


@dataclass(frozen=True, slots=True)
class Step:
    """Edits of the same rows, one after the other, the condition that they stand under, and the text of it all.

    ``reshape`` stands in place of edits where metrics change their type, or new ones are made.
    """

    edits: tuple[Edit, ...]
    where: Expression | None
    text: str
    reshape: Reshape | None = None

    @property
    def reads(self) -> frozenset[Field]:
        """The fields that are looked at."""
        found = self.where.fields if self.where is not None else frozenset[Field]()
        return found.union(*[edit.reads for edit in self.edits])

    @property
    def writes(self) -> tuple[Field, ...]:
        """The fields that are written."""
        return tuple(edit.target.field for edit in self.edits)


def _without(what: object, rows: Sequence[int], values: list[Any]) -> tuple[list[int], list[Any]]:
    kept = [(row, value) for row, value in zip(rows, values, strict=True) if value is not what]
    return [row for row, _ in kept], [value for _, value in kept]


def _without_errors(rows: Sequence[int], values: list[Any], trouble: Trouble) -> tuple[Sequence[int], list[Any]]:
    if EvaluationError not in set(map(type, values)):
        return rows, values
    good = [(row, value) for row, value in zip(rows, values, strict=True) if value.__class__ is not EvaluationError]
    for value in values:
        if value.__class__ is EvaluationError:
            trouble.add(value)
    return [row for row, _ in good], [value for _, value in good]


def called(function: Callable[..., Any], arguments: Sequence[Any], *, safe: bool) -> Any:
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
