"""A decoded request of the upb codec: rows per level and their columns; writing is left to its neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any

from untrace_pipeline.data.codec import Edits
from untrace_pipeline.data.codecs.regroup import partition, split
from untrace_pipeline.data.codecs.rewrite import rewrite
from untrace_pipeline.data.codecs.upb_fields import accessor
from untrace_pipeline.data.codecs.upb_schema import ATTRIBUTE_LISTS, CHILDREN, OUTER
from untrace_pipeline.data.codecs.values import read_attributes, read_keys
from untrace_pipeline.data.codecs.wire import Nodes, walk
from untrace_pipeline.data.fields import ATTRIBUTES, Field, Level, Value
from untrace_pipeline.data.signal import Signal
from untrace_pipeline.errors import DecodeError

__all__ = ["UpbTable"]


class UpbTable:
    """:class:`~untrace_pipeline.data.Table` over a parsed request, which nobody ever changes."""

    def __init__(self, signal: Signal, data: bytes, request: Any) -> None:
        self._signal = signal
        self._data = data
        self._request = request
        self._rows: dict[Level, list[Any]] = {}
        self._owners: dict[Level, list[int]] = {}
        self._nodes: list[Nodes] | None = None
        self._check_ids()

    def row_count(self, level: Level) -> int:
        """See :meth:`Table.row_count`."""
        return len(self._messages(level))

    def parents(self, level: Level, ancestor: Level) -> Sequence[int]:
        """See :meth:`Table.parents`."""
        if level not in OUTER[self._signal]:
            return []
        self._messages(level)
        found = self._owners[level]
        outer = OUTER[self._signal][level]
        while outer is not ancestor:
            if outer is None or outer < ancestor:
                msg = f"{ancestor.name} lies not outside of {level.name} in {self._signal}"
                raise ValueError(msg)
            owners = self._owners[outer]
            found = [owners[row] for row in found]
            outer = OUTER[self._signal][outer]
        return found

    def columns(self, fields: Sequence[Field], rows: Sequence[int] | None = None) -> list[list[Value]]:
        """See :meth:`Table.columns`."""
        if not fields:
            return []
        level = fields[0].level
        messages = self._messages(level)
        if rows is not None:
            messages = [messages[row] for row in rows]
        keys = list(dict.fromkeys(field.key for field in fields if field.key is not None))
        by_key = dict(zip(keys, self._keys(level, messages, keys), strict=True)) if keys else {}
        return [self._column(field, messages) if field.key is None else by_key[field.key] for field in fields]

    def ranges(self) -> tuple[Sequence[int], Sequence[int]]:
        """See :meth:`Table.ranges`."""
        items = self._index()[-1]
        return items.starts, items.ends

    def rewrite(self, edits: Edits) -> bytes:
        """See :meth:`Table.rewrite`."""
        regular = self._regular()
        return rewrite(self._signal, regular._data, regular._index(), edits, self._items_of)

    def partition(self, groups: Sequence[int], count: int) -> list[bytes]:
        """See :meth:`Table.partition`."""
        regular = self._regular()
        return partition(regular._data, regular._index(), groups, count)

    def split(self, max_items: int, max_bytes: int) -> list[bytes]:
        """See :meth:`Table.split`."""
        regular = self._regular()
        return split(regular._data, regular._index(), max_items, max_bytes)

    def _messages(self, level: Level) -> list[Any]:
        """Return the messages of a level, and note the row of each one's owner on the next level outside."""
        rows = self._rows.get(level)
        if rows is None:
            expand = CHILDREN[self._signal].get(level)
            if expand is None:
                return []
            outer = OUTER[self._signal][level]
            owners = [self._request] if outer is None else self._messages(outer)
            families = [expand(owner) for owner in owners]
            rows = self._rows[level] = list(chain.from_iterable(families))
            self._owners[level] = [row for row, family in enumerate(families) for _ in range(len(family))]
        return rows

    def _keys(self, level: Level, messages: Sequence[Any], keys: Sequence[str]) -> list[list[Value]]:
        return read_keys(map(ATTRIBUTE_LISTS[level], messages), keys)

    def _items_of(self, level: Level) -> Sequence[int]:
        return self.parents(level, Level.ITEM)

    def _column(self, field: Field, messages: Sequence[Any]) -> list[Value]:
        read: Callable[[Any], Value]
        if field.name == ATTRIBUTES:
            return [read_attributes(attributes) for attributes in map(ATTRIBUTE_LISTS[field.level], messages)]
        read = accessor(self._signal, field).read
        return list(map(read, messages))

    def _index(self) -> list[Nodes]:
        if self._nodes is None:
            nodes = walk(self._signal, self._data)
            if len(nodes[-1]) != self.row_count(Level.ITEM):
                raise DecodeError("the containers of the request are ambiguous")
            self._nodes = nodes
        return self._nodes

    def _regular(self) -> UpbTable:
        """Return this table, or its canonical form if the data of one metric comes in several pieces.

        Protobuf merges such pieces on reading; we could cut between them and change what a point means.
        """
        nodes = self._index()
        if self._signal is Signal.METRICS and len(set(nodes[3].parents)) < len(nodes[3]):
            return UpbTable(self._signal, self._request.SerializeToString(), self._request)
        return self

    def _check_ids(self) -> None:
        if self._signal is Signal.METRICS:
            points = [point for point in self._messages(Level.ITEM) if hasattr(point, "exemplars")]
            holders: list[Any] = [exemplar for point in points for exemplar in point.exemplars]
            self._check_lengths("exemplar", holders, trace_id=16, span_id=8)
        elif self._signal is Signal.LOGS:
            self._check_lengths("log record", self._messages(Level.ITEM), trace_id=16, span_id=8)
        else:
            self._check_lengths("span", self._messages(Level.ITEM), trace_id=16, span_id=8, parent_span_id=8)
            self._check_lengths("link", self._messages(Level.LINK), trace_id=16, span_id=8)

    def _check_lengths(self, kind: str, messages: Iterable[Any], **sizes: int) -> None:
        for name, size in sizes.items():
            wrong = set(map(len, map(attrgetter(name), messages))) - {0, size}
            if wrong:
                msg = f"{name} of a {kind} has {wrong.pop()} bytes instead of {size}"
                raise DecodeError(msg)
