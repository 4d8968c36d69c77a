"""A decoded request of the upb codec."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from untrace_pipeline.data.codec import Edits
from untrace_pipeline.data.codecs.regroup import partition, split
from untrace_pipeline.data.codecs.rewrite import rewrite
from untrace_pipeline.data.codecs.shapes import read_keys
from untrace_pipeline.data.codecs.upb_fields import accessor
from untrace_pipeline.data.codecs.upb_rows import UpbRows
from untrace_pipeline.data.codecs.upb_schema import ATTRIBUTE_LISTS, OUTER
from untrace_pipeline.data.codecs.values import read_attributes
from untrace_pipeline.data.fields import ATTRIBUTES, Field, Level, Value
from untrace_pipeline.data.signal import Signal

__all__ = ["UpbTable"]


class UpbTable:
    """:class:`~untrace_pipeline.data.Table` over a parsed request, which nobody ever changes."""

    def __init__(self, signal: Signal, data: bytes, request: Any) -> None:
        self._rows = UpbRows(signal, data, request)
        self._rows.check_ids()

    def row_count(self, level: Level) -> int:
        """See :meth:`Table.row_count`."""
        return self._rows.count(level)

    def parents(self, level: Level, ancestor: Level) -> Sequence[int]:
        """See :meth:`Table.parents`."""
        outers = OUTER[self._rows.signal]
        found = self._rows.owners(level)
        outer = outers.get(level, ancestor)
        while outer is not ancestor:
            if outer is None:
                msg = f"{ancestor.name} lies not outside of {level.name} in {self._rows.signal}"
                raise ValueError(msg)
            owners = self._rows.owners(outer)
            found = [owners[row] for row in found]
            outer = outers[outer]
        return found

    def columns(self, fields: Sequence[Field], rows: Sequence[int] | None = None) -> list[list[Value]]:
        """See :meth:`Table.columns`."""
        if not fields:
            return []
        level = fields[0].level
        messages = self._rows.messages(level)
        if rows is not None:
            messages = [messages[row] for row in rows]
        keys = list(dict.fromkeys(field.key for field in fields if field.key is not None))
        by_key = dict(zip(keys, self._by_key(level, messages, rows, keys), strict=True)) if keys else {}
        return [self._column(field, messages) if field.key is None else by_key[field.key] for field in fields]

    def repeated_keys(self, level: Level) -> Sequence[int]:
        """See :meth:`Table.repeated_keys`."""
        return [row for row, shape in enumerate(self._rows.shapes(level)) if shape.repeats]

    def ranges(self) -> tuple[Sequence[int], Sequence[int]]:
        """See :meth:`Table.ranges`."""
        items = self._rows.nodes()[-1]
        return items.starts, items.ends

    def rewrite(self, edits: Edits) -> bytes:
        """See :meth:`Table.rewrite`. Raises ``ValueError`` naming the field for a value that it cannot hold."""
        return rewrite(self._rows.regular(), edits)

    def partition(self, groups: Sequence[int], count: int) -> list[bytes]:
        """See :meth:`Table.partition`."""
        rows = self._rows.regular()
        return partition(rows.data, rows.nodes(), groups, count)

    def split(self, max_items: int, max_bytes: int) -> list[bytes]:
        """See :meth:`Table.split`."""
        rows = self._rows.regular()
        return split(rows.data, rows.nodes(), max_items, max_bytes)

    def _by_key(
        self, level: Level, messages: Sequence[Any], rows: Sequence[int] | None, keys: Sequence[str]
    ) -> list[list[Value]]:
        return read_keys(list(map(ATTRIBUTE_LISTS[level], messages)), self._rows.shapes(level, rows), keys)

    def _column(self, field: Field, messages: Sequence[Any]) -> list[Value]:
        if field.name == ATTRIBUTES:
            return [read_attributes(attributes) for attributes in map(ATTRIBUTE_LISTS[field.level], messages)]
        return list(map(accessor(self._rows.signal, field).read, messages))
