"""Attributes that are longer than a platform takes: cut and marked before it cuts them, or moved out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Signal, Value
from untrace_pipeline.delivery.truncate import MARK
from untrace_plugins.destinations.model import Limits
from untrace_plugins.exporters.platform.content import ContentStore
from untrace_plugins.exporters.platform.shortening import (
    LEAST,
    level_for,
    shortened,
    size_in_bytes,
    size_in_chars,
)

__all__ = ["ADDRESS", "LongValueCutter", "Moved"]

ADDRESS = "untrace.content."
"""With the name of an attribute: where the whole of its value is."""
_MARGIN_BYTES = 512
"""Of an item that is cut to fit: for the marks, and for what surrounds it."""
_SPARED = frozenset({"service.name", MARK})
_BODY = Field(Level.ITEM, "body")
_IDS = [Field(Level.ITEM, "trace_id"), Field(Level.ITEM, "span_id")]


class Moved(NamedTuple):
    """What was cut, for a store."""

    key: str
    data: bytes


class LongValueCutter:
    """Cuts what is too long in a batch; pure but for the batch.

    The attribute ``untrace.truncated`` of whatever had it lists the names; in a log record, ``body`` is one of them.
    """

    def __init__(self, limits: Limits, limit: int | None = None) -> None:
        """``limit`` is the user's own for values, in the unit of the platform."""
        self._measure = size_in_chars if limits.value_chars else size_in_bytes
        self._value = limit or limits.value_chars or limits.value_bytes
        self._name = limits.name_chars
        self._elements = limits.array_items
        sizes = [size for size in (limits.item_bytes, limits.request_bytes) if size is not None]
        self._item = min(sizes) if sizes else None

    @property
    def idle(self) -> bool:
        """Whether nothing is ever too long."""
        return not any((self._value, self._name, self._elements, self._item))

    def __call__(self, batch: Batch, store: ContentStore | None = None) -> list[Moved]:
        """Cut a batch in place, and return the whole of what was cut for ``store``."""
        edit = _Edit(batch, store)
        if self._has_long(len(batch.to_otlp())):
            for level in _levels(batch.signal):
                for row, attributes in enumerate(batch.column(Field(level, ATTRIBUTES))):
                    if isinstance(attributes, dict):
                        self._attributes(edit, level, row, attributes)
            if batch.signal is Signal.LOGS and self._value:
                self._bodies(edit)
            edit.write()
        if self._item and len(batch.to_otlp()) > self._item:
            self._items(batch, edit)
            edit.write()
        return edit.moved

    def _has_long(self, size: int) -> bool:
        least = [limit for limit in (self._value, self._name, self._elements) if limit]
        return bool(least) and size > min(least)

    def _attributes(self, edit: _Edit, level: Level, row: int, attributes: Mapping[str, Value]) -> None:
        for name, value in attributes.items():
            if self._elements and isinstance(value, list) and len(value) > self._elements:
                edit.replace(level, row, name, value, value[: self._elements])
            elif self._value and (text := _text(value)) is not None and self._measure(text) > self._value:
                edit.replace(level, row, name, text, shortened(text, self._value, self._measure))
            if self._name and len(name) > self._name:
                edit.rename(level, row, name, f"{name[: self._name - 1]}…", value)

    def _bodies(self, edit: _Edit) -> None:
        assert self._value is not None
        for row, body in enumerate(edit.batch.column(_BODY)):
            if (text := _text(body)) is not None and self._measure(text) > self._value:
                edit.replace(Level.ITEM, row, None, text, shortened(text, self._value, self._measure))

    def _items(self, batch: Batch, edit: _Edit) -> None:
        """Cut the longest texts of the items that are too large as a whole, to one length each."""
        assert self._item is not None
        ranges = zip(*batch.ranges(), strict=True)
        large = {
            row: end - start for row, (start, end) in enumerate(ranges) if end - start > self._item - _MARGIN_BYTES
        }
        for row, size in large.items():
            texts = list(_texts_of(batch, row))
            level = level_for([size_in_bytes(text) for *_, text in texts], size - self._item + _MARGIN_BYTES)
            for where, number, name, text in texts:
                if size_in_bytes(text) > level:
                    edit.replace(where, number, name, text, shortened(text, max(level, LEAST), size_in_bytes))


class _Edit:
    """What is to change in a batch, collected so that each attribute is written once."""

    def __init__(self, batch: Batch, store: ContentStore | None) -> None:
        self.batch = batch
        self.moved: list[Moved] = []
        self._store = store
        self._changes: dict[tuple[Level, int], dict[str | None, Value]] = {}
        self._cut: dict[tuple[Level, int], list[str]] = {}

    def replace(self, level: Level, row: int, name: str | None, whole: Value, short: Value) -> None:
        """Set a shorter value; ``None`` names the body of a record."""
        if name in _SPARED:
            return
        changes = self._changes.setdefault((level, row), {})
        changes[name] = short
        shown = name or "body"
        self._cut.setdefault((level, row), []).append(shown)
        if self._store is not None:
            data = whole.encode() if isinstance(whole, str) else orjson.dumps(whole, default=bytes.hex)
            key = self._key(level, row, shown, data)
            self.moved.append(Moved(key, data))
            changes[ADDRESS + shown] = self._store.address(key)

    def rename(self, level: Level, row: int, name: str, short: str, value: Value) -> None:
        """Give an attribute a shorter name."""
        changes = self._changes.setdefault((level, row), {})
        changes[short] = changes.get(name, value)
        changes[name] = None

    def write(self) -> None:
        """Write what was collected."""
        for (level, row), changes in self._changes.items():
            for name, value in changes.items():
                field = _BODY if name is None else Field(level, ATTRIBUTES, name)
                self.batch.set(field, [value], [row])
            if cut := self._cut.get((level, row)):
                mark = Field(level, ATTRIBUTES, MARK)
                before = self.batch.columns([mark], level, [row])[0][0]
                known = before if isinstance(before, list) else []
                names: list[Value] = [*known, *(name for name in dict.fromkeys(cut) if name not in known)]
                self.batch.set(mark, [names], [row])
        self._changes.clear()
        self._cut.clear()

    def _key(self, level: Level, row: int, name: str, data: bytes) -> str:
        digest = hashlib.blake2b(data, digest_size=8).hexdigest()
        form = "json" if data[:1] in {b"{", b"["} else "txt"
        file = f"{_file_name(name)}-{digest}.{form}"
        if self.batch.signal is Signal.METRICS or level < Level.ITEM:
            return f"{level.name.lower()}/{file}"
        owner = row if level is Level.ITEM else self.batch.parents(level, Level.ITEM)[row]
        trace_id, span_id = (column[0] for column in self.batch.columns(_IDS, Level.ITEM, [owner]))
        return "/".join(filter(None, (_hex(trace_id), _hex(span_id), file)))


def _levels(signal: Signal) -> Sequence[Level]:
    inner = (Level.EVENT, Level.LINK) if signal is Signal.TRACES else ()
    return (Level.RESOURCE, Level.SCOPE, Level.ITEM, *inner)


def _text(value: Value) -> str | None:
    """Return a text, or a list or map as the JSON that it is cut as."""
    if isinstance(value, str):
        return value
    return orjson.dumps(value, default=bytes.hex).decode() if isinstance(value, list | dict) else None


def _texts_of(batch: Batch, row: int) -> Iterator[tuple[Level, int, str | None, str]]:
    """Yield the texts of an item: its attributes, those of its events, the body of a record."""
    yield from _of_attributes(Level.ITEM, row, batch.columns([Field(Level.ITEM, ATTRIBUTES)], Level.ITEM, [row])[0][0])
    if batch.signal is Signal.TRACES:
        rows = [event for event, owner in enumerate(batch.parents(Level.EVENT, Level.ITEM)) if owner == row]
        columns = batch.columns([Field(Level.EVENT, ATTRIBUTES)], Level.EVENT, rows)[0] if rows else []
        for event, attributes in zip(rows, columns, strict=True):
            yield from _of_attributes(Level.EVENT, event, attributes)
    if batch.signal is Signal.LOGS and (text := _text(batch.columns([_BODY], Level.ITEM, [row])[0][0])) is not None:
        yield Level.ITEM, row, None, text


def _of_attributes(level: Level, row: int, attributes: Any) -> Iterator[tuple[Level, int, str | None, str]]:
    for name, value in (attributes or {}).items():
        if name not in _SPARED and (text := _text(value)) is not None:
            yield level, row, name, text


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in name)[:100]


def _hex(value: Value) -> str:
    return value.hex() if isinstance(value, bytes) else ""
