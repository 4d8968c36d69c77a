"""Which spans of a batch may speak a dialect, found by their keys in the bytes: nothing is decoded for the others."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

import re2

from untrace_pipeline.data import Batch, Searcher

__all__ = ["MARKS", "Candidates"]

MARKS = (
    *("gen_ai.", "llm.", "openinference.", "traceloop.", "langfuse.", "langsmith.", "mlflow.", "litellm.", "openlit."),
    *("logfire.", "pydantic_ai.", "request_data", "framework.", "workflow."),
    *("ai.operationId", "ai.settings.", "ai.usage."),
)
"""Of every span that speaks a dialect, some key has one of these."""


class Candidates:
    """Finds the items in whose bytes a mark occurs: in a key, or by chance in a value."""

    def __init__(self, marks: Sequence[str]) -> None:
        pattern = "|".join(re.escape(mark) for mark in marks)
        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1
        self._pattern = re2.compile(pattern.encode(), options)
        try:
            self._occurs = Searcher([pattern]).matches  # twice as fast, where the codec is native
        except ValueError:
            self._occurs = lambda data: self._pattern.search(data) is not None

    def __call__(self, batch: Batch) -> list[int]:
        """Return the rows, in order. A batch with pending edits is not written for this: all its rows are returned."""
        if batch.edited:
            return list(range(batch.item_count))
        data = batch.to_otlp()
        return self._rows(batch, data) if self._occurs(data) else []

    def _rows(self, batch: Batch, data: bytes) -> list[int]:
        starts, ends = batch.ranges()
        rows: list[int] = []
        found = self._pattern.search(data)
        while found is not None:
            at = found.start()
            row = bisect_right(starts, at) - 1
            inside = row >= 0 and at < ends[row]
            if inside:
                rows.append(row)
            found = self._pattern.search(data, ends[row] if inside else found.end())
        return rows
