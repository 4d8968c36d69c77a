"""A function of OTTL as conditions and statements call it: its parameters, and how a call becomes an expression."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from untrace_pipeline.conditions.expression import Expression, Kind, apply
from untrace_pipeline.conditions.names import suggestion
from untrace_pipeline.conditions.paths import Scope
from untrace_pipeline.data import Value
from untrace_pipeline.errors import ConditionError

__all__ = ["Function", "Given", "fixed", "fixed_texts", "of_kinds", "simple"]

Given: TypeAlias = Mapping[str, Expression | Sequence[Expression]]
Build: TypeAlias = Callable[[Scope, Any], Expression]


@dataclass(frozen=True, slots=True)
class Function:
    """A function: its parameters in order, and how a call becomes an expression.

    ``?`` ends the name of an optional parameter, ``*`` that of one that takes a list, ``*?`` that of one that may.
    """

    name: str
    parameters: tuple[str, ...]
    build: Build

    def bind(self, names: Sequence[str]) -> list[tuple[str, bool]]:
        """Return parameter and whether it takes a list, for each argument; names are empty where given by place."""
        known = {parameter.rstrip("?*"): "*" in parameter for parameter in self.parameters}
        order = list(known)
        spelled = {_bare(parameter): parameter for parameter in order}
        if len(names) > len(order):
            msg = f"{self.name} takes {self._signature()}, not {len(names)} arguments"
            raise ConditionError(msg)
        places = [spelled.get(_bare(name), name) or order[number] for number, name in enumerate(names)]
        for place in places:
            if place not in known:
                msg = f"{self.name} has no parameter {place}{suggestion(place, known)}"
                raise ConditionError(msg)
        needed = {parameter for parameter in self.parameters if not parameter.endswith("?")}
        if {parameter.rstrip("*") for parameter in needed} - set(places) or len(set(places)) < len(places):
            msg = f"{self.name} takes {self._signature()}"
            raise ConditionError(msg)
        return [(place, known[place]) for place in places]

    def _signature(self) -> str:
        return f"({', '.join(self.parameters)})"


def _bare(name: str) -> str:
    """Return a parameter's name without underscores and capitals: ``utf8_safe`` and ``utf8Safe`` are the same."""
    return name.replace("_", "").lower()


# ------------------------------------------------------------------ arguments


T = TypeVar("T")
_TYPE_WORDS = {str: "a string", int: "a whole number", bool: "true or false"}


def fixed(given: Mapping[str, Any], name: str, type_: type[T], default: T | None = None) -> T:
    """Return an argument that must be written out. Raises :class:`ConditionError`."""
    expression = given.get(name)
    if expression is None and default is not None:
        return default
    if isinstance(expression, Expression) and expression.constant and type(expression.constant[0]) is type_:
        return expression.constant[0]
    msg = f"{name} must be {_TYPE_WORDS[type_]} written out"
    raise ConditionError(msg)


def fixed_texts(given: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return a list of strings that must be written out, an empty one if it is left out.

    Raises :class:`ConditionError`.
    """
    found = [one.constant[0] if one.constant else None for one in given.get(name, ())]
    if all(isinstance(one, str) for one in found):
        return tuple(map(str, found))
    msg = f"{name} must be strings written out"
    raise ConditionError(msg)


# ------------------------------------------------------------------- building


def simple(
    name: str, function: Callable[..., Any], *parameters: str, kind: Kind = Kind.VALUE, boolean: bool = False
) -> Function:
    """Return a function that works row by row on what its parameters give."""

    def build(scope: Scope, given: Given) -> Expression:
        arguments = [given[name.rstrip("?")] for name in parameters if name.rstrip("?") in given]
        return apply(function, arguments, kind=kind, boolean=boolean)  # type: ignore[arg-type]

    return Function(name, parameters, build)


def of_kinds(name: str, parameters: Mapping[str, Kind], result: Kind, function: Callable[..., Value]) -> Function:
    """Return a function of times and durations."""

    def build(scope: Scope, given: Given) -> Expression:
        arguments = [given[parameter] for parameter in parameters]
        for argument, (parameter, wanted) in zip(arguments, parameters.items(), strict=True):
            if not isinstance(argument, Expression) or argument.kind is not wanted:
                msg = f"{name} needs a {wanted.value}" + (f" as its {parameter}" if len(parameters) > 1 else "")
                raise ConditionError(msg)
        return apply(function, arguments, kind=result)  # type: ignore[arg-type]

    return Function(name, tuple(parameters), build)
