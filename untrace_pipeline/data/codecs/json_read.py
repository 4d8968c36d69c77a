"""OTLP/JSON as protobuf messages, as strict as the specification and as lenient as the Collector.

Accepted besides the canonical form: snake_case names, 64-bit numbers as numbers, all numbers as strings, names of enum
values, ids in upper case; ``null`` is an absent field and unknown fields are ignored. Everything else that is not as
the schema says is a :class:`DecodeError` that names its place: ``resourceSpans[0].scopeSpans[1].spans[3].traceId: …``.
See https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding.
"""

from __future__ import annotations

import math
import re
from binascii import a2b_base64, unhexlify
from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

import orjson
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from untrace_pipeline.data.codecs.upb_schema import ID_SIZES
from untrace_pipeline.errors import DecodeError

__all__ = ["read_json"]

_MAX_DEPTH = 100
"""Messages within messages; protobuf itself reads no more."""

MAX_NODES = 1 << 22
"""Objects and arrays of one request. Three bytes make an empty one, which costs a hundred and a microsecond: a body of
64 MiB could hold the event loop for twenty seconds and fill gigabytes. A span of 2 KB has about fifty."""
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)

_INTEGER = re.compile(r"[+-]?[0-9]{1,20}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_INT32 = range(-(1 << 31), 1 << 31)
_INT64 = range(-(1 << 63), 1 << 63)
_UINT32 = range(1 << 32)
_UINT64 = range(1 << 64)
_RANGES = {
    FieldDescriptor.TYPE_INT32: _INT32,
    FieldDescriptor.TYPE_SINT32: _INT32,
    FieldDescriptor.TYPE_SFIXED32: _INT32,
    FieldDescriptor.TYPE_UINT32: _UINT32,
    FieldDescriptor.TYPE_FIXED32: _UINT32,
    FieldDescriptor.TYPE_INT64: _INT64,
    FieldDescriptor.TYPE_SINT64: _INT64,
    FieldDescriptor.TYPE_SFIXED64: _INT64,
    FieldDescriptor.TYPE_UINT64: _UINT64,
    FieldDescriptor.TYPE_FIXED64: _UINT64,
}

_Convert: TypeAlias = Callable[[Any], Any]
_Fill: TypeAlias = Callable[[Any, Any, int], None]
"""Puts a JSON value into a message that lies so many messages deep."""


def read_json(message: Any, data: bytes) -> None:
    """Fill an empty message from OTLP/JSON. Raises :class:`DecodeError`."""
    if _nodes(data) > MAX_NODES and _nodes(_STRING.sub(b"", data)) > MAX_NODES:  # braces in texts are not meant
        msg = f"more than {MAX_NODES} objects and arrays; send smaller requests"
        raise DecodeError(msg)
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        msg = f"not JSON: {error}"
        raise DecodeError(msg) from error
    try:
        _reader(message.DESCRIPTOR).fill(message, document, 1)
    except _MisfitError as error:
        raise DecodeError(str(error)) from error


def _nodes(data: bytes) -> int:
    return data.count(b"{") + data.count(b"[")


class _MisfitError(ValueError):
    """A JSON value is not what the schema says; collects its path on the way out."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path = ""

    def within(self, step: str) -> _MisfitError:
        """Put a step in front of the path."""
        self.path = step + ("." if self.path and not self.path.startswith("[") else "") + self.path
        return self

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}" if self.path else self.problem


class _MessageReader:
    """Fills messages of one type; its fields are looked up when the first one comes (types are recursive)."""

    __slots__ = ("_descriptor", "_fields")

    def __init__(self, descriptor: Descriptor) -> None:
        self._descriptor = descriptor
        self._fields: dict[str, _Fill] | None = None

    def fill(self, message: Any, value: Any, depth: int) -> None:
        if self._fields is None:
            self._fields = _compile(self._descriptor)
        if not isinstance(value, dict):
            raise _expected("an object", value)
        if depth > _MAX_DEPTH:
            raise _MisfitError("nested too deep")
        for key, inner in value.items():
            fill = self._fields.get(key)
            if fill is None or inner is None:
                continue
            try:
                fill(message, inner, depth)
            except _MisfitError as error:
                raise error.within(key) from None


@cache
def _reader(descriptor: Descriptor) -> _MessageReader:
    return _MessageReader(descriptor)


def _compile(descriptor: Descriptor) -> dict[str, _Fill]:
    fields: dict[str, _Fill] = {}
    for field in descriptor.fields:
        fields[field.name] = fields[field.camelcase_name] = _filler(field)
    return fields


def _filler(field: FieldDescriptor) -> _Fill:
    name = field.name
    if field.message_type is not None:
        reader = _reader(field.message_type)
        return (
            _message_list(name, reader)
            if field.is_repeated
            else _single_message(name, reader, is_choice=field.containing_oneof is not None)
        )
    convert = _converter(field)
    if field.is_repeated:
        return _scalar_list(name, convert)

    def fill(message: Any, value: Any, depth: int) -> None:
        setattr(message, name, convert(value))

    return fill


def _single_message(name: str, reader: _MessageReader, *, is_choice: bool) -> _Fill:
    def fill(message: Any, value: Any, depth: int) -> None:
        inner = getattr(message, name)
        if is_choice:  # an empty object says something only about which member of a oneof is set
            inner.SetInParent()
        reader.fill(inner, value, depth + 1)

    return fill


def _message_list(name: str, reader: _MessageReader) -> _Fill:
    def fill(message: Any, value: Any, depth: int) -> None:
        if not isinstance(value, list):
            raise _expected("an array", value)
        add = getattr(message, name).add
        for number, element in enumerate(value):
            try:
                reader.fill(add(), element, depth + 1)
            except _MisfitError as error:
                raise error.within(f"[{number}]") from None

    return fill


def _scalar_list(name: str, convert: _Convert) -> _Fill:
    def fill(message: Any, value: Any, depth: int) -> None:
        if not isinstance(value, list):
            raise _expected("an array", value)
        append = getattr(message, name).append
        for number, element in enumerate(value):
            try:
                append(convert(element))
            except _MisfitError as error:
                raise error.within(f"[{number}]") from None

    return fill


def _converter(field: FieldDescriptor) -> _Convert:
    if field.enum_type is not None:
        return _enum(field.enum_type)
    if field.type in _RANGES:
        return _integer(_RANGES[field.type])
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _id(ID_SIZES[field.name]) if field.name in ID_SIZES else _base64
    return {
        FieldDescriptor.TYPE_STRING: _string,
        FieldDescriptor.TYPE_BOOL: _bool,
        FieldDescriptor.TYPE_DOUBLE: _double,
    }[field.type]


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise _expected("a string", value)
    return value


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _expected("true or false", value)
    return value


def _integer(allowed: range) -> _Convert:
    def convert(value: Any) -> int:
        if (isinstance(value, str) and _INTEGER.fullmatch(value)) or (isinstance(value, float) and value.is_integer()):
            value = int(value)
        elif not isinstance(value, int) or isinstance(value, bool):
            raise _expected("an integer", value)
        if value not in allowed:
            msg = f"{value} is out of range"
            raise _MisfitError(msg)
        return value  # type: ignore[no-any-return]

    return convert


def _double(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        if value in _NOT_FINITE:
            return _NOT_FINITE[value]
        if _DECIMAL.fullmatch(value) and math.isfinite(float(value)):
            return float(value)
    raise _expected("a number", value)


def _enum(descriptor: EnumDescriptor) -> _Convert:
    numbers = {value.name: value.number for value in descriptor.values}
    integer = _integer(_INT32)

    def convert(value: Any) -> int:
        if not isinstance(value, str):
            return integer(value)  # type: ignore[no-any-return]
        if value not in numbers:
            raise _expected(f"a number or a name of {descriptor.name}", value)
        return numbers[value]

    return convert


def _id(size: int) -> _Convert:
    def convert(value: Any) -> bytes:
        if not isinstance(value, str):
            raise _expected("a string", value)
        try:
            found = unhexlify(value)
        except ValueError:
            raise _expected(f"{2 * size} hexadecimal digits", value) from None
        if len(found) not in (0, size):
            raise _expected(f"{2 * size} hexadecimal digits", value)
        return found

    return convert


def _base64(value: Any) -> bytes:
    try:
        return a2b_base64(_string(value), strict_mode=True)
    except _MisfitError:
        raise
    except ValueError:
        raise _expected("base64", value) from None


def _expected(what: str, value: Any) -> _MisfitError:
    """Return the error for a wrong value. A string shows only its length: errors are logged, and it may be a prompt."""
    if isinstance(value, dict):
        shown = "an object"
    elif isinstance(value, list):
        shown = "an array"
    elif isinstance(value, str):
        shown = f"a string of {len(value)} characters"
    else:
        shown = orjson.dumps(value).decode()
    return _MisfitError(f"expected {what}, not {shown}")
