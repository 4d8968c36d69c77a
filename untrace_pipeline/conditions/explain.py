"""Why a condition holds or does not: each of its parts, asked by itself, with what was found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from untrace_pipeline.conditions.condition import compile_condition
from untrace_pipeline.conditions.config import ConditionSource, Operator
from untrace_pipeline.conditions.expression import Frame, Kind
from untrace_pipeline.conditions.locators import Locate
from untrace_pipeline.conditions.values import as_string
from untrace_pipeline.data import Batch, Level, Value
from untrace_pipeline.errors import EvaluationError

__all__ = ["Part", "explain_condition"]

_LONGEST = 80
"""Characters of a value that are shown."""


@dataclass(frozen=True, slots=True)
class Part:
    """A condition, or a part of one, with its answers for the rows of a batch."""

    text: str
    depth: int
    """0 for the condition itself, 1 for what stands below it …"""
    holds: list[bool | None]
    """By row; ``None`` where there is no answer."""
    found: list[str | None]
    """What the field was, by row, cut short; ``None`` where it is absent or the part has no field."""
    has_field: bool = False


def explain_condition(source: ConditionSource, batch: Batch, find: Locate, depth: int = 0) -> Iterator[Part]:
    """Yield a condition over items, and then its parts. Costs as much as asking each of them alone."""
    answers = compile_condition(source, batch.signal, Level.ITEM, find).answers(batch)
    holds = [None if isinstance(answer, EvaluationError) else bool(answer) for answer in answers]
    nothing: list[str | None] = [None] * len(holds)
    if isinstance(source, str):
        yield Part(source, depth, holds, nothing)
    elif source.field is not None:
        found = [_shown(value) for value in _values(source.field, batch, find)]
        yield Part(_question(source.field, source.operator, source.value), depth, holds, found, has_field=True)
    else:
        word, parts = _parts(source)
        yield Part(word, depth, holds, nothing)
        for part in parts:
            yield from explain_condition(part, batch, find, depth + 1)


def _parts(source: Any) -> tuple[str, list[ConditionSource]]:
    if source.all is not None:
        return "all of", source.all
    if source.any is not None:
        return "any of", source.any
    return "not", [source.not_]


def _question(field: str, operator: Operator | None, value: Any) -> str:
    if operator is Operator.EXISTS:
        return f"{field} {'does not exist' if value is False else 'exists'}"
    return f"{field} {operator} {orjson.dumps(value, default=str).decode()}"


def _values(field: str, batch: Batch, find: Locate) -> list[Any]:
    expression = find(field, batch.signal, Level.ITEM).expression
    fields = tuple(expression.fields)
    columns = dict(zip(fields, batch.columns(fields, Level.ITEM), strict=True)) if fields else {}
    found = expression.evaluate(Frame(batch.context, batch.item_count, Level.ITEM, columns, batch))
    return [list(value) or None for value in found] if expression.kind is Kind.MANY else found


def _shown(value: Value) -> str | None:
    if value is None or isinstance(value, EvaluationError):
        return None
    text = f'"{value}"' if isinstance(value, str) else as_string(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
