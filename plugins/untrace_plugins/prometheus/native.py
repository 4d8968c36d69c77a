"""Native histograms as Prometheus writes them: spans of neighbouring buckets, and differences of their counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["ZERO_THRESHOLD", "bounded_count", "spans_of"]

ZERO_THRESHOLD = 1e-128
"""Of histograms that do not say theirs, as in the Collector."""
_LARGEST_COUNT = 2**63 - 1
"""Differences of counts are signed."""
_LARGEST_GAP = 2
"""Empty buckets that are cheaper to write than a new span."""


def spans_of(buckets: Mapping[int, int]) -> tuple[Sequence[tuple[int, int]], Sequence[int]]:
    """Return spans of neighbours as (offset, length), and counts as differences to the bucket before.

    ``buckets`` are counts by index in OTLP's numbering; Prometheus numbers from one on.
    """
    spans: list[tuple[int, int]] = []
    deltas: list[int] = []
    last = before = 0
    for index in sorted(buckets):
        own = index + 1
        gap = own - last - 1
        if not spans or gap > _LARGEST_GAP:
            spans.append((own if not spans else gap, 0))
        else:
            for _ in range(gap):
                deltas.append(-before)
                before = 0
            spans[-1] = (spans[-1][0], spans[-1][1] + gap)
        count = bounded_count(buckets[index])
        deltas.append(count - before)
        spans[-1] = (spans[-1][0], spans[-1][1] + 1)
        before, last = count, own
    return spans, deltas


def bounded_count(value: int) -> int:
    """Return a count that the messages can hold; absurd ones are the largest."""
    return min(value, _LARGEST_COUNT)
