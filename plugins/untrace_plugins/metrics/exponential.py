"""Base-2 exponential buckets that adapt their scale to the range of what they count.

The same decisions as ``go-expohisto`` of the Collector: the scale begins at 20 and falls whenever the buckets in use
would be more than the limit (OTLP ``ExponentialHistogramDataPoint``; opentelemetry.io "Base2 Exponential Bucket
Histogram Aggregation").
"""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["MAX_SCALE", "Buckets", "index_of"]

MAX_SCALE = 20
"""The finest scale of which all indexes of doubles fit into 32 bits."""
_MIN_NORMAL = 2.0**-1022
_MIN_EXPONENT, _MAX_EXPONENT = -1022, 1023
_POWER_OF_TWO = 0.5
"""The fraction that ``frexp`` gives for a power of two."""


def index_of(value: float, scale: int) -> int:
    """Return the bucket of a positive, finite value: ``base**index < value <= base**(index + 1)``."""
    fraction, exponent = math.frexp(max(value, _MIN_NORMAL))
    exact = fraction == _POWER_OF_TWO
    exponent -= 1
    if scale <= 0:
        return exponent - exact >> -scale
    if exact:
        return (exponent << scale) - 1
    index = math.floor(math.log(value) * math.ldexp(1 / math.log(2), scale))
    return min(index, (_MAX_EXPONENT + 1 << scale) - 1)


class Buckets:
    """Counts by bucket, of at most ``max_size`` neighbours."""

    __slots__ = ("_counts", "_max_size", "scale")

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._counts: dict[int, int] = {}
        self.scale = MAX_SCALE

    def add(self, value: float, count: int) -> None:
        """Count a positive, finite value that many times."""
        index = index_of(value, self.scale)
        counts = self._counts
        if index in counts:
            counts[index] += count
            return
        low, high = min(counts, default=index), max(counts, default=index)
        if self._coarsen(min(low, index), max(high, index)):
            index = index_of(value, self.scale)
        self._counts[index] = self._counts.get(index, 0) + count

    @property
    def offset(self) -> int:
        """Index of the first count."""
        return min(self._counts, default=0)

    def counts(self) -> Sequence[int]:
        """Return the counts from ``offset`` on, without gaps."""
        if not self._counts:
            return []
        first, last = min(self._counts), max(self._counts)
        return [self._counts.get(index, 0) for index in range(first, last + 1)]

    def _coarsen(self, low: int, high: int) -> bool:
        """Lower the scale until the range fits; return whether that was needed."""
        change = 0
        while high - low >= self._max_size:
            low, high, change = low >> 1, high >> 1, change + 1
        if not change:
            return False
        merged: dict[int, int] = {}
        for index, count in self._counts.items():
            merged[index >> change] = merged.get(index >> change, 0) + count
        self._counts = merged
        self.scale -= change
        return True
