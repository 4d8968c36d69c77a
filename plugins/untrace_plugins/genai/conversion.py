"""A whole batch into the form of a destination, from whatever dialects its spans are in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from untrace_pipeline.data import Batch, Value
from untrace_plugins.genai import names
from untrace_plugins.genai.candidates import MARKS, Candidates
from untrace_plugins.genai.emit import COUNTED, emit
from untrace_plugins.genai.names import Form
from untrace_plugins.genai.normalise import normalise
from untrace_plugins.genai.spans import Span, error_type, events_of, inherit, read_spans, write

__all__ = ["Conversion"]

Edits = Callable[[Mapping[str, Value]], Mapping[str, Value]]
"""From the canonical attributes of a span to further changes; ``None`` removes an attribute."""

_CANDIDATES: Final = (*MARKS, names.DIALECT)


class Conversion:
    """Reads LLM spans, unless a processor has, and writes them in one form; other spans stay as they are."""

    def __init__(self, form: Form, edits: Edits | None = None) -> None:
        """``edits`` come last, and win."""
        self._form = form
        self._edits = edits
        self._find = Candidates(_CANDIDATES)

    def __call__(self, batch: Batch) -> list[int]:
        """Convert a batch of traces in place; return the rows of LLM spans, in order."""
        rows = self._find(batch)
        spans = self._canonical(batch, rows) if rows else []
        for span in spans:
            canonical = span.attributes()
            span.changes |= emit(self._form, canonical, span.start, span.end)
            if self._form is Form.GENAI and canonical.get(names.DUPLICATE) is True:
                span.changes |= dict.fromkeys(canonical.keys() & COUNTED)  # as all other forms do
            if self._edits is not None:
                span.changes |= self._edits(canonical)
        write(batch, spans)
        return [span.row for span in spans]

    def _canonical(self, batch: Batch, rows: Sequence[int]) -> list[Span]:
        """Return the LLM spans among these rows, with what makes them canonical as their changes."""
        spans = read_spans(batch, rows)
        failed = {span.row for span in spans if span.failed and names.ERROR_TYPE not in span.given}
        events = events_of(batch, failed)
        fresh = False
        for span in spans:
            error = error_type(events.get(span.row, ())) if span.row in failed else None
            found = normalise(span.given, start=span.start, error=error)
            span.changes, span.dialect = found.values, found.dialect or span.dialect
            fresh = fresh or bool(found.dialect)
        if fresh:
            inherit(spans)
        return [span for span in spans if span.dialect]
