"""A request seen as the traces in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from untrace_pipeline.data import Batch, Context, Field, Level
from untrace_plugins.sampling.trace import Fragment

__all__ = ["Senders", "Spans"]

_TRACE_ID, _PARENT = Field(Level.ITEM, "trace_id"), Field(Level.ITEM, "parent_span_id")
_SENDERS = 1024
"""Contexts of senders that are known to be the same."""


class Spans:
    """Which rows of a batch belong to which trace."""

    __slots__ = ("batch", "ids", "rows")

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.ids = cast("list[bytes]", batch.column(_TRACE_ID))
        """Trace id of each span; empty where it has none."""
        self.rows: dict[bytes, list[int]] = {}
        rows = self.rows
        for row, trace_id in enumerate(self.ids):
            if trace_id in rows:
                rows[trace_id].append(row)
            else:
                rows[trace_id] = [row]

    def roots(self) -> set[bytes]:
        """Return the traces of which a root span is here."""
        parents = self.batch.column(_PARENT)
        if all(parents):
            return set()
        return {trace_id for trace_id, parent in zip(self.ids, parents, strict=True) if not parent}

    def fragments(self, sender: Context) -> dict[bytes, Fragment]:
        """Return the spans of each trace as a request of their own."""
        rows = self.rows
        payloads = cast("dict[bytes, bytes]", self.batch.cut(self.ids))
        return {one: Fragment(payload, len(payload), len(rows[one]), sender) for one, payload in payloads.items()}

    def without(self, gone: Sequence[bool]) -> Spans | None:
        """Return the spans for which no ``gone`` stands; ``None`` if that is none."""
        left = self.batch.select([not one for one in gone])
        return Spans(left) if left is not None else None


class Senders:
    """What is kept of contexts; the same object for equal ones, so that what they sent can be merged."""

    def __init__(self) -> None:
        self._known: dict[object, Context] = {}

    def get(self, context: Context) -> Context:
        """Return a context with the metadata and tenant of another one."""
        key = (context.tenant, tuple(context.metadata.items()))
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _SENDERS:
                self._known.clear()
            known = Context(context.metadata, tenant=context.tenant, received_at=context.received_at)
            self._known[key] = known
        return known
