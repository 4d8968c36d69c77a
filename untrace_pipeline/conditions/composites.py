"""Functions of OTTL about maps and lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from untrace_pipeline.conditions.converters import as_text
from untrace_pipeline.conditions.expression import Expression, apply
from untrace_pipeline.conditions.function import Function, fixed, fixed_texts, simple
from untrace_pipeline.conditions.paths import Scope
from untrace_pipeline.conditions.values import as_string
from untrace_pipeline.data import Value
from untrace_pipeline.errors import ConditionError, EvaluationError

__all__ = ["COMPOSITES"]


def _map(value: Any) -> dict[str, Value]:
    if isinstance(value, dict):
        return value
    msg = f"a map is needed, not {type(value).__name__}"
    raise EvaluationError(msg)


def _list(value: Any) -> list[Value]:
    if isinstance(value, list | tuple):
        return list(value)
    msg = f"a list is needed, not {type(value).__name__}"
    raise EvaluationError(msg)


def _sort(scope: Scope, given: Any) -> Expression:
    order = fixed(given, "order", str, "asc")
    if order not in {"asc", "desc"}:
        msg = f"order is asc or desc, not {order!r}"
        raise ConditionError(msg)
    return apply(lambda values: _sorted(_list(values), descending=order == "desc"), (given["target"],))


def _sorted(values: list[Any], *, descending: bool) -> Value:
    """Return values in order, numbers by size and mixed ones by their text; with maps, lists or bytes as they are."""
    types = {type(value) for value in values}
    if types & {dict, list, bytes}:
        return values
    return sorted(
        values, key=float if types == {int, float} else None if len(types) == 1 else as_string, reverse=descending
    )


def _slice_to_map(scope: Scope, given: Any) -> Expression:
    keys, values = fixed_texts(given, "keyPath"), fixed_texts(given, "valuePath")

    def convert(elements: Any) -> Value:
        pairs = enumerate(_list(elements))
        return {
            (as_text(_inside(one, keys)) if keys else str(number)): _inside(one, values) if values else one
            for number, one in pairs
        }

    return apply(convert, (given["target"],))


def _inside(value: Any, path: Sequence[str]) -> Any:
    for step in path:
        entries = _map(value)
        if step not in entries:
            msg = "an element does not have what the path names"
            raise EvaluationError(msg)
        value = entries[step]
    return value


def _key_value_string(scope: Scope, given: Any) -> Expression:
    delimiter, between = fixed(given, "delimiter", str, "="), fixed(given, "pair_delimiter", str, " ")
    ordered = fixed(given, "sort_output", bool, False)
    if not delimiter or not between or delimiter == between:
        msg = "delimiter and pair_delimiter must be different, and not empty"
        raise ConditionError(msg)

    def quoted(text: str) -> str:
        escaped = text.replace('"', '\\"')
        return f'"{escaped}"' if between in text or delimiter in text else escaped

    def convert(target: Any) -> str:
        pairs = sorted(_map(target).items()) if ordered else _map(target).items()
        return between.join([f"{quoted(key)}{delimiter}{quoted(as_string(value))}" for key, value in pairs])

    return apply(convert, (given["target"],))


def _severity(scope: Scope, given: Any) -> Expression:
    """Return the level whose criteria are met: ``{"error": [{"equals": ["err"]}, {"range": "5xx"}]}``."""
    mapping = given["severityMapping"]
    if not mapping.constant or not isinstance(mapping.constant[0], dict):
        msg = "severityMapping must be a map written out"
        raise ConditionError(msg)
    levels = {level: [_criterion(one) for one in _criteria(some)] for level, some in mapping.constant[0].items()}

    def find(value: Any) -> str:
        if type(value) not in {str, int}:
            msg = f"a string or whole number is needed, not {type(value).__name__}"
            raise EvaluationError(msg)
        for level, criteria in levels.items():
            if any(value in texts if isinstance(value, str) else value in numbers for texts, numbers in criteria):
                return str(level)
        msg = "no level fits"
        raise EvaluationError(msg)

    return apply(find, (given["target"],))


def _criteria(value: Any) -> list[Any]:
    if isinstance(value, list) and all(isinstance(one, dict) for one in value):
        return value
    msg = "each level needs a list of maps with equals or range"
    raise ConditionError(msg)


def _criterion(entry: dict[str, Any]) -> tuple[frozenset[str], range]:
    texts = entry.get("equals", [])
    span = entry.get("range", {"min": 0, "max": -1})
    if isinstance(span, str) and span in {"2xx", "3xx", "4xx", "5xx"}:
        span = {"min": int(span[0]) * 100, "max": int(span[0]) * 100 + 99}
    least, most = (span.get("min"), span.get("max")) if isinstance(span, dict) else (None, None)
    if not isinstance(texts, list) or not isinstance(least, int) or not isinstance(most, int):
        msg = "equals is a list of strings, range has min and max or is 2xx, 3xx, 4xx or 5xx"
        raise ConditionError(msg)
    return frozenset(str(text) for text in texts), range(least, most + 1)


COMPOSITES: tuple[Function, ...] = (
    simple("Keys", lambda target: list(_map(target)), "target"),
    simple("Values", lambda target: list(_map(target).values()), "target"),
    Function("Sort", ("target", "order?"), _sort),
    Function("SliceToMap", ("target", "keyPath*?", "valuePath*?"), _slice_to_map),
    Function("ToKeyValueString", ("target", "delimiter?", "pair_delimiter?", "sort_output?"), _key_value_string),
    Function("ParseSeverity", ("target", "severityMapping"), _severity),
)
