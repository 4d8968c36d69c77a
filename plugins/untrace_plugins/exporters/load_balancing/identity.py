"""Identities of resources and metric streams, by the arithmetic of the Collector's ``internal/exp/metrics/identity``.

An identity is a text with a hash in it. Attributes are hashed with XXH64 and chained with FNV-1a, both in Python: so
what was computed once is remembered, because the same resources and streams come again and again.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import lru_cache

from untrace_pipeline.data import Value

__all__ = ["Metric", "hash_attributes", "resource_identity", "stream_identity"]

REMEMBERED = 16384
"""Hashes that are kept: about 3 MB."""

_M64 = (1 << 64) - 1
_EXTRA = b"\xf3"
_KEY, _EMPTY, _BYTES, _TEXT, _TRUE, _FALSE, _INT, _DOUBLE = (bytes([code]) for code in range(0xF4, 0xFC))
_MAP, _MAP_END, _LIST, _LIST_END = (bytes([code]) for code in range(0xFC, 0x100))
_NO_ATTRIBUTES = bytes(16)
_TYPES = {None: 0, "gauge": 1, "sum": 2, "histogram": 3, "exponential_histogram": 4, "summary": 5}
_CUMULATING = frozenset({"histogram", "exponential_histogram"})

Metric = tuple[str, str, str, str, str | None, bool, int]
"""Name and version of the scope; name, unit, type, monotony and temporality of a metric."""


def resource_identity(resource: bytes) -> bytes:
    """Return the identity of a resource, from the hash of its attributes."""
    return b"resource/%x" % _fnv(resource)


def stream_identity(resource: bytes, scope: bytes, metric: Metric, point: bytes) -> bytes:
    """Return the identity of a stream, from the hashes of the attributes of its resource, scope and points."""
    return b"stream/%x" % _fnv(point, _metric(resource, scope, metric))


@lru_cache(REMEMBERED)
def _metric(resource: bytes, scope: bytes, metric: Metric) -> int:
    scope_name, scope_version, name, unit, kind, monotonic, temporality = metric
    text = b"".join(part.encode("utf-8", "replace") for part in (scope_name, scope_version))
    state = _fnv(text + scope, _fnv(resource))
    grows = monotonic if kind == "sum" else kind in _CUMULATING
    tail = bytes([_TYPES[kind], grows, temporality & 0xFF])
    return _fnv((name + unit).encode("utf-8", "replace") + tail, state)


def hash_attributes(attributes: Mapping[str, Value]) -> bytes:
    """Return 16 bytes that do not depend on the order of the keys."""
    return _hash128(_encoded(attributes)) if attributes else _NO_ATTRIBUTES


def _encoded(attributes: Mapping[str, Value]) -> bytes:
    pairs = sorted((key.encode("utf-8", "replace"), value) for key, value in attributes.items())
    return b"".join(_KEY + key + _value(value) for key, value in pairs)


def _value(value: Value) -> bytes:
    if isinstance(value, str):
        return _TEXT + value.encode("utf-8", "replace")
    if isinstance(value, bool):
        return _TRUE if value else _FALSE
    if isinstance(value, int):
        return _INT + (value & _M64).to_bytes(8, "little")
    if isinstance(value, float):
        return _DOUBLE + struct.pack("<d", value)
    if isinstance(value, bytes):
        return _BYTES + value
    if isinstance(value, Mapping):
        return _MAP + _encoded(value) + _MAP_END
    if value is None:
        return _EMPTY
    return _LIST + b"".join(map(_value, value)) + _LIST_END


@lru_cache(REMEMBERED)
def _hash128(data: bytes) -> bytes:
    return _xxh64(data).to_bytes(8, "little") + _xxh64(data + _EXTRA).to_bytes(8, "little")


@lru_cache(REMEMBERED)
def _fnv(data: bytes, state: int = 0xCBF29CE484222325) -> int:
    """FNV-1a, 64 bits (RFC draft-eastlake-fnv)."""
    for byte in data:
        state = ((state ^ byte) * 0x100000001B3) & _M64
    return state


_P1, _P2, _P3, _P4, _P5 = (
    0x9E3779B185EBCA87,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5,
)
_LANES = struct.Struct("<4Q")


def _rotl(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (64 - bits))) & _M64


def _round(state: int, lane: int) -> int:
    return (_rotl((state + lane * _P2) & _M64, 31) * _P1) & _M64


def _xxh64(data: bytes) -> int:
    """XXH64 with seed 0 (the algorithm's specification, xxhash_spec.md)."""
    size, at = len(data), 0
    if size >= _LANES.size:
        lanes = [(_P1 + _P2) & _M64, _P2, 0, -_P1 & _M64]
        while at + _LANES.size <= size:
            lanes = [_round(state, lane) for state, lane in zip(lanes, _LANES.unpack_from(data, at), strict=True)]
            at += _LANES.size
        state = sum(_rotl(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18), strict=True)) & _M64
        for lane in lanes:
            state = ((state ^ _round(0, lane)) * _P1 + _P4) & _M64
    else:
        state = _P5
    return _finish((state + size) & _M64, data[at:])


def _finish(state: int, rest: bytes) -> int:
    at = 0
    while at + 8 <= len(rest):
        state ^= _round(0, int.from_bytes(rest[at : at + 8], "little"))
        state = (_rotl(state, 27) * _P1 + _P4) & _M64
        at += 8
    if at + 4 <= len(rest):
        state ^= (int.from_bytes(rest[at : at + 4], "little") * _P1) & _M64
        state = (_rotl(state, 23) * _P2 + _P3) & _M64
        at += 4
    for byte in rest[at:]:
        state = (_rotl(state ^ (byte * _P5 & _M64), 11) * _P1) & _M64
    state = ((state ^ (state >> 33)) * _P2) & _M64
    state = ((state ^ (state >> 29)) * _P3) & _M64
    return state ^ (state >> 32)
