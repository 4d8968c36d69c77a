"""The functions of OTTL that conditions use (pkg/ottl/ottlfuncs/README.md, Converters; filterprocessor/README.md)."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from untrace_pipeline.conditions.compare import Comparison
from untrace_pipeline.conditions.converters import (
    as_text,
    contains_value,
    first_present,
    id_of_size,
    index_of,
    length,
    lower,
    matches,
    nanoseconds,
    parse_json,
    sha256,
    split,
    substring,
    to_bool,
    to_double,
    to_hex,
    to_int,
    upper,
)
from untrace_pipeline.conditions.expression import Expression, Frame, Kind, apply, comparison, constant, read
from untrace_pipeline.conditions.names import own_context, suggestion
from untrace_pipeline.conditions.paths import Scope
from untrace_pipeline.conditions.patterns import found_in
from untrace_pipeline.conditions.values import string_like
from untrace_pipeline.data import Field, Level, Signal, Value, attribute
from untrace_pipeline.errors import ConditionError, EvaluationError

__all__ = ["FUNCTIONS", "Function"]

Given: TypeAlias = Mapping[str, Expression | Sequence[Expression]]
Build: TypeAlias = Callable[[Scope, Any], Expression]


@dataclass(frozen=True, slots=True)
class Function:
    """A function: its parameters in order, and how a call becomes an expression.

    ``?`` ends the name of an optional parameter, ``*`` that of one that takes a list.
    """

    name: str
    parameters: tuple[str, ...]
    build: Build

    def bind(self, names: Sequence[str]) -> list[tuple[str, bool]]:
        """Return parameter and whether it takes a list, for each argument; names are empty where given by place."""
        known = {parameter.rstrip("?*"): parameter.endswith("*") for parameter in self.parameters}
        order = list(known)
        if len(names) > len(order):
            msg = f"{self.name} takes {self._signature()}, not {len(names)} arguments"
            raise ConditionError(msg)
        places = [name or order[number] for number, name in enumerate(names)]
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


# ------------------------------------------------------------------ arguments


def _fixed(scope: Scope, given: Given, name: str) -> str:
    """Return an argument that must be a string written out."""
    expression = given[name]
    if isinstance(expression, Expression) and expression.constant and isinstance(expression.constant[0], str):
        return expression.constant[0]
    msg = f"{name} must be a string written out"
    raise ConditionError(msg)


# ------------------------------------------------------------------- building


def _simple(
    name: str, function: Callable[..., Any], *parameters: str, kind: Kind = Kind.VALUE, boolean: bool = False
) -> Function:
    """Return a function that works row by row on what its parameters give."""

    def build(scope: Scope, given: Given) -> Expression:
        arguments = [given[name.rstrip("?")] for name in parameters if name.rstrip("?") in given]
        return apply(function, arguments, kind=kind, boolean=boolean)  # type: ignore[arg-type]

    return Function(name, parameters, build)


def _of_kind(name: str, wanted: Kind, result: Kind, function: Callable[[int], Value]) -> Function:
    """Return a function of a time or a duration."""

    parameter = wanted.value

    def build(scope: Scope, given: Given) -> Expression:
        argument = given[parameter]
        if not isinstance(argument, Expression) or argument.kind is not wanted:
            msg = f"{name} needs a {wanted.value}"
            raise ConditionError(msg)
        return apply(function, (argument,), kind=result, safe=True)

    return Function(name, (parameter,), build)


def _is_type(name: str, type_: type) -> Function:
    def build(scope: Scope, given: Given) -> Expression:
        target: Any = given["target"]
        if target.kind is not Kind.VALUE:
            return constant(value=False)
        return apply(lambda value: type(value) is type_, (target,), safe=True, boolean=True)

    return Function(name, ("target",), build)


def _is_match(scope: Scope, given: Any) -> Expression:
    target, pattern = apply(string_like, (given["target"],)), given["pattern"]
    if not pattern.constant:
        return apply(matches, (target, pattern), boolean=True)
    test = found_in((_string_constant(pattern),))

    def evaluate(frame: Frame) -> list[Any]:
        column = target.evaluate(frame)
        found = iter(test([text for text in column if text.__class__ is str]))
        return [next(found) if text.__class__ is str else text or False for text in column]

    if target.constant:
        return apply(lambda text: text is not None and test([text])[0], (target,), boolean=True)
    return Expression(evaluate, target.fields, safe=False, boolean=True)


def _string_constant(expression: Expression) -> str:
    value = expression.constant[0]
    if isinstance(value, str):
        return value
    msg = f"a pattern is a string, not {type(value).__name__}"
    raise ConditionError(msg)


def _concat(scope: Scope, given: Any) -> Expression:
    def join(delimiter: object, *values: Value) -> str:
        texts = [string_like(value) for value in values]
        return as_text(delimiter).join(["<nil>" if text is None else text for text in texts])

    return apply(join, (given["delimiter"], *given["values"]))


def _convert_case(scope: Scope, given: Any) -> Expression:
    case = _fixed(scope, given, "to_case")
    if case not in {"lower", "upper"}:
        msg = f"to_case is lower or upper, not {case!r}"
        raise ConditionError(msg)
    return apply(lower if case == "lower" else upper, (given["target"],))


def _now(scope: Scope, given: Any) -> Expression:
    return Expression(lambda frame: [time.time_ns()] * frame.size, kind=Kind.TIME)


def _is_root_span(scope: Scope, given: Any) -> Expression:
    if scope.signal is not Signal.TRACES or scope.level < Level.ITEM:
        msg = "IsRootSpan needs a span"
        raise ConditionError(msg)
    parent = read(Field(Level.ITEM, "parent_span_id"), default=bytes(8), kind=Kind.ID)
    return comparison(Comparison.EQ, parent, constant(bytes(8), Kind.ID))


def _is_empty(scope: Scope, given: Any) -> Expression:
    target = given["target"]
    if target.kind is Kind.ID:
        return apply(lambda value: not any(value), (target,), boolean=True)
    return apply(lambda value: not value, (target,), safe=True, boolean=True)


def _is_in_cidr(scope: Scope, given: Any) -> Expression:
    def contained(target: object, *networks: object) -> bool:
        address = ipaddress.ip_address(as_text(target))
        return any(address in ipaddress.ip_network(as_text(network), strict=False) for network in networks)

    return apply(contained, (given["target"], *given["networks"]), boolean=True)


def _coalesced(scope: Scope, given: Any) -> Expression:
    return apply(first_present, given["values"], safe=True) if given["values"] else constant(None)


def _has_on_datapoint(scope: Scope, given: Any) -> Expression:
    """Return whether the first point of a metric that has the attribute has it (with that value)."""
    if (scope.signal, scope.level) != (Signal.METRICS, Level.METRIC):
        msg = f"only a metric has data points, not a {own_context(scope.signal, scope.level)}"
        raise ConditionError(msg)
    field = attribute(_fixed(scope, given, "key"))
    wanted = _fixed(scope, given, "expected_val") if "expected_val" in given else None

    kind = Field(Level.METRIC, "type")

    def evaluate(frame: Frame) -> list[Any]:
        assert frame.batch is not None  # conditions that read fields always stand over a batch
        found: dict[int, bool] = {}
        owners = frame.batch.parents(Level.ITEM, Level.METRIC)
        for owner, value in zip(owners, frame.batch.column(field), strict=True):
            if value is not None and owner not in found:
                found[owner] = wanted is None or (value if isinstance(value, str) else "") == wanted
        unknown = EvaluationError("the metric has no known type")
        types = frame.columns[kind]
        return [unknown if type_ is None else found.get(row, False) for row, type_ in enumerate(types)]

    return Expression(evaluate, frozenset({kind}), safe=False, boolean=True)


def _table(*functions: Function) -> dict[str, Function]:
    return {function.name: function for function in functions}


_UNITS = {
    "Hours": 3_600_000_000_000,
    "Minutes": 60_000_000_000,
    "Seconds": 1_000_000_000,
    "Milliseconds": 1_000_000,
    "Microseconds": 1_000,
    "Nanoseconds": 1,
}


def _in_units(name: str) -> Function:
    """Return a duration as a number: hours, minutes and seconds as a fraction, smaller units whole."""
    size = _UNITS[name]
    if name in {"Hours", "Minutes", "Seconds"}:
        return _of_kind(name, Kind.DURATION, Kind.VALUE, lambda value: value / size)
    return _of_kind(name, Kind.DURATION, Kind.VALUE, lambda value: int(value / size) if size > 1 else value)


FUNCTIONS: dict[str, Function] = _table(
    Function("IsMatch", ("target", "pattern"), _is_match),
    _is_type("IsString", str),
    _is_type("IsInt", int),
    _is_type("IsDouble", float),
    _is_type("IsBool", bool),
    _is_type("IsMap", dict),
    _is_type("IsList", list),
    Function("IsEmpty", ("target",), _is_empty),
    Function("IsRootSpan", (), _is_root_span),
    Function("IsInCIDR", ("target", "networks*"), _is_in_cidr),
    Function("HasAttrKeyOnDatapoint", ("key",), _has_on_datapoint),
    Function("HasAttrOnDatapoint", ("key", "expected_val"), _has_on_datapoint),
    _simple(
        "HasPrefix", lambda text, other: as_text(text).startswith(as_text(other)), "target", "prefix", boolean=True
    ),
    _simple("HasSuffix", lambda text, other: as_text(text).endswith(as_text(other)), "target", "suffix", boolean=True),
    _simple("ContainsValue", contains_value, "target", "item", boolean=True),
    _simple("Len", length, "target"),
    Function("Concat", ("values*", "delimiter"), _concat),
    _simple("Int", to_int, "target"),
    _simple("Double", to_double, "target"),
    _simple("Bool", to_bool, "target"),
    _simple("String", string_like, "target"),
    Function("ConvertCase", ("target", "to_case"), _convert_case),
    _simple("ToLowerCase", lower, "target"),
    _simple("ToUpperCase", upper, "target"),
    _simple("Trim", lambda text, other=" ": as_text(text).strip(as_text(other)), "target", "replacement?"),
    _simple("TrimPrefix", lambda text, other: as_text(text).removeprefix(as_text(other)), "target", "prefix"),
    _simple("TrimSuffix", lambda text, other: as_text(text).removesuffix(as_text(other)), "target", "suffix"),
    _simple("Split", split, "target", "delimiter"),
    _simple("Substring", substring, "target", "start", "length", "utf8_safe?"),
    _simple("Index", index_of, "target", "value"),
    _simple("ParseJSON", parse_json, "target"),
    _simple("SHA256", sha256, "target"),
    _simple("Hex", to_hex, "target"),
    Function("Coalesce", ("values*",), _coalesced),
    _simple("TraceID", id_of_size(16), "target", kind=Kind.ID),
    _simple("SpanID", id_of_size(8), "target", kind=Kind.ID),
    _simple("Duration", nanoseconds, "duration", kind=Kind.DURATION),
    Function("Now", (), _now),
    *[_in_units(name) for name in _UNITS],
    _of_kind("UnixSeconds", Kind.TIME, Kind.VALUE, lambda value: value // 1_000_000_000),
    _of_kind("UnixMilli", Kind.TIME, Kind.VALUE, lambda value: value // 1_000_000),
    _of_kind("UnixMicro", Kind.TIME, Kind.VALUE, lambda value: value // 1_000),
    _of_kind("UnixNano", Kind.TIME, Kind.VALUE, lambda value: value),
)
"""All functions that conditions know, by name."""
