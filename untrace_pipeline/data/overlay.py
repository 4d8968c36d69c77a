"""Pending edits of a batch: what they hide and change of the table below them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from untrace_pipeline.data.codec import Edits, Table
from untrace_pipeline.data.fields import ATTRIBUTES, Field, Level, Value

__all__ = ["Overlay"]

_CHAIN = (Level.RESOURCE, Level.SCOPE, Level.METRIC, Level.ITEM)


class Overlay:
    """Edits in rows of a table, and what is left of its rows. ``clone()`` before changing one that is shared."""

    __slots__ = ("_kept", "edits")

    def __init__(self) -> None:
        self.edits = Edits()
        self._kept: dict[Level, list[int]] = {}

    def clone(self) -> Overlay:
        """Return an overlay of its own with the same edits."""
        twin = Overlay()
        twin.edits.values = {field: dict(values) for field, values in self.edits.values.items()}
        twin.edits.drop = {level: set(rows) for level, rows in self.edits.drop.items()}
        twin._kept = dict(self._kept)
        return twin

    def set(self, field: Field, rows: Sequence[int], values: Sequence[Value]) -> None:
        """Give a field new values in rows of the table; a whole map replaces what was set key by key before it."""
        if field.name == ATTRIBUTES and field.key is None:
            for other, by_row in self.edits.values.items():
                if other.level is field.level and other.name == ATTRIBUTES and other.key is not None:
                    for row in rows:
                        by_row.pop(row, None)
        self.edits.values.setdefault(field, {}).update(zip(rows, values, strict=True))

    def drop(self, level: Level, rows: AbstractSet[int]) -> None:
        """Hide rows of the table with all that is below them."""
        self.edits.drop.setdefault(level, set()).update(rows)
        self._kept.clear()

    def kept(self, table: Table, level: Level) -> list[int] | None:
        """Return the rows of the table that are left of a level, or ``None`` for all of them."""
        if not self.edits.drop:
            return None
        if level not in self._kept:
            gone = self._gone(table, level)
            self._kept[level] = [row for row in range(table.row_count(level)) if row not in gone]
        return self._kept[level]

    def _gone(self, table: Table, level: Level) -> AbstractSet[int]:
        """Return the rows that were dropped, lie in a dropped row, or have lost their last child."""
        gone = set(self.edits.drop.get(level, ()))
        for outer, rows in self.edits.drop.items():
            if outer < level and outer <= Level.ITEM and table.row_count(outer):
                gone.update(row for row, parent in enumerate(table.parents(level, outer)) if parent in rows)
        if level < Level.ITEM:
            inner = next(other for other in _CHAIN if other > level and _exists(table, other))
            parents = table.parents(inner, level)
            kept = self.kept(table, inner)
            if kept is not None:
                gone.update(set(parents).difference([parents[row] for row in kept]))
        return gone

    def patch(self, field: Field, rows: Sequence[int], values: list[Value]) -> list[Value]:
        """Return a column of the table as it is after the edits."""
        edits = self.edits.values
        if field.name != ATTRIBUTES:
            return _patched(edits.get(field), rows, values)
        whole = edits.get(Field(field.level, ATTRIBUTES))
        if field.key is not None:
            if whole:
                key = field.key
                values = _patched({row: m.get(key) for row, m in whole.items() if isinstance(m, dict)}, rows, values)
            return _patched(edits.get(field), rows, values)
        values = _patched(whole, rows, values)
        for edited, by_row in edits.items():
            if edited.level is field.level and edited.name == ATTRIBUTES and edited.key is not None:
                values = [
                    _with_key(value, edited.key, by_row[row]) if row in by_row else value
                    for row, value in zip(rows, values, strict=True)
                ]
        return values


def _exists(table: Table, level: Level) -> bool:
    """Whether a level has rows; only metrics have the level between scope and item."""
    return level is not Level.METRIC or table.row_count(level) > 0


def _patched(by_row: Mapping[int, Value] | None, rows: Sequence[int], values: list[Value]) -> list[Value]:
    if not by_row:
        return values
    get = by_row.get
    return [get(row, value) for row, value in zip(rows, values, strict=True)]


def _with_key(attributes: Value, key: str, value: Value) -> Value:
    changed = dict(attributes) if isinstance(attributes, dict) else {}
    if value is None:
        changed.pop(key, None)
    else:
        changed[key] = value
    return changed
