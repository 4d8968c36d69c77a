"""What changes in one row's message, and doing it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from untrace_pipeline.data.codecs.shapes import Shape, shapes_of
from untrace_pipeline.data.codecs.upb_fields import Accessor, accessor
from untrace_pipeline.data.codecs.upb_schema import ATTRIBUTE_LISTS
from untrace_pipeline.data.codecs.values import encode_attribute, encode_key, encode_key_value
from untrace_pipeline.data.fields import ATTRIBUTES, Field, Level, Value
from untrace_pipeline.data.signal import Signal

__all__ = ["Change", "Changes", "FieldEdit", "by_row", "edit_message"]


@dataclass(frozen=True, slots=True)
class FieldEdit:
    """An edited field, looked up once for all rows: accessor of a fixed field, or encoded attribute key."""

    field: Field
    access: Accessor | None
    encoded_key: bytes = b""

    @classmethod
    def of(cls, signal: Signal, field: Field) -> FieldEdit:
        """Look the field up. Raises ``KeyError`` for a fixed field that the signal does not have."""
        if field.name != ATTRIBUTES:
            return cls(field, accessor(signal, field))
        if field.key is None:
            return cls(field, None)
        return cls(field, None, encode_key(field.key))

    def key_value(self, value: Value) -> bytes:
        """Return the body of the new ``KeyValue``. Raises ``ValueError`` naming the field."""
        try:
            return encode_key_value(self.encoded_key, value)
        except ValueError as error:
            raise self.error(error) from error

    def appended(self, tag: bytes, value: Value) -> bytes:
        """Return the new ``KeyValue`` as a field with that tag. Raises ``ValueError`` naming the field."""
        try:
            return encode_attribute(tag, self.encoded_key, value)
        except ValueError as error:
            raise self.error(error) from error

    def error(self, cause: Exception) -> ValueError:
        """Return the error that says which field cannot hold its new value."""
        return ValueError(f"{self.field}: {cause}")


Change: TypeAlias = tuple[FieldEdit, Value]
Changes: TypeAlias = Mapping[Level, Mapping[int, Sequence[Change]]]


def by_row(signal: Signal, values: Mapping[Field, Mapping[int, Value]]) -> Changes:
    """Turn values by field into changes by level and row."""
    changes: dict[Level, defaultdict[int, list[Change]]] = {}
    for field, rows in values.items():
        edit = FieldEdit.of(signal, field)
        of_level = changes.setdefault(field.level, defaultdict(list))
        for row, value in rows.items():
            of_level[row].append((edit, value))
    return changes


def edit_message(level: Level, message: Any, changes: Sequence[Change], shape: Shape | None = None) -> None:
    """Apply the changes of one row to its message. Raises ``ValueError`` naming the field.

    ``shape`` is that of the row's attributes, where it is known and no whole map is set.
    """
    whole: Change | None = None
    keys: list[Change] = []
    for change in changes:
        edit, value = change
        if edit.access is not None:
            try:
                edit.access.write(message, value)
            except (TypeError, ValueError) as error:
                raise edit.error(error) from error
        elif edit.field.key is None:
            whole = change
        else:
            keys.append(change)
    key_values = ATTRIBUTE_LISTS[level](message)
    if whole is not None:
        _replace_all(key_values, *whole)
    if keys:
        _set_keys(key_values, keys, shape or shapes_of([key_values])[0])


def _replace_all(key_values: Any, edit: FieldEdit, attributes: Value) -> None:
    if not isinstance(attributes, Mapping | None):
        raise edit.error(TypeError("the whole map of attributes must be a map"))
    try:
        encoded = [encode_key_value(encode_key(key), value) for key, value in (attributes or {}).items()]
    except ValueError as error:
        raise edit.error(error) from error
    del key_values[:]
    for body in encoded:
        key_values.add().ParseFromString(body)


def _set_keys(key_values: Any, changes: Sequence[Change], shape: Shape) -> None:
    """Set or remove keys; of equal keys only the first is kept, so that no old value survives a change."""
    doomed: list[int] = []
    for edit, value in changes:
        places = shape.places(edit.field.key)
        if value is None:
            doomed += places
        else:
            key_value = key_values[places[0]] if places else key_values.add()
            key_value.ParseFromString(edit.key_value(value))
            doomed += places[1:]
    for place in sorted(doomed, reverse=True):
        del key_values[place]
