"""Protobuf messages as OTLP/JSON: the rules of the OTLP specification, field presence and order as the Collector's.

Zero values are left out, and so are ids of zeros only; single messages outside of a ``oneof`` (``resource``, ``scope``,
``status``, ``body``, ``value`` …) are always written, if need be as ``{}``. Unknown fields have no JSON form.
See https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding.
"""

from __future__ import annotations

import enum
import math
from base64 import b64encode
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, TypeAlias

import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from untrace_pipeline.data.codecs.upb_schema import ID_SIZES

__all__ = ["write_json"]

_INT64_TYPES = frozenset(
    {
        FieldDescriptor.TYPE_INT64,
        FieldDescriptor.TYPE_UINT64,
        FieldDescriptor.TYPE_FIXED64,
        FieldDescriptor.TYPE_SFIXED64,
        FieldDescriptor.TYPE_SINT64,
    }
)

_Convert: TypeAlias = Callable[[Any], Any]


class _Presence(enum.Enum):
    """When a field is written."""

    ALWAYS = enum.auto()
    NOT_ZERO = enum.auto()
    NOT_ONLY_ZEROS = enum.auto()
    IF_SET = enum.auto()


class _Field(NamedTuple):
    name: str
    key: str
    presence: _Presence
    convert: _Convert


def write_json(message: Any) -> bytes:
    """Return a message as OTLP/JSON, one line of UTF-8."""
    return orjson.dumps(_writer(message.DESCRIPTOR)(message))


class _MessageWriter:
    """Turns messages of one type into dicts; looks its fields up when the first one comes (types are recursive)."""

    __slots__ = ("_descriptor", "_fields")

    def __init__(self, descriptor: Descriptor) -> None:
        self._descriptor = descriptor
        self._fields: list[_Field] | None = None

    def __call__(self, message: Any) -> dict[str, Any]:
        if self._fields is None:
            self._fields = [_compile(field) for field in self._descriptor.fields]
        found: dict[str, Any] = {}
        for name, key, presence, convert in self._fields:
            if presence is _Presence.IF_SET:
                if message.HasField(name):
                    found[key] = convert(getattr(message, name))
            else:
                value = getattr(message, name)
                if presence is _Presence.NOT_ONLY_ZEROS:
                    value = value.strip(b"\0") and value
                if value or presence is _Presence.ALWAYS:
                    found[key] = convert(value)
        return found


class _AnyValueWriter(_MessageWriter):
    """The same for ``AnyValue``, by far the most frequent message: asks which value is set instead of asking each."""

    __slots__ = ("_members",)

    def __init__(self, descriptor: Descriptor) -> None:
        super().__init__(descriptor)
        self._members: dict[str, _Field] = {}

    def __call__(self, message: Any) -> dict[str, Any]:
        if not self._members:
            self._members = {field.name: _compile(field) for field in self._descriptor.fields}
        member = message.WhichOneof("value")
        if member is None:
            return {}
        field = self._members[member]
        return {field.key: field.convert(getattr(message, member))}


@cache
def _writer(descriptor: Descriptor) -> _MessageWriter:
    return (_AnyValueWriter if descriptor.name == "AnyValue" else _MessageWriter)(descriptor)


def _compile(field: FieldDescriptor) -> _Field:
    convert = _converter(field)
    presence = _Presence.NOT_ZERO
    if field.is_repeated:
        if convert is not _itself:
            return _Field(field.name, field.camelcase_name, presence, lambda values: [convert(v) for v in values])
        return _Field(field.name, field.camelcase_name, presence, list)
    if field.message_type is not None and field.containing_oneof is None:
        presence = _Presence.ALWAYS
    elif field.has_presence:
        presence = _Presence.IF_SET
    elif field.name in ID_SIZES:
        presence = _Presence.NOT_ONLY_ZEROS
    return _Field(field.name, field.camelcase_name, presence, convert)


def _converter(field: FieldDescriptor) -> _Convert:
    if field.message_type is not None:
        return _writer(field.message_type)
    if field.type in _INT64_TYPES:
        return str
    if field.type == FieldDescriptor.TYPE_DOUBLE:
        return _double
    if field.type == FieldDescriptor.TYPE_BYTES:
        return bytes.hex if field.name in ID_SIZES else _base64
    return _itself


def _itself(value: Any) -> Any:
    return value


def _base64(value: bytes) -> str:
    return b64encode(value).decode()


_EXACT = 1 << 53
"""Below, every double without fraction is exactly that integer; JSON does not need its ``.0``."""


def _double(value: float) -> float | str:
    if math.isfinite(value):
        if value.is_integer() and -_EXACT < value < _EXACT and str(value) != "-0.0":
            return int(value)
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
