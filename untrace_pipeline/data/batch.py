"""Batch: one OTLP request on its way through the graph.

A batch is a cheap handle over shared, immutable bytes. Edits live in an overlay of the handle: later stages read
through it, and the bytes are rewritten once, when somebody asks for them. ``copy()`` gives a branch its own handle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import compress

from untrace_pipeline.data.codec import Codec, Edits, Table
from untrace_pipeline.data.codecs import active_codec
from untrace_pipeline.data.fields import ATTRIBUTES, Field, Level, Value, attribute
from untrace_pipeline.data.signal import EMPTY_CONTEXT, Context, Signal

__all__ = ["Batch", "Item"]


class Batch:
    """An OTLP ``Export*ServiceRequest`` of one signal with the context of its sender.

    Shape: ``columns`` returns one list per field with one value per row of a level. Ownership: whoever holds the
    handle may edit it; after passing it to ``consume``, do not touch it. Not safe for use from several threads.
    """

    __slots__ = ("_codec", "_count", "_edits", "_payload", "_rows", "_table", "context", "signal")

    def __init__(
        self, signal: Signal, payload: bytes, context: Context = EMPTY_CONTEXT, *, codec: Codec | None = None
    ) -> None:
        self.signal = signal
        self.context = context
        self._codec = codec or active_codec()
        self._payload = payload
        self._table: Table | None = None
        self._edits: Edits | None = None
        self._rows: dict[Level, list[int]] = {}
        self._count: int | None = None

    @classmethod
    def from_json(cls, signal: Signal, data: bytes, context: Context = EMPTY_CONTEXT) -> Batch:
        """Read an OTLP/JSON request. Raises :class:`DecodeError`."""
        return cls(signal, active_codec().from_json(signal, data), context)

    @classmethod
    def merge(cls, batches: Sequence[Batch]) -> Batch:
        """Join batches of one signal into one, in order, without decoding; they must not be used afterwards.

        Concatenated serialized requests are the merged request (protobuf repeated fields). The context survives where
        all batches share it; otherwise the merged batch has an empty one.
        """
        first = batches[0]
        if len(batches) == 1:
            return first
        context = first.context
        if any(batch.context != context for batch in batches):
            context = EMPTY_CONTEXT
        merged = cls(first.signal, b"".join([batch.to_otlp() for batch in batches]), context, codec=first._codec)
        if all(batch._count is not None for batch in batches):
            merged._count = sum(batch.item_count for batch in batches)
        return merged

    # ------------------------------------------------------------------ bytes

    @property
    def item_count(self) -> int:
        """Number of spans, metric points or log records, after edits."""
        if self._count is None:
            if self._edits is None and self._table is None:
                self._count = self._codec.count(self.signal, self._payload)
            else:
                self._count = self.row_count(Level.ITEM)
        return self._count

    @property
    def byte_size(self) -> int:
        """Size of the serialized request in bytes; with pending edits, the size before them."""
        return len(self._payload)

    @property
    def edited(self) -> bool:
        """Whether edits wait to be written."""
        return self._edits is not None

    def to_otlp(self) -> bytes:
        """Return the serialized request; pending edits are written now, once."""
        if self._edits is not None:
            self._rebase(self._decoded().rewrite(self._edits))
        return self._payload

    def to_json(self) -> bytes:
        """Return the OTLP/JSON form of the request, one line."""
        return self._codec.to_json(self.signal, self.to_otlp())

    def validate(self) -> None:
        """Decode completely and keep the result for later stages. Raises :class:`DecodeError`."""
        self._decoded()

    def copy(self) -> Batch:
        """Return an independent handle over the same data; costs about a microsecond."""
        twin = Batch(self.signal, self._payload, self.context, codec=self._codec)
        twin._table = self._table
        twin._count = self._count
        twin._rows = dict(self._rows)
        if self._edits is not None:
            twin._edits = Edits(
                {field: dict(values) for field, values in self._edits.values.items()},
                {level: set(rows) for level, rows in self._edits.drop.items()},
            )
        return twin

    def with_context(self, context: Context) -> Batch:
        """Return a handle over the same data with another context."""
        twin = self.copy()
        twin.context = context
        return twin

    # ---------------------------------------------------------------- columns

    def row_count(self, level: Level) -> int:
        """Return the number of rows of a level, after edits."""
        rows = self._kept(level)
        return self._decoded().row_count(level) if rows is None else len(rows)

    def column(self, field: Field, level: Level | None = None) -> list[Value]:
        """Return one column; see :meth:`columns`."""
        return self.columns([field], level)[0]

    def columns(
        self, fields: Sequence[Field], level: Level | None = None, rows: Sequence[int] | None = None
    ) -> list[list[Value]]:
        """Return one list per field, with one value per row of ``level`` (default: the level of the fields, or ITEM).

        Fields of outer levels are repeated for each row below them. ``rows`` limits the answer to those rows.
        Values are shared: treat lists and maps as read-only. ``None`` where absent. Raises ``KeyError`` for a fixed
        field that the signal does not have.
        """
        if level is None:
            own = {field.level for field in fields}
            level = own.pop() if len(own) == 1 else Level.ITEM
        base = self._base_rows(level, rows)
        result: list[list[Value]] = [[]] * len(fields)
        for own_level in {field.level for field in fields}:
            places = [i for i, field in enumerate(fields) if field.level is own_level]
            wanted = [fields[i] for i in places]
            for i, values in zip(places, self._read(wanted, own_level, level, base), strict=True):
                result[i] = values
        return result

    def ranges(self) -> tuple[Sequence[int], Sequence[int]]:
        """Return start and end offset of each item in :meth:`to_otlp`; writes pending edits first."""
        self.to_otlp()
        return self._decoded().ranges()

    def parents(self, level: Level, ancestor: Level) -> list[int]:
        """Return for each row of ``level`` its row number at ``ancestor``, both after edits."""
        parents = self._decoded().parents(level, ancestor)
        rows = self._kept(level)
        found = list(parents) if rows is None else [parents[row] for row in rows]
        kept = self._kept(ancestor)
        if kept is not None:
            number = {row: i for i, row in enumerate(kept)}
            found = [number[row] for row in found]
        return found

    def set(self, field: Field, values: Sequence[Value], rows: Sequence[int] | None = None) -> None:
        """Set a field: one value per row of its level, or per named row; ``None`` removes it there."""
        base = self._base_rows(field.level, rows)
        if len(base) != len(values):
            msg = f"{field}: {len(values)} values for {len(base)} rows"
            raise ValueError(msg)
        edits = self._own_edits()
        if field.name == ATTRIBUTES and field.key is None:
            self._forget_keys(field.level, base)
        edits.values.setdefault(field, {}).update(zip(base, values, strict=True))

    def remove(self, field: Field, rows: Sequence[int] | None = None) -> None:
        """Remove a field from every row of its level, or from the named ones."""
        base = self._base_rows(field.level, rows)
        self.set(field, [None] * len(base), rows)

    def keep(self, mask: Sequence[bool], level: Level = Level.ITEM) -> int:
        """Keep the rows of ``level`` whose mask is true, and drop the others with all that is below them.

        Containers left without items vanish. Returns how many *items* were dropped.
        """
        base = self._base_rows(level, None)
        if len(base) != len(mask):
            msg = f"mask of {len(mask)} for {len(base)} rows"
            raise ValueError(msg)
        dropped = set(compress(base, [not wanted for wanted in mask]))
        if not dropped:
            return 0
        before = self.item_count
        self._own_edits().drop.setdefault(level, set()).update(dropped)
        self._rows.clear()
        self._count = None
        return before - self.item_count

    def select(self, mask: Sequence[bool]) -> Batch | None:
        """Return this batch reduced to the items whose mask is true, or ``None`` if none is."""
        if not any(mask):
            return None
        self.keep(mask)
        return self

    # ------------------------------------------------------ splitting, joining

    def partition(self, keys: Sequence[object]) -> dict[object, Batch]:
        """Split by one key per item; items whose key is ``None`` are left out. Order of keys: first appearance."""
        names = [key for key in dict.fromkeys(keys) if key is not None]
        if len(names) == 1 and None not in keys:
            return {names[0]: self}
        number = {key: i for i, key in enumerate(names)}
        self.to_otlp()
        parts = self._decoded().partition([number.get(key, -1) for key in keys], len(names))
        return {key: self._part(part) for key, part in zip(names, parts, strict=True)}

    def split(self, max_items: int = 0, max_bytes: int = 0) -> list[Batch]:
        """Split, in order, into batches of at most that many items and bytes (0 = no limit).

        An item larger than ``max_bytes`` becomes a batch of its own: what to do with it is the caller's policy.
        """
        payload = self.to_otlp()
        if (not max_items or self.item_count <= max_items) and (not max_bytes or len(payload) <= max_bytes):
            return [self]
        return [self._part(part) for part in self._decoded().split(max_items, max_bytes)]

    # ------------------------------------------------------------------- rows

    def items(self) -> Iterator[Item]:
        """Iterate over views of the items, for plugins that prefer rows to columns."""
        return (Item(self, row) for row in range(self.row_count(Level.ITEM)))

    # --------------------------------------------------------------- internal

    def _decoded(self) -> Table:
        if self._table is None:
            self._table = self._codec.table(self.signal, self._payload)
        return self._table

    def _own_edits(self) -> Edits:
        if self._edits is None:
            self._edits = Edits()
        return self._edits

    def _rebase(self, payload: bytes) -> None:
        self._payload = payload
        self._table = None
        self._edits = None
        self._rows = {}

    def _part(self, payload: bytes) -> Batch:
        return Batch(self.signal, payload, self.context, codec=self._codec)

    def _kept(self, level: Level) -> list[int] | None:
        """Return the table rows of a level that the drops leave, or ``None`` for all of them."""
        if self._edits is None or not self._edits.drop:
            return None
        if level not in self._rows:
            self._rows[level] = self._compute_kept(level, self._edits.drop)
        return self._rows[level]

    def _compute_kept(self, level: Level, drop: Mapping[Level, AbstractSet[int]]) -> list[int]:
        table = self._decoded()
        gone = {*drop.get(level, ())}
        for outer, rows in drop.items():
            if outer < level and rows and _above(outer, level):
                gone.update(i for i, row in enumerate(table.parents(level, outer)) if row in rows)
        count = table.row_count(level)
        kept = [row for row in range(count) if row not in gone]
        if level < Level.ITEM:
            alive = set(self._kept_items_parents(level))
            kept = [row for row in kept if row in alive]
        return kept

    def _kept_items_parents(self, level: Level) -> Iterator[int]:
        parents = self._decoded().parents(Level.ITEM, level)
        items = self._kept(Level.ITEM)
        return iter(parents) if items is None else (parents[row] for row in items)

    def _base_rows(self, level: Level, rows: Sequence[int] | None) -> Sequence[int]:
        """Translate row numbers of this batch into rows of its table."""
        kept = self._kept(level)
        if kept is None:
            return range(self._decoded().row_count(level)) if rows is None else rows
        return kept if rows is None else [kept[row] for row in rows]

    def _read(self, fields: list[Field], own: Level, level: Level, base: Sequence[int]) -> list[list[Value]]:
        """Read fields of one level for table rows of ``level``, repeating values of outer levels."""
        table = self._decoded()
        if own is level:
            everything = len(base) == table.row_count(level)
            return self._overlaid(fields, base, table.columns(fields, None if everything else base))
        if own > level:
            msg = f"{fields[0]} is not visible from level {level.name}"
            raise ValueError(msg)
        parents = table.parents(level, own)
        owners = [parents[row] for row in base]
        distinct = list(dict.fromkeys(owners))
        number = {row: i for i, row in enumerate(distinct)}
        short = self._overlaid(fields, distinct, table.columns(fields, distinct))
        places = [number[row] for row in owners]
        return [[values[place] for place in places] for values in short]

    def _overlaid(self, fields: list[Field], base: Sequence[int], columns: list[list[Value]]) -> list[list[Value]]:
        if self._edits is None or not self._edits.values:
            return columns
        return [self._overlay(field, base, values) for field, values in zip(fields, columns, strict=True)]

    def _overlay(self, field: Field, base: Sequence[int], values: list[Value]) -> list[Value]:
        assert self._edits is not None
        edits = self._edits.values
        if field.name != ATTRIBUTES:
            return _patched(edits.get(field), base, values)
        whole = edits.get(Field(field.level, ATTRIBUTES))
        if field.key is not None:
            if whole is not None:
                key = field.key
                maps = {row: m.get(key) if isinstance(m, dict) else None for row, m in whole.items()}
                values = _patched(maps, base, values)
            return _patched(edits.get(field), base, values)
        values = _patched(whole, base, values)
        for edited, by_row in edits.items():
            if edited.level is field.level and edited.name == ATTRIBUTES and edited.key is not None:
                values = [
                    _with_key(value, edited.key, by_row[row]) if row in by_row else value
                    for row, value in zip(base, values, strict=True)
                ]
        return values

    def _forget_keys(self, level: Level, base: Sequence[int]) -> None:
        """A whole map replaces what was set key by key before it."""
        assert self._edits is not None
        for field, by_row in self._edits.values.items():
            if field.level is level and field.name == ATTRIBUTES and field.key is not None:
                for row in base:
                    by_row.pop(row, None)


def _above(outer: Level, level: Level) -> bool:
    """Events and links are both below items, but not below each other."""
    return not (outer is Level.EVENT and level is Level.LINK)


def _patched(by_row: dict[int, Value] | None, base: Sequence[int], values: list[Value]) -> list[Value]:
    if not by_row:
        return values
    get: Callable[[int, Value], Value] = by_row.get
    return [get(row, value) for row, value in zip(base, values, strict=True)]


def _with_key(attributes: Value, key: str, value: Value) -> Value:
    changed = dict(attributes) if isinstance(attributes, dict) else {}
    if value is None:
        changed.pop(key, None)
    else:
        changed[key] = value
    return changed


class Item:
    """A view of one item: fixed fields by ``get``/``set``, attributes as a mutable mapping over the same overlay."""

    __slots__ = ("_batch", "_row")

    def __init__(self, batch: Batch, row: int) -> None:
        self._batch = batch
        self._row = row

    def get(self, field: Field) -> Value:
        """Return the value of a field of this item, its scope or its resource; ``None`` where absent."""
        return self._batch.columns([field], Level.ITEM, [self._row])[0][0]

    def set(self, field: Field, value: Value) -> None:
        """Set a field of this item; ``None`` removes it. Only item fields: a resource is shared by its items."""
        if field.level is not Level.ITEM:
            msg = f"{field} is shared by several items; set it on the batch"
            raise ValueError(msg)
        self._batch.set(field, [value], [self._row])

    @property
    def attributes(self) -> MutableMapping[str, Value]:
        """The item's attributes; changes go to the batch."""
        return _Attributes(self)


class _Attributes(MutableMapping[str, Value]):
    __slots__ = ("_item",)

    def __init__(self, item: Item) -> None:
        self._item = item

    def _all(self) -> dict[str, Value]:
        found = self._item.get(Field(Level.ITEM, ATTRIBUTES))
        return found if isinstance(found, dict) else {}

    def __getitem__(self, key: str) -> Value:
        value = self._item.get(attribute(key))
        if value is None:
            raise KeyError(key)
        return value

    def __setitem__(self, key: str, value: Value) -> None:
        self._item.set(attribute(key), value)

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        self._item.set(attribute(key), None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())
