"""How an entry lies in a journal: its bytes as they are, and a small header with what else is wanted back."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson

from untrace_pipeline.data import EMPTY_CONTEXT, Batch, Context, Signal
from untrace_pipeline.delivery.storage import Record

__all__ = ["from_record", "to_record"]

_ARRIVAL = struct.Struct("<d")
"""When the request arrived; JSON with the rest follows."""
_NO_METADATA = EMPTY_CONTEXT.metadata
_REMEMBERED = 1024
"""Headers that need not be made, or read, again."""


def to_record(batch: Batch, items: int, time: float) -> Record:
    """Return the record of a batch. What an authenticator said about the sender is not stored."""
    context = batch.context
    header = _ARRIVAL.pack(context.received_at) + _sender(batch.signal, context)
    return Record(header, batch.to_otlp(), items, time)


def from_record(record: Record) -> Batch:
    """Return the batch of a record. Raises ``ValueError`` for a header that is none of ours."""
    if len(record.header) < _ARRIVAL.size:
        msg = "the header of a record is too short"
        raise ValueError(msg)
    (received_at,) = _ARRIVAL.unpack_from(record.header)
    signal, metadata, tenant, transport = _parse(record.header[_ARRIVAL.size :])
    context = Context(metadata, tenant=tenant, transport=transport, received_at=received_at)
    return Batch.decoded(signal, record.payload, context, record.items)


def _sender(signal: Signal, context: Context) -> bytes:
    """Return what most batches of one sender have in common."""
    if context.metadata:
        return _dump(signal, context.tenant, context.transport, context.metadata)
    return _dump_bare(signal, context.tenant, context.transport)


def _dump(
    signal: Signal, tenant: str | None, transport: str, metadata: Mapping[str, tuple[str, ...]] = _NO_METADATA
) -> bytes:
    header: dict[str, Any] = {"signal": signal}
    if tenant is not None:
        header["tenant"] = tenant
    if transport:
        header["transport"] = transport
    if metadata:
        header["metadata"] = dict(metadata)
    try:
        return orjson.dumps(header)
    except orjson.JSONEncodeError:  # a client's header that is no UTF-8
        return json.dumps(header).encode()


_dump_bare = lru_cache(maxsize=_REMEMBERED)(_dump)


@lru_cache(maxsize=_REMEMBERED)
def _parse(header: bytes) -> tuple[Signal, Mapping[str, tuple[str, ...]], str | None, str]:
    """Return signal, metadata, tenant and transport; batches of one sender have the same again and again."""
    try:
        found = orjson.loads(header)
    except orjson.JSONDecodeError:
        found = json.loads(header)
    try:
        metadata = {name: tuple(values) for name, values in found.get("metadata", {}).items()}
        return Signal(found["signal"]), metadata or _NO_METADATA, found.get("tenant"), found.get("transport", "")
    except (AttributeError, KeyError, TypeError) as error:
        msg = "the header of a record is none of ours"
        raise ValueError(msg) from error
