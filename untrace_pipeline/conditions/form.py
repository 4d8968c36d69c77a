"""Our own form of conditions: from fields, operators and values to expressions."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from untrace_pipeline.conditions.compare import Comparison, compare
from untrace_pipeline.conditions.config import ConditionConfig, ConditionSource, Operator
from untrace_pipeline.conditions.expression import (
    Expression,
    Frame,
    Kind,
    all_of,
    any_of,
    apply,
    comparison,
    constant,
    negated,
    whole,
)
from untrace_pipeline.conditions.locators import Locate, Located, locate
from untrace_pipeline.conditions.names import ENUMERATORS, suggestion
from untrace_pipeline.conditions.ottl import compile_ottl
from untrace_pipeline.conditions.patterns import found_in
from untrace_pipeline.conditions.values import string_like
from untrace_pipeline.data import Level, Signal, Value
from untrace_pipeline.errors import ConditionError

__all__ = ["compile_form"]

_COMPARISONS = {
    Operator.GT: Comparison.GT,
    Operator.GTE: Comparison.GE,
    Operator.LT: Comparison.LT,
    Operator.LTE: Comparison.LE,
}
_TEXTS = {str, type(None)}
_INT64 = range(-(1 << 63), 1 << 63)
_ID_SIZES = {"trace_id": 16, "span_id": 8, "parent_span_id": 8}
_PREFIXES = {
    "status.code": "STATUS_CODE_",
    "kind": "SPAN_KIND_",
    "severity_number": "SEVERITY_NUMBER_",
    "aggregation_temporality": "AGGREGATION_TEMPORALITY_",
}


def compile_form(source: ConditionSource, signal: Signal, level: Level, find: Locate = locate) -> Expression:
    """Compile a condition of either form. Raises :class:`ConditionError`. ``find`` says what paths of fields read."""
    if isinstance(source, str):
        return compile_ottl(source, signal, level)
    if source.all is not None:
        return all_of([compile_form(one, signal, level, find) for one in source.all])
    if source.any is not None:
        return any_of([compile_form(one, signal, level, find) for one in source.any])
    if source.not_ is not None:
        return negated(compile_form(source.not_, signal, level, find))
    return _question(source, find(source.field or "", signal, level))


def _question(source: ConditionConfig, located: Located) -> Expression:
    operator = source.operator
    if operator is Operator.EXISTS:
        return _exists(located, source.value)
    if operator is Operator.CONTAINS:
        wanted = _plain(source.value)
        return _row_wise(located.expression, lambda value: _contains(value, wanted))
    if operator is Operator.REGEX:
        return _regex(located.expression, source.value)
    if operator is Operator.IN:
        return _in(located, source.value)
    if operator is Operator.NEQ:
        return negated(_equals(located, _plain(source.value)))
    if operator is Operator.EQ:
        return _equals(located, _plain(source.value))
    assert operator is not None  # the model's validator has seen to it
    return comparison(_COMPARISONS[operator], located.expression, constant(_coerced(located, _plain(source.value))))


def _equals(located: Located, value: Value) -> Expression:
    if located.wildcards and isinstance(value, str) and "*" in value:
        parts = [re.escape(part) for part in value.split("*")]
        return _regex(located.expression, rf"(?s)\A{'.*'.join(parts)}\z")
    return comparison(Comparison.EQ, located.expression, constant(_coerced(located, value)))


def _row_wise(expression: Expression, test: Callable[[Any], bool]) -> Expression:
    """Ask a question of each row's value, or of any of its values where there are several."""
    if expression.kind is Kind.MANY:
        return apply(lambda many: bool(many) and any(test(value) for value in many), (expression,), boolean=True)
    return apply(test, (expression,), boolean=True)


def _exists(located: Located, value: Any) -> Expression:
    if value is not None and not isinstance(value, bool):
        msg = "exists takes true or false"
        raise ConditionError(msg)
    expression = located.expression
    if located.fixed:
        found = _row_wise(expression, bool)
    elif expression.safe and expression.kind is not Kind.MANY:
        found = whole(lambda column: [one is not None for one in column], (expression,), boolean=True)
    else:
        found = _row_wise(expression, lambda one: one is not None)
    return negated(found) if value is False else found


def _contains(value: Value, wanted: Value) -> bool:
    if isinstance(value, str):
        return isinstance(wanted, str) and wanted in value
    if isinstance(value, list):
        return any(compare(Comparison.EQ, one, wanted) for one in value)
    return isinstance(value, dict) and isinstance(wanted, str) and wanted in value


def _regex(expression: Expression, pattern: Any) -> Expression:
    if not isinstance(pattern, str):
        msg = "regex takes a pattern, as a string"
        raise ConditionError(msg)
    test = found_in((pattern,))
    if expression.kind is Kind.MANY:
        return _row_wise(expression, lambda value: (text := string_like(value)) is not None and test([text])[0])
    texts = apply(string_like, (expression,))

    def evaluate(frame: Frame) -> list[Any]:
        column = expression.evaluate(frame)
        if not {text.__class__ for text in column} <= _TEXTS:
            column = texts.evaluate(frame)
        found = iter(test([text for text in column if text.__class__ is str]))
        return [text.__class__ is str and next(found) for text in column]

    return Expression(evaluate, texts.fields, boolean=True)


def _in(located: Located, values: Any) -> Expression:
    if not isinstance(values, list) or not values:
        msg = "in takes a list of values"
        raise ConditionError(msg)
    if located.wildcards and any(isinstance(value, str) and "*" in value for value in values):
        return any_of([_equals(located, _plain(value)) for value in values])
    wanted = [_coerced(located, _plain(value)) for value in values]
    if all(isinstance(value, str) for value in wanted) and located.expression.kind is not Kind.MANY:
        texts, column = frozenset(wanted), located.expression.evaluate
        return Expression(
            lambda frame: [value.__class__ is str and value in texts for value in column(frame)],
            located.expression.fields,
            boolean=True,
        )
    return any_of([comparison(Comparison.EQ, located.expression, constant(value)) for value in wanted])


def _plain(value: Any) -> Value:
    """Return a value of YAML as a value of OTLP."""
    if isinstance(value, bool) or value is None or isinstance(value, str | float):
        return value
    if isinstance(value, int) and value in _INT64:
        return value
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    msg = f"{value!r} is no value that telemetry can have"
    raise ConditionError(msg)


def _coerced(located: Located, value: Value) -> Value:
    """Return names of kinds, codes and severities as their numbers, and ids as bytes."""
    if not isinstance(value, str):
        return value
    if located.fixed in _ID_SIZES:
        return _id(value, _ID_SIZES[located.fixed])
    prefix = _PREFIXES.get(located.fixed)
    if prefix is None:
        return value
    known = {name.removeprefix(prefix): number for name, number in ENUMERATORS.items() if name.startswith(prefix)}
    name = value.upper().removeprefix(prefix)
    if name not in known:
        hint = suggestion(name, known) or f"; it is one of {', '.join(known)}"
        msg = f"{value!r} is no {located.fixed}{hint}"
        raise ConditionError(msg)
    return known[name]


def _id(text: str, size: int) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != size:
        msg = f"{text!r} is no id: {2 * size} hexadecimal digits are needed"
        raise ConditionError(msg)
    return found
