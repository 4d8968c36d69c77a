"""The functions of OTTL that conditions use (pkg/ottl/ottlfuncs/README.md, Converters; filterprocessor/README.md)."""

from __future__ import annotations

import ipaddress
from typing import Any

from untrace_pipeline.conditions.compare import Comparison
from untrace_pipeline.conditions.composites import COMPOSITES
from untrace_pipeline.conditions.converters import (
    as_text,
    contains_value,
    first_present,
    id_of_size,
    index_of,
    length,
    matches,
    parse_json,
    split,
    substring,
    to_bool,
    to_double,
    to_hex,
    to_int,
)
from untrace_pipeline.conditions.expression import Expression, Frame, Kind, apply, comparison, constant, read
from untrace_pipeline.conditions.function import Function, Given, fixed, simple
from untrace_pipeline.conditions.hashes import HASHES
from untrace_pipeline.conditions.names import own_context
from untrace_pipeline.conditions.paths import Scope
from untrace_pipeline.conditions.patterns import found_in
from untrace_pipeline.conditions.texts import TEXTS
from untrace_pipeline.conditions.times import TIMES
from untrace_pipeline.conditions.values import string_like
from untrace_pipeline.conditions.xml_texts import XML_TEXTS
from untrace_pipeline.data import Field, Level, Signal, Value, attribute
from untrace_pipeline.errors import ConditionError, EvaluationError

__all__ = ["FUNCTIONS"]


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
    field = attribute(fixed(given, "key", str))
    wanted = fixed(given, "expected_val", str) if "expected_val" in given else None

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
        rows = range(len(types)) if frame.rows is None else frame.rows
        return [unknown if type_ is None else found.get(row, False) for row, type_ in zip(rows, types, strict=True)]

    return Expression(evaluate, frozenset({kind}), safe=False, boolean=True)


def _table(*functions: Function) -> dict[str, Function]:
    return {function.name: function for function in functions}


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
    simple("HasPrefix", lambda text, other: as_text(text).startswith(as_text(other)), "target", "prefix", boolean=True),
    simple("HasSuffix", lambda text, other: as_text(text).endswith(as_text(other)), "target", "suffix", boolean=True),
    simple("ContainsValue", contains_value, "target", "item", boolean=True),
    simple("Len", length, "target"),
    Function("Concat", ("values*", "delimiter"), _concat),
    simple("Int", to_int, "target"),
    simple("Double", to_double, "target"),
    simple("Bool", to_bool, "target"),
    simple("String", string_like, "target"),
    simple("Trim", lambda text, other=" ": as_text(text).strip(as_text(other)), "target", "replacement?"),
    simple("TrimPrefix", lambda text, other: as_text(text).removeprefix(as_text(other)), "target", "prefix"),
    simple("TrimSuffix", lambda text, other: as_text(text).removesuffix(as_text(other)), "target", "suffix"),
    simple("Split", split, "target", "delimiter"),
    simple("Substring", substring, "target", "start", "length", "utf8_safe?"),
    simple("Index", index_of, "target", "value"),
    simple("ParseJSON", parse_json, "target"),
    simple("Hex", to_hex, "target"),
    Function("Coalesce", ("values*",), _coalesced),
    simple("TraceID", id_of_size(16), "target", kind=Kind.ID),
    simple("SpanID", id_of_size(8), "target", kind=Kind.ID),
    *TIMES,
    *HASHES,
    *TEXTS,
    *COMPOSITES,
    *XML_TEXTS,
)
"""All functions of conditions and statements, by name."""
