"""How two values compare, by the rules of OTTL (pkg/ottl/LANGUAGE.md, Comparison Rules): one pair, or a whole column.

Absent equals only absent; empty bytes count as absent, as they do in Go. Numbers compare with numbers, whatever their
type; an integer meets a float as a float. Strings, booleans and bytes compare with their own kind; lists and maps know
only equality, and there 1 is not 1.0. Everything else is unequal, and neither smaller nor larger.
"""

from __future__ import annotations

import enum
import operator
from collections.abc import Callable
from typing import Any

from untrace_pipeline.conditions.values import same
from untrace_pipeline.data import Value

__all__ = ["Comparison", "against", "compare"]

Column = list[Any]


class Comparison(enum.StrEnum):
    """A comparison, as OTTL writes it."""

    EQ = "=="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="

    @property
    def mirrored(self) -> Comparison:
        """The comparison that says the same with the sides swapped."""
        return _MIRRORED.get(self, self)

    @property
    def holds_for_equals(self) -> bool:
        """Whether a value compares so with itself."""
        return self in _EQUALS


_MIRRORED = {
    Comparison.LT: Comparison.GT,
    Comparison.GT: Comparison.LT,
    Comparison.LE: Comparison.GE,
    Comparison.GE: Comparison.LE,
}
_EQUALS = frozenset({Comparison.EQ, Comparison.LE, Comparison.GE})
_FUNCTIONS: dict[Comparison, Callable[[Any, Any], bool]] = {
    Comparison.EQ: operator.eq,
    Comparison.NE: operator.ne,
    Comparison.LT: operator.lt,
    Comparison.LE: operator.le,
    Comparison.GT: operator.gt,
    Comparison.GE: operator.ge,
}
_NUMBERS = frozenset({int, float})
_ORDERED = frozenset({str, bytes, bool})
# Up to here every integer is a float too, so that Python's exact comparison and Go's rounding one agree.
_EXACT = 2**53


def compare(comparison: Comparison, a: Value, b: Value) -> bool:
    """Return whether two values compare so. Never fails."""
    absent = (a is None or a == b"") + (b is None or b == b"")
    if absent:
        return comparison.holds_for_equals if absent == 2 else comparison is Comparison.NE  # noqa: PLR2004  both
    types = {type(a), type(b)}
    if types <= _NUMBERS:
        if len(types) > 1:
            a, b = float(a), float(b)  # type: ignore[arg-type]
        return _FUNCTIONS[comparison](a, b)
    if len(types) == 1 and types <= _ORDERED:
        return _FUNCTIONS[comparison](a, b)
    if comparison is Comparison.EQ:
        return same(a, b)
    return comparison is Comparison.NE and not same(a, b)


def against(comparison: Comparison, constant: Value) -> Callable[[Column], Column]:
    """Return :func:`compare` with a constant on the right, for a column at a time."""
    if constant is None:
        return _against_absent(comparison)
    if isinstance(constant, str):
        return _against_string(comparison, constant)
    if type(constant) in _NUMBERS and abs(constant) < _EXACT:  # type: ignore[arg-type]
        return _against_number(comparison, constant)  # type: ignore[arg-type]
    return lambda column: [compare(comparison, value, constant) for value in column]


def _against_absent(comparison: Comparison) -> Callable[[Column], Column]:
    if comparison.holds_for_equals:
        return lambda column: [value is None or value == b"" for value in column]
    if comparison is Comparison.NE:
        return lambda column: [value is not None and value != b"" for value in column]
    return lambda column: [False] * len(column)


def _against_string(comparison: Comparison, text: str) -> Callable[[Column], Column]:
    if comparison is Comparison.EQ:
        return lambda column: [value == text for value in column]
    if comparison is Comparison.NE:
        return lambda column: [value != text for value in column]
    holds = _FUNCTIONS[comparison]
    return lambda column: [value.__class__ is str and holds(value, text) for value in column]


def _against_number(comparison: Comparison, number: float) -> Callable[[Column], Column]:
    if comparison is Comparison.EQ:
        return lambda column: [value == number and value.__class__ is not bool for value in column]
    if comparison is Comparison.NE:
        return lambda column: [value != number or value.__class__ is bool for value in column]
    holds = _FUNCTIONS[comparison]
    numbers = _NUMBERS
    return lambda column: [value.__class__ in numbers and holds(value, number) for value in column]
