"""``AnyValue`` and attribute lists of OTLP as Python values, and back.

=================  ========================  =================================================
AnyValue           Python                    remarks
=================  ========================  =================================================
(no value set)     ``None``
``string_value``   ``str``                   lone surrogates are written as ``?``
``bool_value``     ``bool``
``int_value``      ``int``                   outside of 64 bits: written as a decimal string
``double_value``   ``float``
``array_value``    ``list``                  tuples are written too
``kvlist_value``   ``dict``                  the first of equal keys wins
``bytes_value``    ``bytes``
=================  ========================  =================================================
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from untrace_pipeline.data.codecs.wire import varint
from untrace_pipeline.data.fields import Value

__all__ = [
    "encode_attribute",
    "encode_key",
    "encode_key_value",
    "encode_value",
    "read_attributes",
    "read_value",
]

# An AnyValue of an exemplar lies nine messages deep in a request; protobuf reads at most 100.
_MAX_DEPTH = 90
_INT64 = range(-(1 << 63), 1 << 63)
_UINT64_MASK = (1 << 64) - 1
_double = struct.Struct("<d").pack


def read_value(any_value: Any) -> Value:
    """Return the Python form of an ``AnyValue`` message."""
    member = any_value.WhichOneof("value")
    read = _READ_SPECIAL.get(member)
    return getattr(any_value, member) if read is None else read(any_value)


def read_attributes(key_values: Iterable[Any]) -> dict[str, Value]:
    """Return a list of ``KeyValue`` messages as a dict in wire order; the first of equal keys wins."""
    found: dict[str, Value] = {}
    for key_value in key_values:
        key = key_value.key
        if key not in found:
            found[key] = read_value(key_value.value)
    return found


_READ_SPECIAL: dict[str | None, Callable[[Any], Value]] = {
    None: lambda _: None,
    "array_value": lambda any_value: [read_value(value) for value in any_value.array_value.values],
    "kvlist_value": lambda any_value: read_attributes(any_value.kvlist_value.values),
    "string_value_strindex": lambda _: None,  # an index into the dictionary of a profile
}


def encode_value(value: Value, depth: int = _MAX_DEPTH) -> bytes:
    """Return the body of the ``AnyValue`` of a Python value.

    Raises ``ValueError`` for a type that OTLP has no value for, and for lists and maps nested too deep for protobuf.
    """
    if isinstance(value, str):
        text = value.encode("utf-8", "replace")
        return b"\x0a" + varint(len(text)) + text
    if isinstance(value, float):
        return b"\x21" + _double(value)
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int):
        return b"\x18" + varint(value & _UINT64_MASK) if value in _INT64 else encode_value(str(value))
    if value is None:
        return b""
    if isinstance(value, bytes):
        return b"\x3a" + varint(len(value)) + value
    return _encode_nested(value, depth)


def _encode_nested(value: object, depth: int) -> bytes:
    if depth <= 0:
        msg = "a value is nested too deep for OTLP"
        raise ValueError(msg)
    if isinstance(value, Mapping):
        pairs = value.items()
        body = b"".join([encode_attribute(b"\x0a", encode_key(key), inner, depth - 3) for key, inner in pairs])
        return b"\x32" + varint(len(body)) + body
    if isinstance(value, list | tuple):
        values = [encode_value(element, depth - 2) for element in value]
        body = b"".join([b"\x0a" + varint(len(element)) + element for element in values])
        return b"\x2a" + varint(len(body)) + body
    msg = f"OTLP has no value for {type(value).__name__}"
    raise ValueError(msg)


def encode_key(key: str) -> bytes:
    """Return the key field of a ``KeyValue``."""
    try:
        text = key.encode("utf-8", "replace")
    except AttributeError as error:
        msg = "the keys of a map must be text"
        raise ValueError(msg) from error
    return b"\x0a" + varint(len(text)) + text


def encode_key_value(key: bytes, value: Value) -> bytes:
    """Return the body of a ``KeyValue``; ``key`` as from :func:`encode_key`."""
    body = encode_value(value)
    return b"".join((key, b"\x12", varint(len(body)), body))


def encode_attribute(tag: bytes, key: bytes, value: Value, depth: int = _MAX_DEPTH) -> bytes:
    """Return a ``KeyValue`` as a field with the given tag; ``key`` as from :func:`encode_key`."""
    body = encode_value(value, depth)
    size = varint(len(body))
    return b"".join((tag, varint(len(key) + 1 + len(size) + len(body)), key, b"\x12", size, body))
