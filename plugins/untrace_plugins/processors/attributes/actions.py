"""Actions on attributes, compiled to functions over columns."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from untrace_pipeline.conditions.patterns import compile_pattern, found_in
from untrace_pipeline.conditions.requests import context_value
from untrace_pipeline.conditions.values import as_string, parse_float, parse_int, truncate
from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Value
from untrace_plugins.processors.attributes.config import Action, ActionConfig, TargetType

__all__ = ["Workspace", "compile_actions", "keys_read"]

Column: TypeAlias = list[Value]


class Workspace:
    """The attribute columns of some rows of a batch while actions run; only what changed is written back."""

    def __init__(self, batch: Batch, level: Level, rows: Sequence[int] | None, keys: Sequence[str]) -> None:
        self.batch = batch
        self.size = batch.row_count(level) if rows is None else len(rows)
        self._level = level
        self._rows = rows
        self._before: dict[str, Column] = {}
        self._columns: dict[str, Column] = {}
        if keys:
            self._read(keys)

    def get(self, key: str) -> Column:
        """Return the column of an attribute as the actions so far have left it; do not change it in place."""
        if key not in self._columns:
            self._read([key])
        return self._columns[key]

    def put(self, key: str, column: Column) -> None:
        """Replace the column of an attribute; ``None`` removes it from a row."""
        self._columns[key] = column

    def keys(self) -> set[str]:
        """Return every key that some row has."""
        self.write()
        whole = Field(self._level, ATTRIBUTES)
        maps = self.batch.columns([whole], self._level, self._rows)[0]
        return {key for attributes in maps if isinstance(attributes, dict) for key in attributes}

    def write(self) -> None:
        """Write the rows that changed to the batch."""
        for key, column in self._columns.items():
            before = self._before.get(key)
            if before is column:
                continue
            field = Field(self._level, ATTRIBUTES, key)
            if before is None:
                self.batch.set(field, column, self._rows)
            else:
                self._write_changes(field, before, column)
            self._before[key] = column

    def _write_changes(self, field: Field, before: Column, column: Column) -> None:
        changed = [i for i, (old, new) in enumerate(zip(before, column, strict=True)) if old is not new]
        if len(changed) == self.size:
            self.batch.set(field, column, self._rows)
        elif changed:
            rows = changed if self._rows is None else [self._rows[i] for i in changed]
            self.batch.set(field, [column[i] for i in changed], rows)

    def _read(self, keys: Sequence[str]) -> None:
        fields = [Field(self._level, ATTRIBUTES, key) for key in keys]
        columns = dict(zip(keys, self.batch.columns(fields, self._level, self._rows), strict=True))
        self._before.update(columns)
        self._columns.update(columns)


Step: TypeAlias = Callable[[Workspace], None]
Source: TypeAlias = Callable[[Workspace], Iterable[Value]]


def keys_read(actions: Sequence[ActionConfig]) -> list[str]:
    """Return the attributes that the actions look at, so that they can be read in one pass over the items."""
    read = [action.key for action in actions if action.key and not _overwrites(action)]
    return list(dict.fromkeys(read + [action.from_attribute for action in actions if action.from_attribute]))


def _overwrites(action: ActionConfig) -> bool:
    return action.action is Action.UPSERT and action.value is not None


def compile_actions(actions: Sequence[ActionConfig]) -> list[Step]:
    """Return one function per action."""
    return [_STEPS[action.action](action) for action in actions]


# -------------------------------------------------------------------- writing


def _source(action: ActionConfig) -> Source:
    """Return where the values come from: one per row, ``None`` where there is none."""
    default = action.default_value
    if action.value is not None:
        value = action.value
        return lambda space: [value] * space.size
    if action.from_context:
        reader = context_value(action.from_context)

        def from_context(space: Workspace) -> Column:
            found = reader(space.batch.context)
            return [default if found is None else found] * space.size

        return from_context
    if action.from_attribute:
        other = action.from_attribute
        return lambda space: [default if value is None else value for value in space.get(other)]
    return lambda space: [default] * space.size


def _insert(action: ActionConfig) -> Step:
    key, source = action.key, _source(action)

    def insert(space: Workspace) -> None:
        pairs = zip(space.get(key), source(space), strict=True)
        space.put(key, [new if old is None else old for old, new in pairs])

    return insert


def _update(action: ActionConfig) -> Step:
    key, source = action.key, _source(action)

    def update(space: Workspace) -> None:
        pairs = zip(space.get(key), source(space), strict=True)
        space.put(key, [old if old is None or new is None else new for old, new in pairs])

    return update


def _upsert(action: ActionConfig) -> Step:
    key, source = action.key, _source(action)

    def upsert(space: Workspace) -> None:
        values = list(source(space))
        if None in values:
            values = [old if new is None else new for old, new in zip(space.get(key), values, strict=True)]
        space.put(key, values)

    return upsert


# ------------------------------------------------------------ removing, hashing


def _meant(action: ActionConfig) -> Callable[[Workspace], list[str]]:
    """Return the attributes that an action with ``key`` and ``pattern`` means: in the Collector's order, key first."""
    if not action.pattern:
        return lambda space: [action.key]
    test = found_in((action.pattern,))

    def meant(space: Workspace) -> list[str]:
        keys = sorted(space.keys())
        found = [key for key, wanted in zip(keys, test(keys), strict=True) if wanted]
        return [action.key, *found] if action.key else found

    return meant


def _delete(action: ActionConfig) -> Step:
    meant = _meant(action)

    def delete(space: Workspace) -> None:
        for key in meant(space):
            space.get(key)
            space.put(key, [None] * space.size)

    return delete


def _hash(action: ActionConfig) -> Step:
    meant = _meant(action)

    def hash_values(space: Workspace) -> None:
        for key in meant(space):
            space.put(key, [None if value is None else _hashed(value) for value in space.get(key)])

    return hash_values


def _hashed(value: Value) -> str:
    """Return the SHA-256 of a value in hexadecimal; what is no string, boolean or number becomes empty."""
    if isinstance(value, str):
        raw = value.encode("utf-8", "surrogatepass")
    elif isinstance(value, bool):
        raw = b"\x01" if value else b"\x00"
    elif isinstance(value, int):
        raw = struct.pack("<q", value)
    elif isinstance(value, float):
        raw = struct.pack("<d", value)
    else:
        return ""
    return hashlib.sha256(raw).hexdigest()


# ------------------------------------------------------- extracting, converting


def _extract(action: ActionConfig) -> Step:
    key, pattern = action.key, compile_pattern(action.pattern)
    names = [name for name, _ in sorted(pattern.groupindex.items(), key=lambda item: item[1])]
    search = pattern.search

    def extract(space: Workspace) -> None:
        column = space.get(key)
        found = [(row, search(value)) for row, value in enumerate(column) if isinstance(value, str)]
        hits = [(row, match) for row, match in found if match is not None]
        if not hits:
            return
        for number, name in enumerate(names, 1):
            target = space.get(name).copy()
            for row, match in hits:
                target[row] = match.group(number) or ""
            space.put(name, target)

    return extract


def _convert(action: ActionConfig) -> Step:
    key = action.key
    assert action.converted_type is not None  # the model's validator has seen to it
    convert = _CONVERSIONS[action.converted_type]

    def convert_values(space: Workspace) -> None:
        space.put(key, [None if value is None else convert(value) for value in space.get(key)])

    return convert_values


def _to_int(value: Value) -> Value:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return truncate(value)
    if isinstance(value, str):
        number = parse_int(value)
        return value if number is None else number
    return value


def _to_double(value: Value) -> Value:
    if isinstance(value, bool | int):
        return float(value)
    if isinstance(value, str):
        number = parse_float(value)
        return value if number is None else number
    return value


_CONVERSIONS: dict[TargetType, Callable[[Value], Value]] = {
    TargetType.STRING: as_string,
    TargetType.INT: _to_int,
    TargetType.DOUBLE: _to_double,
}
_STEPS: dict[Action, Callable[[ActionConfig], Step]] = {
    Action.INSERT: _insert,
    Action.UPDATE: _update,
    Action.UPSERT: _upsert,
    Action.DELETE: _delete,
    Action.HASH: _hash,
    Action.EXTRACT: _extract,
    Action.CONVERT: _convert,
}
