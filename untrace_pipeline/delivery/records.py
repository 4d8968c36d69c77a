"""How an entry lies in a journal: its bytes as they are, and a small header with what else is wanted back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson

from untrace_pipeline.data import EMPTY_CONTEXT, Batch, Context, Signal
from untrace_pipeline.delivery.storage import Record

__all__ = ["from_record", "to_record"]


def to_record(batch: Batch, items: int, time: float) -> Record:
    """Return the record of a batch. What an authenticator said about the sender is not stored."""
    context = batch.context
    header: dict[str, Any] = {"signal": batch.signal, "received_at": context.received_at}
    if context.tenant is not None:
        header["tenant"] = context.tenant
    if context.transport:
        header["transport"] = context.transport
    if context.metadata:
        header["metadata"] = dict(context.metadata)
    return Record(_dump(header), batch.to_otlp(), items, time)


def from_record(record: Record) -> Batch:
    """Return the batch of a record. Raises ``ValueError`` for a header that is none of ours."""
    header = _load(record.header)
    try:
        signal, received_at = Signal(header["signal"]), float(header["received_at"])
        metadata = {name: tuple(values) for name, values in header.get("metadata", {}).items()}
        context = Context(
            metadata or EMPTY_CONTEXT.metadata,
            tenant=header.get("tenant"),
            transport=header.get("transport", ""),
            received_at=received_at,
        )
    except (AttributeError, KeyError, TypeError) as error:
        msg = "the header of a record is none of ours"
        raise ValueError(msg) from error
    return Batch.decoded(signal, record.payload, context, record.items)


def _dump(header: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(header)
    except orjson.JSONEncodeError:  # a client's header that is no UTF-8
        return json.dumps(header).encode()


def _load(header: bytes) -> Any:
    try:
        return orjson.loads(header)
    except orjson.JSONDecodeError:
        return json.loads(header)
