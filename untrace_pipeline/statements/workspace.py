"""The columns of a batch while statements work on them: read once, changed in place of a copy, written back once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from untrace_pipeline.conditions.expression import Frame
from untrace_pipeline.conditions.paths import CACHE
from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Value

__all__ = ["Workspace"]

Column = list[Any]


class Workspace:
    """The fields of one level, and of the levels around it, with the edits so far.

    Columns have one value per row of ``level``; those of outer levels are kept per row of their own level and repeated.
    At a level in ``whole`` attributes are kept as maps, elsewhere key by key. Values are shared: not to be changed.
    """

    def __init__(self, batch: Batch, level: Level, whole: frozenset[Level] = frozenset()) -> None:
        self.batch = batch
        self.level = level
        self.size = batch.item_count if level is Level.ITEM else batch.row_count(level)
        self._whole = whole
        self._before: dict[Field, Column] = {}
        self._columns: dict[Field, Column] = {}
        self._owners: dict[Level, list[int]] = {}
        self._spread: dict[Field, Column] = {}

    def fetch(self, fields: Sequence[Field]) -> None:
        """Read fields that will be asked for, all of a level in one go."""
        by_level: dict[Level, list[Field]] = {}
        for field in dict.fromkeys(self._kept(field) for field in fields):
            if field not in self._columns:
                by_level.setdefault(field.level, []).append(field)
        for level, wanted in by_level.items():
            self._read(level, wanted)

    def frame(self, rows: Sequence[int]) -> Frame:
        """Return what expressions are evaluated over for some rows, in ascending order."""
        if len(rows) == self.size:
            return Frame(self.batch.context, self.size, self.level, _View(self), self.batch)
        return Frame(self.batch.context, len(rows), self.level, _Selection(self, rows), self.batch, rows)

    def column(self, field: Field) -> Column:
        """Return a field as the edits so far have left it, per row of the workspace's level; not to be changed."""
        kept = self._kept(field)
        if kept.level is not self.level:
            column = self._spread.get(kept)
            if column is None:
                values = self._own(kept)
                column = self._spread[kept] = [values[owner] for owner in self._owner(kept.level)]
        else:
            column = self._own(kept)
        if kept is field:
            return column
        key = field.key
        return [attributes.get(key) if attributes else None for attributes in column]

    def values(self, field: Field, rows: Sequence[int]) -> Column:
        """Return :meth:`column` for some rows; costs no more than these."""
        kept = self._kept(field)
        column = self._own(kept)
        if kept.level is not self.level:
            owners = self._owner(kept.level)
            found = [column[owners[row]] for row in rows]
        else:
            found = [column[row] for row in rows]
        if kept is field:
            return found
        key = field.key
        return [attributes.get(key) if attributes else None for attributes in found]

    def put(self, field: Field, rows: Sequence[int], values: Sequence[Value]) -> None:
        """Give a field new values in rows of the workspace's level; ``None`` removes it.

        Rows that share an outer row write one after the other: the last one stays.
        """
        kept = self._kept(field)
        if kept.level is not self.level:
            owners = self._owner(kept.level)
            rows = [owners[row] for row in rows]
            self._spread.pop(kept, None)
        elif len(rows) == self.size and kept is field:
            self._own(kept)
            self._columns[kept] = list(values)
            return
        column = self._changeable(kept)
        if kept is field:
            for row, value in zip(rows, values, strict=True):
                column[row] = value
        else:
            assert field.key is not None  # whole maps are kept as they are
            _put_key(column, field.key, rows, values)

    def write(self) -> None:
        """Write what changed to the batch."""
        for field, column in self._columns.items():
            before = self._before.get(field)
            if before is column or field.name == CACHE:
                continue
            if before is None:
                self.batch.set(field, column)
                continue
            pairs = enumerate(zip(before, column, strict=True))
            changed = [row for row, (old, new) in pairs if old is not new]
            if changed:
                self._write(field, changed, before, column)

    def snapshot(self) -> dict[Field, Column]:
        """Return the columns as they are now."""
        return {field: column.copy() for field, column in self._columns.items()}

    def _write(self, field: Field, rows: list[int], before: Column, column: Column) -> None:
        if field.name == ATTRIBUTES and field.key is None:
            _write_maps(self.batch, field, rows, before, column)
        elif len(rows) == len(column):
            self.batch.set(field, column)
        else:
            self.batch.set(field, [column[row] for row in rows], rows)

    def _kept(self, field: Field) -> Field:
        """Return the field under which a field is kept: the whole map, where maps are kept whole."""
        if field.key is not None and (field.name == CACHE or field.level in self._whole):
            return Field(field.level, field.name)
        return field

    def _own(self, field: Field) -> Column:
        if field not in self._columns:
            self._read(field.level, [field])
        return self._columns[field]

    def _read(self, level: Level, fields: list[Field]) -> None:
        real = [field for field in fields if field.name != CACHE]
        if real:
            columns = dict(zip(real, self.batch.columns(real, level), strict=True))
            self._before.update(columns)
            self._columns.update(columns)
        for field in fields:
            if field.name == CACHE:
                self._columns[field] = [{} for _ in range(self.size)]

    def _changeable(self, field: Field) -> Column:
        column = self._own(field)
        if column is self._before.get(field):
            column = self._columns[field] = column.copy()
        return column

    def _owner(self, level: Level) -> list[int]:
        if level not in self._owners:
            self._owners[level] = self.batch.parents(self.level, level)
        return self._owners[level]


class _View(Mapping[Field, Column]):
    """All rows of a workspace."""

    __slots__ = ("_workspace",)

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def __getitem__(self, field: Field) -> Column:
        return self._workspace.column(field)

    def __iter__(self) -> Iterator[Field]:
        return iter(())

    def __len__(self) -> int:
        return 0


class _Selection(_View):
    """Some rows of a workspace."""

    __slots__ = ("_rows",)

    def __init__(self, workspace: Workspace, rows: Sequence[int]) -> None:
        super().__init__(workspace)
        self._rows = rows

    def __getitem__(self, field: Field) -> Column:
        return self._workspace.values(field, self._rows)


def _put_key(maps: Column, key: str, rows: Sequence[int], values: Sequence[Value]) -> None:
    for row, value in zip(rows, values, strict=True):
        old = maps[row]
        if value is not None:
            maps[row] = {**old, key: value} if old else {key: value}
        elif old and key in old:
            maps[row] = {name: other for name, other in old.items() if name != key}


def _write_maps(batch: Batch, field: Field, rows: list[int], before: Column, column: Column) -> None:
    """Write maps key by key where few keys changed, which leaves the bytes of all others alone; else as a whole."""
    by_key: dict[str, tuple[list[int], list[Value]]] = {}
    whole: list[int] = []
    for row in rows:
        old, new = before[row] or {}, column[row]
        gone = old.keys() - new.keys()
        put = {key: value for key, value in new.items() if old.get(key) is not value or key not in old}
        if 2 * (len(gone) + len(put)) > len(old) or None in put.values():
            whole.append(row)
            continue
        for key, value in [*put.items(), *((key, None) for key in gone)]:
            places, values = by_key.setdefault(key, ([], []))
            places.append(row)
            values.append(value)
    if whole:
        batch.set(field, [column[row] for row in whole], whole)
    for key, (places, values) in by_key.items():
        batch.set(Field(field.level, ATTRIBUTES, key), values, places)
