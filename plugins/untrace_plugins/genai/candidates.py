"""Which spans of a batch may speak a dialect, found by their keys in the bytes: nothing is decoded for the others."""

from __future__ import annotations

import re
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
        try:
            self._occurs = Searcher([pattern]).matches
        except ValueError:  # only native codecs have one
            options = re2.Options()
            options.encoding = re2.Options.Encoding.LATIN1
            search = re2.compile(pattern.encode(), options).search
            self._occurs = lambda data: search(data) is not None

    def __call__(self, batch: Batch) -> list[int]:
        """Return the rows, in order. A batch with pending edits is not written for this: all its rows are returned."""
        if batch.edited:
            return list(range(batch.item_count))
        data, occurs = batch.to_otlp(), self._occurs
        if not occurs(data):
            return []
        places = enumerate(zip(*batch.ranges(), strict=True))
        return [row for row, (start, end) in places if occurs(data[start:end])]
