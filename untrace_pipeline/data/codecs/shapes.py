"""Which attribute keys a row has and where: rows of one producer share a shape, so columns need no searching."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from untrace_pipeline.data.codecs.values import read_value
from untrace_pipeline.data.fields import Value

__all__ = ["Shape", "read_keys", "shapes_of"]


class Shape:
    """The keys of a list of ``KeyValue`` messages; made once for all rows that have the same in the same order."""

    __slots__ = ("_places", "first", "repeats")

    def __init__(self, keys: Iterable[str]) -> None:
        self._places: dict[str, list[int]] = {}
        for place, key in enumerate(keys):
            self._places.setdefault(key, []).append(place)
        self.first = {key: places[0] for key, places in self._places.items()}
        """The place of each key; of equal keys the first counts."""
        self.repeats = any(len(places) > 1 for places in self._places.values())
        """Whether there are equal keys."""

    def places(self, key: str | None) -> list[int]:
        """Return every place of a key."""
        return self._places.get(key, []) if key is not None else []


def shapes_of(lists: Iterable[Iterable[Any]]) -> list[Shape]:
    """Return the shape of each list of ``KeyValue`` messages."""
    known: dict[tuple[str, ...], Shape] = {}
    shapes = []
    for key_values in lists:
        keys = tuple([key_value.key for key_value in key_values])
        shape = known.get(keys)
        if shape is None:
            shape = known[keys] = Shape(keys)
        shapes.append(shape)
    return shapes


def read_keys(lists: Sequence[Any], shapes: Sequence[Shape], keys: Iterable[str]) -> list[list[Value]]:
    """Return one column per key out of one list of ``KeyValue`` messages per row."""
    return [
        [
            None
            if (place := shape.first.get(key)) is None
            else (value := key_values[place].value).string_value or read_value(value)
            for key_values, shape in zip(lists, shapes, strict=True)
        ]
        for key in keys
    ]
