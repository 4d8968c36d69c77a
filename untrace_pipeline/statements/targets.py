"""What statements can write to: from a path to the field behind it, and the values that it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as member
from typing import Any

from untrace_pipeline.conditions.converters import id_of_size
from untrace_pipeline.conditions.expression import Expression, Kind, constant
from untrace_pipeline.conditions.locators import locate
from untrace_pipeline.conditions.names import PATHS
from untrace_pipeline.conditions.ottl import compile_value
from untrace_pipeline.conditions.paths import CACHE, Scope
from untrace_pipeline.conditions.tree import Node, Path
from untrace_pipeline.data import ATTRIBUTES, Field, Level, Signal, Value
from untrace_pipeline.data.fields import READ_ONLY
from untrace_pipeline.errors import ConditionError, EvaluationError
from untrace_pipeline.statements.places import put_inside, put_trace_state
from untrace_pipeline.statements.storable import storable

__all__ = ["Target", "compile_target", "locate_target"]

_TIMES = ("time", "start_time", "end_time", "observed_time")
_SPAN_KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")


@dataclass(frozen=True, slots=True)
class Target:
    """A place to write to. ``keys`` lead from the value of the field to a place inside of it."""

    read: Expression
    field: Field
    accept: Callable[[Any], Value]
    """Returns a value as the field takes it. Raises :class:`EvaluationError`."""
    kind: Kind = Kind.VALUE
    """What a value must be, as far as it is known when the statement is compiled."""
    keys: tuple[Expression, ...] = ()
    root: Expression | None = member(default=None)
    """The value of the field, where keys lead into it."""
    place: Callable[[Any, Sequence[Any], Value], Any] = put_inside
    """Returns the value of the field with something put where the keys lead."""


def compile_target(node: Node, scope: Scope) -> Target:
    """Return what a statement writes to. Raises :class:`ConditionError`."""
    if not isinstance(node, Path):
        raise scope.fail("a path that can be written to is needed here", node.position)
    keys = [[compile_value(key, scope) for key in segment.keys] for segment in node.segments]
    read = scope.resolve(node, keys)
    first = node.segments[0].name
    if first in {"request", "otelcol"}:
        raise scope.fail("what belongs to the request cannot be written", node.position)
    context, level, segments = scope.context_of(node)
    name = ".".join(segment.name for segment in segments)
    last = tuple(keys[-1])
    if name in {ATTRIBUTES, CACHE} or (context == "metric" and name == "metadata"):
        return _map_target(Field(level, CACHE if name == CACHE else ATTRIBUTES), read, last, scope)
    leaf = PATHS[context][name]
    if leaf.field in READ_ONLY:
        raise scope.fail(f"{name} follows from other fields and cannot be written", node.position)
    field = Field(level, leaf.field)
    if name == "trace_state" and last:
        whole = scope.resolve(node, [*keys[:-1], []])
        return Target(read, field, _text, keys=last, root=whole, place=put_trace_state)
    if name == "body":
        return Target(read, field, storable, keys=last, root=scope.resolve(node, [*keys[:-1], []]) if last else None)
    return Target(read, field, _ACCEPT.get(name, _text), leaf.kind)


def locate_target(path: str, signal: Signal, level: Level) -> Target:
    """Return what a path of our own form means as a place to write to. Raises :class:`ConditionError`."""
    located = locate(path, signal, level)
    field = located.field
    if field is None or field.name in READ_ONLY:
        msg = f"{path!r} is nothing that can be written to: name a field, such as attributes.user.id"
        raise ConditionError(msg)
    keys = tuple(constant(key) for key in located.keys)
    if field.name != ATTRIBUTES:
        accept = storable if field.name == "body" else _ACCEPT.get(field.name, _text)
    else:
        accept = _map if field.key is None and not keys else storable
    return Target(located.expression, field, accept, keys=keys, root=read_field(field) if keys else None)


def _map_target(whole: Field, read: Expression, keys: tuple[Expression, ...], scope: Scope) -> Target:
    if not keys:
        return Target(read, whole, _map)
    first, *rest = keys
    if not first.constant:
        return Target(read, whole, storable, keys=keys, root=read_field(whole))
    if not isinstance(first.constant[0], str):
        raise scope.fail("a map is indexed with a string", 0)
    field = Field(whole.level, whole.name, first.constant[0])
    return Target(read, field, storable, keys=tuple(rest), root=read_field(field) if rest else None)


def read_field(field: Field) -> Expression:
    """Return a field as it is kept, an absent map as nothing."""
    return Expression(lambda frame: frame.columns[field], frozenset({field}))


def _map(value: Any) -> Value:
    if isinstance(value, dict):
        return storable(value)
    raise _unfit("a map", value)


def _text(value: Any) -> Value:
    if isinstance(value, str):
        return storable(value)
    raise _unfit("a string", value)


def _unfit(wanted: str, value: Any) -> EvaluationError:
    return EvaluationError(f"{wanted} is needed, not {type(value).__name__}")


def _id(size: int) -> Callable[[Any], Value]:
    def accept(value: Any) -> Value:
        if isinstance(value, bytes) and len(value) == size:
            return value
        raise _unfit("an id", value)

    return accept


def _from_text(convert: Callable[[str], Value]) -> Callable[[Any], Value]:
    return lambda value: convert(str(_text(value)))


def _named(names: Sequence[str]) -> Callable[[str], Value]:
    numbers = {name: number for number, name in enumerate(names)}

    def convert(name: str) -> Value:
        if name in numbers:
            return numbers[name]
        msg = f"this is none of {', '.join(numbers)}"
        raise EvaluationError(msg)

    return convert


def _of_type(type_: type[float]) -> Callable[[Any], Value]:
    def accept(value: Any) -> Value:
        if type(value) is type_:
            return value
        raise _unfit(type_.__name__, value)

    return accept


def _number(value: Any) -> Value:
    if type(value) in {int, float}:
        return storable(value)
    raise _unfit("a number", value)


def _whole(least: int, end: int) -> Callable[[Any], Value]:
    """Return a check for whole numbers in ``[least, end)``."""

    def accept(value: Any) -> Value:
        if type(value) is not int:
            raise _unfit("a whole number", value)
        if not least <= value < end:
            msg = "the number does not fit"
            raise EvaluationError(msg)
        return value

    return accept


_KIND_SYMBOLS = [f"SPAN_KIND_{kind.upper()}" for kind in _SPAN_KINDS]
_INT32, _UINT32, _UINT64 = (-(1 << 31), 1 << 31), (0, 1 << 32), (0, 1 << 64)

_ACCEPT: Mapping[str, Callable[[Any], Value]] = {
    "trace_id": _id(16),
    "trace_id.string": _from_text(id_of_size(16)),
    **dict.fromkeys(("span_id", "parent_span_id"), _id(8)),
    **dict.fromkeys(("span_id.string", "parent_span_id.string"), _from_text(id_of_size(8))),
    "kind.string": _from_text(_named(_SPAN_KINDS)),
    "kind.deprecated_string": _from_text(_named(_KIND_SYMBOLS)),
    **{f"{name}{unit}": _whole(*_UINT64) for name in _TIMES for unit in ("", "_unix_nano")},
    **dict.fromkeys(("kind", "status.code", "severity_number"), _whole(*_INT32)),
    **dict.fromkeys(("flags", "dropped_attributes_count"), _whole(*_UINT32)),
    "aggregation_temporality": _whole(0, 3),
    "is_monotonic": _of_type(bool),
    "value": _number,
    "value_int": _whole(-(1 << 63), 1 << 63),
    **dict.fromkeys(("value_double", "sum"), _of_type(float)),
    "count": _whole(*_UINT64),
}
"""Checks of fixed fields by path; all others take a string."""
