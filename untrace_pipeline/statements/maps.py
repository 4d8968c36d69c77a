"""What editors do to maps and lists: functions from an old value to a new one, the same object if nothing changes."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from untrace_pipeline.conditions.values import as_string
from untrace_pipeline.data import Value
from untrace_pipeline.errors import EvaluationError

__all__ = [
    "append",
    "delete_index",
    "flatten",
    "keep_where",
    "limit",
    "list_of",
    "map_of",
    "merge_maps",
    "stringify",
    "truncate",
    "truncated",
    "with_text",
]

Map = dict[str, Value]


def map_of(value: Any) -> Map:
    """Return a map. Raises :class:`EvaluationError` for anything else."""
    if isinstance(value, dict):
        return value
    msg = f"a map is needed, not {type(value).__name__}"
    raise EvaluationError(msg)


def list_of(value: Any) -> list[Value]:
    """Return a list. Raises :class:`EvaluationError` for anything else."""
    if isinstance(value, list):
        return value
    msg = f"a list is needed, not {type(value).__name__}"
    raise EvaluationError(msg)


def keep_where(current: Any, wanted: Callable[[str], Any]) -> Map:
    """Return a map with the keys that are wanted."""
    old = map_of(current)
    new = {key: value for key, value in old.items() if wanted(key)}
    return new if len(new) < len(old) else old


def limit(current: Any, count: int, priority: Collection[str]) -> Map:
    """Return a map of at most so many entries: those with priority, and then the first."""
    old = map_of(current)
    if len(old) <= count:
        return old
    free = count - sum(key in old for key in priority)
    others = [key for key in old if key not in priority][:free]
    kept = {*others, *priority}
    return {key: value for key, value in old.items() if key in kept}


def truncate(current: Any, size: int, marker: str) -> Map:
    """Return a map whose texts have at most ``size`` bytes, cut between characters, ``marker`` included."""
    return with_text(map_of(current), lambda text: truncated(text, size, marker), longer_than=size // 4)


def truncated(text: str, size: int, marker: str = "") -> str:
    """Return a text of at most ``size`` bytes, cut between characters; ``marker`` stands at the end of a cut one."""
    if len(text) * 4 <= size or (len(text) <= size and text.isascii()):
        return text
    raw = text.encode("utf-8", "replace")
    if len(raw) <= size:
        return text
    return raw[: size - len(marker.encode())].decode("utf-8", "ignore") + marker


def with_text(old: Map, change: Callable[[str], str], longer_than: int = -1) -> Map:
    """Return a map whose texts of more characters went through a function; nothing inside of lists and maps."""
    changed = {}
    for key in [key for key, value in old.items() if value.__class__ is str and len(value) > longer_than]:
        new = change(old[key])  # type: ignore[arg-type]
        if new is not old[key]:
            changed[key] = new
    return {**old, **changed} if changed else old


def stringify(current: Any) -> Map:
    """Return a map whose values are all text."""
    return {key: as_string(value) for key, value in map_of(current).items()}


def merge_maps(current: Any, source: Any, strategy: str) -> Map:
    """Return a map with the entries of another: new ones (``insert``), known ones (``update``), or all (``upsert``)."""
    old, other = map_of(current), map_of(source)
    if strategy == "insert":
        return {**old, **{key: value for key, value in other.items() if key not in old}}
    if strategy == "update":
        return {key: other.get(key, value) for key, value in old.items()}
    return {**old, **other}


def append(current: Any, *values: Any) -> list[Value]:
    """Return a list with values at its end; a single value becomes a list of it, nothing an empty one."""
    if isinstance(current, dict):
        msg = "a map has no end to append to"
        raise EvaluationError(msg)
    before = [] if current is None else current if isinstance(current, list) else [current]
    return [*before, *values]


def delete_index(current: Any, start: Any, end: Any = None) -> list[Value]:
    """Return a list without the elements from ``start`` up to and without ``end`` (default: that one element)."""
    values = list_of(current)
    if type(start) is not int or type(end) not in {int, type(None)}:
        msg = "an index is a whole number"
        raise EvaluationError(msg)
    stop = start + 1 if end is None else end
    if (start, stop) == (0, len(values)):
        return []
    if not 0 <= start < len(values) or not start <= stop <= len(values):
        msg = f"from {start} to {stop} is out of bounds of {len(values)} values"
        raise EvaluationError(msg)
    return values[:start] + values[stop:]


def flatten(current: Any, prefix: str, depth: int, *, resolve_conflicts: bool) -> Map:
    """Return a map with what lies in nested maps and lists moved to the top: ``{"a": {"b": 1}}`` becomes ``a.b``."""
    flat = _Flat(depth, resolve_conflicts)
    flat.map(map_of(current), f"{prefix}." if prefix else "", 0)
    return flat.result


@dataclass(slots=True)
class _Flat:
    depth: int
    resolve: bool
    result: Map = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)

    def map(self, values: Map, prefix: str, level: int) -> None:
        for key, value in values.items():
            self.value(prefix + key, value, level)

    def value(self, key: str, value: Value, level: int) -> None:
        if isinstance(value, dict) and level < self.depth:
            self.map(value, f"{key}.", level + 1)
        elif isinstance(value, list) and level < self.depth:
            for number, element in enumerate(value):
                self.element(key, number, element, level + 1)
        else:
            self.put(key, value)

    def element(self, key: str, number: int, value: Value, level: int) -> None:
        if isinstance(value, dict | list) and level < self.depth:
            self.value(f"{key}.{number}", value, level)
        else:
            self.put(key if self.resolve else f"{key}.{number}", value)

    def put(self, key: str, value: Value) -> None:
        if self.resolve and key in self.result:
            number = self.seen.get(key, 0)
            self.seen[key] = number + 1
            key = f"{key}.{number}"
        self.result[key] = value
