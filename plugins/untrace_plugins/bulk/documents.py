"""From a batch to documents, whatever they look like. Pure: knows no server."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from untrace_pipeline.data import Batch, Signal
from untrace_plugins.bulk.config import BulkConfig, MappingMode
from untrace_plugins.bulk.flat import FlatForm
from untrace_plugins.bulk.index import Index, Router
from untrace_plugins.bulk.otel import OtelForm
from untrace_plugins.bulk.sketch import Sketch

__all__ = ["Document", "Documents", "to_json"]


class Document(NamedTuple):
    """A document as it is sent."""

    target: Index
    id: str
    """Empty where the server chooses."""
    body: bytes
    items: Sequence[int]
    """Which items of the batch it holds."""
    templates: Mapping[str, str] | None = None
    """Dynamic template of each field that has one."""


class Documents:
    """Makes documents as the options say."""

    def __init__(self, config: BulkConfig, *, time_series: bool) -> None:
        router = Router(config)
        otel = config.mapping.mode is MappingMode.OTEL
        self._form = OtelForm(router, time_series=time_series) if otel else FlatForm(router)
        self._ids = config.idempotent_ids

    def of(self, batch: Batch) -> list[Document]:
        """Return the documents of a batch, in order. Raises :class:`DecodeError`."""
        make: dict[Signal, Callable[[Batch], Iterable[Sketch]]] = {
            Signal.TRACES: self._form.spans,
            Signal.LOGS: self._form.logs,
            Signal.METRICS: self._form.points,
        }
        return [self._document(sketch) for sketch in make[batch.signal](batch)]

    def _document(self, sketch: Sketch) -> Document:
        body = to_json(sketch.fields)
        id_ = ""
        if self._ids and sketch.takes_id:
            id_ = sketch.id or hashlib.blake2b(body, digest_size=16, key=sketch.target.name.encode()[:64]).hexdigest()
        return Document(sketch.target, id_, body, sketch.items, sketch.templates)


def to_json(value: Any) -> bytes:
    """Return JSON; bytes are base64, and numbers that are none are null."""
    return orjson.dumps(value, default=_base64, option=orjson.OPT_NON_STR_KEYS)


def _base64(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError
