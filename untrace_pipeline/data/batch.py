"""Batch: one OTLP request on its way through the graph.

A batch is a cheap handle over shared, immutable bytes. Edits live in an overlay: later stages read through it, and the
bytes are rewritten once, when somebody asks for them. ``copy()`` gives a branch its own handle; handles share what any
of them has decoded or rewritten until one of them edits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import compress

from untrace_pipeline.data.codec import Codec, Table
from untrace_pipeline.data.codecs import active_codec
from untrace_pipeline.data.fields import ATTRIBUTES, READ_ONLY, ZERO_VALUES, Field, Level, Value
from untrace_pipeline.data.item import Item
from untrace_pipeline.data.overlay import Overlay
from untrace_pipeline.data.search import Found, Searcher
from untrace_pipeline.data.signal import EMPTY_CONTEXT, Context, Signal

__all__ = ["Batch", "Item"]

_START, _END, _DURATION = (
    Field(Level.ITEM, name) for name in ("start_time_unix_nano", "end_time_unix_nano", "duration_nanos")
)


class _Request:
    """Serialized bytes, and what was found out about them; shared by handles, never changed, only completed."""

    __slots__ = ("count", "payload", "table")

    def __init__(self, payload: bytes, count: int | None = None) -> None:
        self.payload = payload
        self.count = count
        self.table: Table | None = None


class _Pending:
    """An overlay and, once somebody wrote it, the request that came out; ``shared`` by several handles or not."""

    __slots__ = ("count", "overlay", "shared", "written")

    def __init__(self, overlay: Overlay) -> None:
        self.overlay = overlay
        self.shared = False
        self.count: int | None = None
        self.written: _Request | None = None


class Batch:
    """An OTLP ``Export*ServiceRequest`` of one signal with the context of its sender.

    Shape: ``columns`` returns one list per field with one value per row of a level. Ownership: whoever holds the
    handle may edit it; after passing it to ``consume``, do not touch it. Not safe for use from several threads.
    """

    __slots__ = ("_codec", "_pending", "_request", "context", "signal")

    def __init__(
        self, signal: Signal, payload: bytes, context: Context = EMPTY_CONTEXT, *, codec: Codec | None = None
    ) -> None:
        self.signal = signal
        self.context = context
        self._codec = codec or active_codec()
        self._request = _Request(payload)
        self._pending: _Pending | None = None

    @classmethod
    def from_json(cls, signal: Signal, data: bytes, context: Context = EMPTY_CONTEXT) -> Batch:
        """Read an OTLP/JSON request. Raises :class:`DecodeError`."""
        return cls(signal, active_codec().from_json(signal, data), context)

    @classmethod
    def decoded(
        cls, signal: Signal, payload: bytes, context: Context, item_count: int, table: Table | None = None
    ) -> Batch:
        """Return a batch of bytes that are known to be a valid request of so many items.

        ``table`` is the active codec's, if there is one already; otherwise the bytes are decoded when somebody asks.
        """
        batch = cls(signal, payload, context)
        batch._request.count = item_count
        batch._request.table = table
        return batch

    @classmethod
    def merge(cls, batches: Sequence[Batch]) -> Batch:
        """Join batches of one signal, at least one, in order, without decoding; they must not be used afterwards.

        Concatenated serialized requests are the merged request (protobuf repeated fields). The context survives where
        all batches share it; otherwise the merged batch has an empty one.
        """
        first = batches[0]
        if len(batches) == 1:
            return first
        if any(batch.signal is not first.signal for batch in batches):
            msg = "batches of different signals cannot be merged"
            raise ValueError(msg)
        context = first.context
        same_context = all(batch.context is context or batch.context == context for batch in batches)
        payload = b"".join([batch.to_otlp() for batch in batches])
        merged = cls(first.signal, payload, context if same_context else EMPTY_CONTEXT, codec=first._codec)
        counts = [batch._request.count for batch in batches]
        if None not in counts:
            merged._request.count = sum(filter(None, counts))
        return merged

    # ------------------------------------------------------------------ bytes

    @property
    def item_count(self) -> int:
        """Number of spans, metric points or log records, after edits. Raises :class:`DecodeError`."""
        if self._pending is not None and self._pending.overlay.edits.drop:
            if self._pending.count is None:
                self._pending.count = self.row_count(Level.ITEM)
            return self._pending.count
        request = self._request
        if request.count is None:
            table = request.table
            request.count = table.row_count(Level.ITEM) if table else self._codec.count(self.signal, request.payload)
        return request.count

    @property
    def byte_size(self) -> int:
        """Size of the serialized request in bytes; with pending edits, the size before them."""
        return len(self._request.payload)

    @property
    def edited(self) -> bool:
        """Whether edits wait to be written."""
        return self._pending is not None

    def to_otlp(self) -> bytes:
        """Return the serialized request; pending edits are written now, once for all copies.

        Raises ``ValueError`` for an edit that a field cannot hold.
        """
        pending = self._pending
        if pending is not None:
            if pending.written is None:
                edits = pending.overlay.edits
                count = pending.count if edits.drop else self._request.count
                pending.written = _Request(self._table().rewrite(edits), count)
            self._request = pending.written
            self._pending = None
        return self._request.payload

    def to_json(self) -> bytes:
        """Return the OTLP/JSON form of the request, one line. Raises :class:`DecodeError`."""
        return self._codec.to_json(self.signal, self.to_otlp())

    def validate(self) -> None:
        """Decode completely and keep the result for later stages. Raises :class:`DecodeError`."""
        self._table()

    def replace(self, payload: bytes) -> None:
        """Put another valid request of the same signal in the place of this one; copies of it keep theirs."""
        self._request = _Request(payload)
        self._pending = None

    def copy(self) -> Batch:
        """Return an independent handle over the same data; costs about a microsecond."""
        return self.with_context(self.context)

    def with_context(self, context: Context) -> Batch:
        """Return an independent handle over the same data with another context."""
        twin = Batch(self.signal, b"", context, codec=self._codec)
        twin._request = self._request
        twin._pending = self._pending
        if self._pending is not None:
            self._pending.shared = True
        return twin

    # ---------------------------------------------------------------- columns

    def row_count(self, level: Level) -> int:
        """Return the number of rows of a level, after edits."""
        rows = self._kept(level)
        return self._table().row_count(level) if rows is None else len(rows)

    def column(self, field: Field, level: Level | None = None) -> list[Value]:
        """Return one column; see :meth:`columns`."""
        return self.columns([field], level)[0]

    def columns(
        self, fields: Sequence[Field], level: Level | None = None, rows: Sequence[int] | None = None
    ) -> list[list[Value]]:
        """Return one list per field, with one value per row of ``level`` (default: the level of the fields, or ITEM).

        Fields of outer levels are repeated for each row below them. ``rows`` limits the answer to those rows.
        Values are shared: treat lists and maps as read-only. ``None`` where absent. Raises ``KeyError`` for a fixed
        field that the signal does not have, ``ValueError`` for one that is not visible from the level.
        """
        levels = {field.level for field in fields}
        if level is None:
            level = levels.pop() if len(levels) == 1 else Level.ITEM
            levels = {field.level for field in fields}
        base = self._base_rows(level, rows)
        result: list[list[Value]] = [[]] * len(fields)
        for own in levels:
            places = [i for i, field in enumerate(fields) if field.level is own]
            wanted = [fields[i] for i in places]
            read = self._read(wanted, base) if own is level else self._read_outer(wanted, own, level, base)
            for i, values in zip(places, read, strict=True):
                result[i] = values
        return result

    def repeated_keys(self, level: Level) -> Sequence[int]:
        """Return the rows of a level that have an attribute key more than once; writes pending edits first.

        OTLP forbids it, and ``columns`` shows only the first; but receivers may see the others. Setting the whole map
        (``attributes`` without a key) leaves one of each.
        """
        self.to_otlp()
        return self._table().repeated_keys(level)

    def search(self, searcher: Searcher, level: Level | None = None, key: str | None = None) -> Found | None:
        """Return which string values in :meth:`to_otlp` match; writes pending edits first. See :class:`Found`.

        ``None`` where this request cannot be searched, because its codec had to leave it to another one.
        """
        self.to_otlp()
        return searcher.search(self._table(), level, key)

    def ranges(self) -> tuple[Sequence[int], Sequence[int]]:
        """Return start and end offset of each item in :meth:`to_otlp`; writes pending edits first."""
        self.to_otlp()
        return self._table().ranges()

    def parents(self, level: Level, ancestor: Level) -> list[int]:
        """Return for each row of ``level`` its row number at ``ancestor``, both after edits."""
        parents = self._table().parents(level, ancestor)
        rows = self._kept(level)
        found = list(parents) if rows is None else [parents[row] for row in rows]
        kept = self._kept(ancestor)
        if kept is not None:
            number = {row: i for i, row in enumerate(kept)}
            found = [number[row] for row in found]
        return found

    def set(self, field: Field, values: Sequence[Value], rows: Sequence[int] | None = None) -> None:
        """Set a field: one value per row of its level, or per named row; ``None`` removes it there.

        Raises ``KeyError`` for a fixed field that the signal does not have, ``ValueError`` for one that is read-only.
        """
        base = self._base_rows(field.level, rows)
        if len(base) != len(values):
            msg = f"{field}: {len(values)} values for {len(base)} rows"
            raise ValueError(msg)
        if field.name != ATTRIBUTES:
            self._table().columns([field], ())  # raises for an unknown one
            if field.name in READ_ONLY:
                msg = f"{field} follows from other fields and cannot be set"
                raise ValueError(msg)
        if field.key is None and None in values:
            zero = {} if field.name == ATTRIBUTES else ZERO_VALUES.get(field.name)
            values = [zero if value is None else value for value in values]
        self._own_overlay().set(field, base, values)

    def remove(self, field: Field, rows: Sequence[int] | None = None) -> None:
        """Remove a field from every row of its level, or from the named ones."""
        count = self.row_count(field.level) if rows is None else len(rows)
        self.set(field, [None] * count, rows)

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
        self._own_overlay().drop(level, dropped)
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
        names = dict.fromkeys(keys)
        if len(names) == 1 and None not in names:
            return dict.fromkeys(names, self)
        return {key: self._part(part) for key, part in self.cut(keys).items()}

    def cut(self, keys: Sequence[object]) -> dict[object, bytes]:
        """Split as :meth:`partition` does, into serialized requests: cheaper for whoever keeps bytes."""
        names = [key for key in dict.fromkeys(keys) if key is not None]
        whole = self.to_otlp()
        if len(names) == 1 and None not in keys:
            return {names[0]: whole}
        number = {key: i for i, key in enumerate(names)}
        parts = self._table().partition([number.get(key, -1) for key in keys], len(names))
        return dict(zip(names, parts, strict=True))

    def split(self, max_items: int = 0, max_bytes: int = 0) -> list[Batch]:
        """Split, in order, into batches of at most that many items and bytes (0 = no limit).

        An item larger than ``max_bytes`` becomes a batch of its own: what to do with it is the caller's policy.
        """
        payload = self.to_otlp()
        if (not max_items or self.item_count <= max_items) and (not max_bytes or len(payload) <= max_bytes):
            return [self]
        return [self._part(part) for part in self._table().split(max_items, max_bytes)]

    # ------------------------------------------------------------------- rows

    def items(self) -> Iterator[Item]:
        """Iterate over views of the items, for plugins that prefer rows to columns."""
        return (Item(self, row) for row in range(self.row_count(Level.ITEM)))

    # --------------------------------------------------------------- internal

    def _table(self) -> Table:
        """Return the decoded request below the overlay."""
        request = self._request
        if request.table is None:
            request.table = self._codec.table(self.signal, request.payload)
        return request.table

    def _own_overlay(self) -> Overlay:
        """Return an overlay that only this handle has, to change it."""
        pending = self._pending
        if pending is None:
            pending = self._pending = _Pending(Overlay())
        elif pending.shared:
            pending = self._pending = _Pending(pending.overlay.clone())
        pending.count = None
        return pending.overlay

    def _part(self, payload: bytes) -> Batch:
        return Batch(self.signal, payload, self.context, codec=self._codec)

    def _kept(self, level: Level) -> list[int] | None:
        return None if self._pending is None else self._pending.overlay.kept(self._table(), level)

    def _base_rows(self, level: Level, rows: Sequence[int] | None) -> Sequence[int]:
        """Translate row numbers of this batch into rows of its table; a ``range`` stands for all of them."""
        kept = self._kept(level)
        if kept is None:
            return range(self._table().row_count(level)) if rows is None else list(rows)
        return kept if rows is None else [kept[row] for row in rows]

    def _read(self, fields: Sequence[Field], base: Sequence[int]) -> list[list[Value]]:
        """Read fields of one level for rows of the table at that level."""
        columns = self._table().columns(fields, None if isinstance(base, range) else base)
        if self._pending is None:
            return columns
        overlay = self._pending.overlay
        columns = [overlay.patch(field, base, values) for field, values in zip(fields, columns, strict=True)]
        if _DURATION in fields and not overlay.edits.values.keys().isdisjoint((_START, _END)):
            starts, ends = self._read([_START, _END], base)
            columns[fields.index(_DURATION)] = [e - s for s, e in zip(starts, ends, strict=True)]  # type: ignore[operator]
        return columns

    def _read_outer(self, fields: Sequence[Field], own: Level, level: Level, base: Sequence[int]) -> list[list[Value]]:
        """Read fields of an outer level for rows of the table at ``level``, each value as often as it has rows."""
        if own > level or own > Level.ITEM:
            msg = f"{fields[0]} is not visible from level {level.name}"
            raise ValueError(msg)
        parents = self._table().parents(level, own)
        owners = [parents[row] for row in base]
        distinct = list(dict.fromkeys(owners))
        number = {row: i for i, row in enumerate(distinct)}
        places = [number[row] for row in owners]
        return [[values[place] for place in places] for values in self._read(fields, distinct)]
