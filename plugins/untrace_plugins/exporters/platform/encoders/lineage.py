"""Which spans are above which, remembered for a while: the parts of a trace come in requests of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from threading import Lock
from typing import Any, Final, NamedTuple, TypeVar

from untrace_pipeline.data import Batch, Field, Level

__all__ = ["Ancestor", "Lineage"]

Key = TypeVar("Key")

REMEMBERED: Final = 32_768
"""Spans; some 8 MB."""
_FIELDS: Final = [Field(Level.ITEM, name) for name in ("trace_id", "span_id", "parent_span_id", "start_time_unix_nano")]


class Ancestor(NamedTuple):
    """A span, as far as those below it need to know."""

    span_id: bytes
    parent_id: bytes
    """Empty for a root."""
    start: int
    sent: bool
    """Whether the platform gets it."""


class Lineage:
    """Spans by their ids; the oldest are forgotten first. Safe in threads."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._spans: dict[tuple[bytes, bytes], Ancestor] = {}
        self._roots: dict[bytes, Ancestor] = {}
        self._lock = Lock()

    def learn(self, batch: Batch, rows: Sequence[int]) -> None:
        """Remember the spans of a request, of which ``rows`` are sent."""
        sent = set(rows)
        columns: Any = batch.columns(_FIELDS)
        with self._lock:
            for row, (trace_id, span_id, parent_id, start) in enumerate(zip(*columns, strict=True)):
                span = Ancestor(span_id, parent_id if any(parent_id) else b"", start, row in sent)
                self._spans[trace_id, span_id] = span
                if not span.parent_id:
                    self._roots.setdefault(trace_id, span)
            _forget(self._spans, self._remembered)
            _forget(self._roots, self._remembered)

    def root(self, trace_id: bytes) -> Ancestor | None:
        """Return the first root that was seen of a trace."""
        return self._roots.get(trace_id)

    def above(self, trace_id: bytes, parent_id: bytes) -> Iterator[Ancestor]:
        """Yield the parent of a span, its parent, and so on, as far as they are known; in a circle, once around."""
        passed: set[bytes] = set()
        while parent_id not in passed and (found := self._spans.get((trace_id, parent_id))) is not None:
            yield found
            passed.add(parent_id)
            parent_id = found.parent_id


def _forget(known: dict[Key, Ancestor], most: int) -> None:
    """Leave the newest."""
    for key in list(islice(known, max(0, len(known) - most))):
        del known[key]
