"""Expressions: closures from the columns of a batch to one column. Both front ends build conditions out of these.

A column has one value per row. A row without an answer holds an :class:`EvaluationError` as its value, which travels
through everything that is computed from it, except where ``and`` and ``or`` do not need it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from untrace_pipeline.conditions.compare import Comparison, against, compare
from untrace_pipeline.data import Batch, Context, Field, Level, Value
from untrace_pipeline.errors import ConditionError, EvaluationError

__all__ = [
    "Expression",
    "Frame",
    "Kind",
    "all_of",
    "any_of",
    "apply",
    "comparison",
    "constant",
    "from_context",
    "negated",
    "read",
    "whole",
]

Column = list[Any]
# What a function of one row may raise over hostile values; anything else is a bug and shall be seen.
_FAILURES = (LookupError, RecursionError, TypeError, ValueError)


class Kind(enum.Enum):
    """What the values of an expression are, known when it is compiled."""

    VALUE = "value"
    TIME = "time"
    """Integer nanoseconds since the Unix epoch."""
    DURATION = "duration"
    """Integer nanoseconds."""
    ID = "id"
    """A trace or span id as bytes."""
    MANY = "values"
    """A sequence of values per row, of which any may satisfy a comparison: repeated headers, matches of a JSONPath."""


@dataclass(slots=True)
class Frame:
    """What an expression is evaluated over. ``batch`` is absent when only the request's context is known.

    ``rows`` are the rows of the level that are meant, ``None`` for all of them; columns have a value for each of them.
    """

    context: Context
    size: int
    level: Level = Level.ITEM
    columns: Mapping[Field, Column] = field(default_factory=dict)
    batch: Batch | None = None
    rows: Sequence[int] | None = None


@dataclass(frozen=True, slots=True)
class Expression:
    """One column, to be computed. ``fields`` are the columns it reads; ``safe`` says that no row can fail."""

    evaluate: Callable[[Frame], Column]
    fields: frozenset[Field] = frozenset()
    kind: Kind = Kind.VALUE
    safe: bool = True
    constant: tuple[Value, ...] = ()
    """The value, as a tuple of one, if it is the same in every batch."""
    boolean: bool = False
    """Whether every value is a boolean (or an error)."""


def constant(value: Value, kind: Kind = Kind.VALUE) -> Expression:
    """Return the same value for every row."""
    return Expression(lambda frame: [value] * frame.size, kind=kind, constant=(value,), boolean=isinstance(value, bool))


def read(source: Field, *, default: Value = None, kind: Kind = Kind.VALUE) -> Expression:
    """Return a field. ``default`` is the zero value of its type, if it has one: what absent or empty reads as."""

    def plain(frame: Frame) -> Column:
        return frame.columns[source]

    def defaulted(frame: Frame) -> Column:
        return [value or default for value in frame.columns[source]]

    return Expression(plain if default is None else defaulted, frozenset({source}), kind)


def from_context(reader: Callable[[Context], Any], kind: Kind = Kind.VALUE) -> Expression:
    """Return what is read once from the context of the request, for every row."""
    return Expression(lambda frame: [reader(frame.context)] * frame.size, kind=kind)


def apply(
    function: Callable[..., Any],
    arguments: Sequence[Expression],
    *,
    kind: Kind = Kind.VALUE,
    safe: bool = False,
    boolean: bool = False,
) -> Expression:
    """Return a function of one row applied to every row; computed now if all arguments are constant.

    The function may raise :class:`EvaluationError`; whatever else hostile values make it raise becomes one. With
    ``safe`` it never raises and is not guarded.
    """
    fields = frozenset[Field]().union(*[argument.fields for argument in arguments])
    safe = safe and all(argument.safe for argument in arguments)
    parts = [argument.evaluate for argument in arguments]
    guarded = function if safe else _guarded(function)

    def evaluate(frame: Frame) -> Column:
        return [guarded(*row) for row in zip(*[part(frame) for part in parts], strict=True)]

    expression = Expression(evaluate, fields, kind, safe, boolean=boolean)
    if not arguments or not all(argument.constant for argument in arguments):
        return expression
    value = expression.evaluate(Frame(Context(), 1))[0]
    if isinstance(value, EvaluationError):
        raise ConditionError(str(value))
    return constant(value, kind)


def whole(
    function: Callable[..., Column],
    arguments: Sequence[Expression],
    *,
    kind: Kind = Kind.VALUE,
    boolean: bool = False,
) -> Expression:
    """Return a function of whole columns, which never fails; so its arguments must be safe."""
    assert all(argument.safe for argument in arguments)
    fields = frozenset[Field]().union(*[argument.fields for argument in arguments])
    parts = [argument.evaluate for argument in arguments]
    return Expression(lambda frame: function(*[part(frame) for part in parts]), fields, kind, boolean=boolean)


def _guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*values: Any) -> Any:
        for value in values:
            if value.__class__ is EvaluationError:
                return value
        try:
            return function(*values)
        except EvaluationError as error:
            return error
        except ArithmeticError as error:
            return EvaluationError(str(error) or type(error).__name__)
        except _FAILURES as error:
            return EvaluationError(type(error).__name__)  # its text may quote the data

    return call


def comparison(how: Comparison, left: Expression, right: Expression) -> Expression:
    """Return whether two expressions compare so."""
    if Kind.MANY in {left.kind, right.kind}:
        return _any_compares(how, left, right)
    if left.kind is not right.kind:
        return _different_kinds(how, left, right)
    if left.constant and not right.constant:
        left, right, how = right, left, how.mirrored
    if left.kind is Kind.ID and how not in {Comparison.EQ, Comparison.NE}:
        return constant(value=False)
    if not right.constant or not left.safe:
        return apply(lambda a, b: compare(how, a, b), (left, right), safe=True, boolean=True)
    if left.constant:
        return constant(compare(how, left.constant[0], right.constant[0]))
    column, test = left.evaluate, against(how, right.constant[0])
    return Expression(lambda frame: test(column(frame)), left.fields, boolean=True)


def _different_kinds(how: Comparison, left: Expression, right: Expression) -> Expression:
    """Times, durations and ids differ from every plain value, absent ones too."""
    return apply(lambda _a, _b: how is Comparison.NE, (left, right), safe=True, boolean=True)


def _any_compares(how: Comparison, left: Expression, right: Expression) -> Expression:
    if left.kind is not Kind.MANY:
        left, right, how = right, left, how.mirrored
    if right.kind is Kind.MANY:
        msg = "two sets of values cannot be compared with each other"
        raise ConditionError(msg)
    return apply(lambda many, b: any(compare(how, a, b) for a in many), (left, right), safe=True, boolean=True)


def negated(operand: Expression) -> Expression:
    """Return the opposite; a row without an answer stays without."""
    if operand.constant:
        return constant(not operand.constant[0])
    column = operand.evaluate
    if operand.safe:
        return Expression(lambda frame: [not value for value in column(frame)], operand.fields, boolean=True)
    return apply(lambda value: not value, (operand,), boolean=True)


def all_of(operands: Sequence[Expression]) -> Expression:
    """Return whether all are true, asking from left to right and stopping at the first that is not."""
    return _folded(operands, stop=False)


def any_of(operands: Sequence[Expression]) -> Expression:
    """Return whether one is true, asking from left to right and stopping at the first that is."""
    return _folded(operands, stop=True)


def _folded(operands: Sequence[Expression], *, stop: bool) -> Expression:
    asked: list[Expression] = []
    for operand in operands:
        if not operand.constant:
            asked.append(operand)
        elif operand.constant[0] is stop:
            return constant(stop)
    if len(asked) <= 1:
        return asked[0] if asked else constant(not stop)
    first, *rest = [operand.evaluate for operand in asked]
    go_on = not stop

    def evaluate(frame: Frame) -> Column:
        column = first(frame)
        for other in rest:
            column = [b if a is go_on else a for a, b in zip(column, other(frame), strict=True)]
        return column

    fields = frozenset[Field]().union(*[operand.fields for operand in asked])
    return Expression(evaluate, fields, safe=all(operand.safe for operand in asked), boolean=True)
