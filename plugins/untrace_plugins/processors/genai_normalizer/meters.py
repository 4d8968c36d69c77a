"""What the processor counts."""

from __future__ import annotations

from functools import cache

from untrace_pipeline.api import Counter, Meter

__all__ = ["Meters"]


class Meters:
    """The counters of one processor; those with a label are made when they are first needed."""

    def __init__(self, meter: Meter) -> None:
        self.duplicates = meter.counter("genai_normalizer_duplicate_spans")
        self.joined = meter.counter("genai_normalizer_joined_spans")
        self.waiting = meter.gauge("genai_normalizer_waiting_bytes")

        @cache
        def spans(dialect: str) -> Counter:
            return meter.counter("genai_normalizer_spans", dialect=dialect)

        @cache
        def malformed(dialect: str) -> Counter:
            return meter.counter("genai_normalizer_malformed_attributes", dialect=dialect)

        @cache
        def unjoined(reason: str) -> Counter:
            return meter.counter("genai_normalizer_unjoined_events", reason=reason)

        self.spans = spans
        self.malformed = malformed
        self.unjoined = unjoined

    def lost(self, reason: str, count: int) -> None:
        """Count events that were let go before their span came."""
        self.unjoined(reason).add(count)
