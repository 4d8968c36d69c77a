"""Which spans of a batch may speak a dialect, found by their keys in the bytes: nothing is decoded for the others."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from untrace_pipeline.data import Batch

__all__ = ["MARKS", "candidates"]

MARKS = (
    *(b"gen_ai.", b"llm.", b"openinference.", b"traceloop.", b"langfuse.", b"langsmith.", b"mlflow.", b"litellm."),
    *(b"logfire.", b"pydantic_ai.", b"request_data", b"framework.", b"workflow."),
    *(b"ai.operationId", b"ai.settings.", b"ai.usage."),
)
"""Of every span that speaks a dialect, some key has one of these; each costs a search of all bytes, so they are few."""


def candidates(batch: Batch, marks: Sequence[bytes]) -> list[int]:
    """Return the rows of items in whose bytes a mark occurs, in a key or by chance in a value; in order.

    A batch with pending edits is not written for this: all its rows are returned.
    """
    if batch.edited:
        return list(range(batch.item_count))
    data = batch.to_otlp()
    found = [mark for mark in marks if mark in data]
    if not found:
        return []
    starts, ends = batch.ranges()
    rows: set[int] = set()
    for mark in found:
        at = data.find(mark)
        while at >= 0:
            row = bisect_right(starts, at) - 1
            inside = row >= 0 and at < ends[row]
            if inside:
                rows.add(row)
            at = data.find(mark, ends[row] if inside else at + len(mark))
    return sorted(rows)
