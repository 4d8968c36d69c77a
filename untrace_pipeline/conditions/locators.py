"""Paths of our own form: simple ones become direct reads of a field, all others are JSONPath over a view of a row."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from untrace_pipeline.conditions.expression import Expression, Frame, Kind, apply, from_context, read
from untrace_pipeline.conditions.indexing import reach
from untrace_pipeline.conditions.json_paths import json_finder
from untrace_pipeline.conditions.names import PATHS, context_levels, own_context
from untrace_pipeline.conditions.requests import client_address, context_value, metadata_values
from untrace_pipeline.data import ATTRIBUTES, Field, Level, Signal

__all__ = ["Locate", "Located", "RowViews", "locate", "plain_steps"]

_STEP = re.compile(
    r"""(?P<name>[A-Za-z_][\w-]*)
    | \[ \s* (?: (?P<quoted>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*') | (?P<index>\d{1,9}) ) \s* \]""",
    re.VERBOSE,
)
_TIMES = frozenset({"time", "start_time", "end_time", "observed_time"})
_BY_NAME = frozenset({"item", "event", "link"})


@dataclass(frozen=True, slots=True)
class Located:
    """What a path reads.

    ``fixed`` is the name of the fixed field, if it is one: there, zero and empty mean absent. A simple path knows its
    ``field``, and the ``keys`` that lead from there to what it means.
    """

    expression: Expression
    fixed: str = ""
    field: Field | None = None
    keys: tuple[str | int, ...] = ()
    wildcards: bool = False
    """Whether ``*`` in a string that it is compared with stands for any characters."""


@dataclass(frozen=True, slots=True)
class _Step:
    """``.name`` or ``["key"]`` or ``[0]``."""

    key: str | int
    dotted: bool


Steps: TypeAlias = Sequence[_Step]
Locate: TypeAlias = Callable[[str, Signal, Level], Located]
"""Finds what a path reads, as :func:`locate` does."""


def locate(path: str, signal: Signal, level: Level) -> Located:
    """Return what a path reads at a level. Raises :class:`ConditionError` if it is neither simple nor a JSONPath."""
    steps = _steps(path)
    if steps:
        found = _from_request(steps) or _from_batch(steps, signal, level)
        if found is not None:
            return found
    return Located(_json_path(path, signal, level))


def plain_steps(path: str) -> list[str | int]:
    """Return the names and indexes of a simple path; nothing if it is not simple."""
    return [step.key for step in _steps(path)]


def _steps(path: str) -> Steps:
    """Split a simple path, or return nothing if it is not simple."""
    path = path.strip().removeprefix("$.").removeprefix("$")
    steps: list[_Step] = []
    position = 0
    while position < len(path):
        if steps and path[position] == ".":
            position += 1
        elif steps and path[position] != "[":
            return ()
        match = _STEP.match(path, position)
        if match is None:
            return ()
        if match["name"] is not None:
            steps.append(_Step(match["name"], dotted=True))
        else:
            key = int(match["index"]) if match["index"] is not None else ast.literal_eval(match["quoted"])
            steps.append(_Step(key, dotted=False))
        position = match.end()
    return steps


def _from_request(steps: Steps) -> Located | None:
    """Read ``request["X-Tenant"]``, ``metadata.x-tenant``, ``client.address`` and ``auth.subject``."""
    first, *rest = [step.key for step in steps]
    name = ".".join(str(key) for key in rest)
    if first in {"request", "metadata"} and rest:
        return Located(from_context(metadata_values(name), Kind.MANY))
    if first == "client" and name == "address":
        return Located(from_context(lambda context: client_address(context) or None))
    if first == "auth" and rest:
        return Located(from_context(context_value(f"auth.{name}")))
    return None


def _from_batch(steps: Steps, signal: Signal, level: Level) -> Located | None:
    context, own, steps = _context(steps, signal, level)
    if steps and steps[0].key in {ATTRIBUTES, *(("metadata",) if context == "metric" else ())}:
        return _attribute(own, steps[1:])
    for length in (2, 1):
        name = ".".join(str(step.key) for step in steps[:length])
        leaf = PATHS[context].get(name)
        if leaf is not None and name in {leaf.field, *_TIMES} and len(steps) >= length:
            # A plain read: here, other than in OTTL, ids compare with hexadecimal text and times with numbers.
            return _indexed(_plain(Field(own, leaf.field), leaf.field), steps[length:])
    return None


def _context(steps: Steps, signal: Signal, level: Level) -> tuple[str, Level, Steps]:
    levels = context_levels(signal, level)
    own = own_context(signal, level)
    if len(steps) > 1 and steps[0].dotted:
        name = str(steps[0].key)
        if name in levels:
            return name, levels[name], steps[1:]
        if name in _BY_NAME:
            name = own_context(signal, {"item": Level.ITEM, "event": Level.EVENT, "link": Level.LINK}[name])
            if name in levels:
                return name, levels[name], steps[1:]
    return own, level, steps


def _attribute(level: Level, steps: Steps) -> Located | None:
    """Read one attribute: dots after ``attributes`` belong to the key, brackets end it and index into its value."""
    if not steps:
        return _plain(Field(level, ATTRIBUTES))
    length = 1
    if steps[0].dotted:
        while length < len(steps) and steps[length].dotted:
            length += 1
    key = ".".join(str(step.key) for step in steps[:length])
    if isinstance(steps[0].key, int):
        return None
    return _indexed(_plain(Field(level, ATTRIBUTES, key)), steps[length:])


def _plain(field: Field, fixed: str = "") -> Located:
    return Located(read(field), fixed, field)


def _indexed(located: Located, steps: Steps) -> Located:
    if not steps:
        return located
    keys = tuple(step.key for step in steps)
    inside = apply(lambda value: _reach_or_none(value, keys), (located.expression,), safe=True)
    return Located(inside, field=located.field, keys=keys)


def _reach_or_none(value: Any, keys: Sequence[str | int]) -> Any:
    for key in keys:
        fits = isinstance(key, str) if isinstance(value, dict) else isinstance(value, list) and isinstance(key, int)
        if not fits or (isinstance(value, list) and isinstance(key, int) and key >= len(value)):
            return None
        value = reach(value, key)
    return value


# ------------------------------------------------------------------- JSONPath


def _json_path(path: str, signal: Signal, level: Level) -> Expression:
    """Return all values that a JSONPath finds in the JSON-like view of a row."""
    find, views = json_finder(path), RowViews(signal, level)
    return Expression(lambda frame: [find(view) for view in views.rows(frame)], views.fields, Kind.MANY)


class RowViews:
    """JSON-like views of the rows of a level, with all that they see."""

    def __init__(self, signal: Signal, level: Level) -> None:
        self._places = _views(signal, level)
        self.fields = frozenset(field for _, _, field in self._places)

    def rows(self, frame: Frame) -> list[dict[str, Any]]:
        """Return a view of each row."""
        columns = [(outer, name, frame.columns[field]) for outer, name, field in self._places]
        return [_view(columns, row) for row in range(frame.size)]


def _views(signal: Signal, level: Level) -> list[tuple[str, str, Field]]:
    """Return (place in the view, name there, field) of all that a row sees; its own fields stand at the top."""
    own = own_context(signal, level)
    found = []
    for context, outer in context_levels(signal, level).items():
        if context == "instrumentation_scope":
            continue
        place = "" if context == own else context
        names = {leaf.field for leaf in PATHS[context].values()}
        found += [(place, name, Field(outer, name)) for name in sorted(names)]
        found.append((place, ATTRIBUTES, Field(outer, ATTRIBUTES)))
    return found


def _view(columns: Sequence[tuple[str, str, list[Any]]], row: int) -> dict[str, Any]:
    view: dict[str, Any] = {}
    for place, name, column in columns:
        value = column[row]
        if value is None:
            continue
        target = view.setdefault(place, {}) if place else view
        holder, _, last = name.rpartition(".")
        target = target.setdefault(holder, {}) if holder else target
        target[last] = value.hex() if isinstance(value, bytes) else value
    return view
