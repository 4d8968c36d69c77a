"""One item of a batch, for plugins that prefer rows to columns."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING

from untrace_pipeline.data.fields import ATTRIBUTES, Field, Level, Value, attribute

if TYPE_CHECKING:
    from untrace_pipeline.data.batch import Batch

__all__ = ["Item"]


class Item:
    """A view of one item: fixed fields by ``get``/``set``, attributes as a mutable mapping over the batch's overlay.

    Valid until the next ``keep`` of the batch. A loop over items costs several times what columns cost.
    """

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
        assert isinstance(found, dict)
        return found

    def __getitem__(self, key: str) -> Value:
        value = self._item.get(attribute(key))
        return self._all()[key] if value is None else value  # absent, or there with an empty value

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
