"""Series as both versions of the protocol write them."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from untrace_plugins.prometheus.labels import Labels
from untrace_plugins.prometheus.points import Exemplar, NativeHistogram

__all__ = ["STALE", "Metadata", "NativeSample", "Sample", "Series", "Writing"]

STALE: float = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
"""The NaN that says that a series has ended; other NaNs are values."""


class Sample(NamedTuple):
    """A value; times in milliseconds since the Unix epoch, a start of 0 is unknown."""

    time: int
    value: float
    start: int = 0


class NativeSample(NamedTuple):
    """A native histogram; without one, the series has ended."""

    time: int
    histogram: NativeHistogram | None
    start: int = 0


@dataclass(slots=True)
class Series:
    """What is written of one series; either samples or native histograms."""

    labels: Labels
    """With ``__name__``, by name."""
    metric: str
    """Name of the family, for its metadata."""
    samples: list[Sample] = field(default_factory=list)
    histograms: list[NativeSample] = field(default_factory=list)
    exemplars: list[Exemplar] = field(default_factory=list)


class Metadata(NamedTuple):
    """What a family is."""

    type: str
    """``counter``, ``gauge``, ``histogram``, ``summary`` or ``unknown``."""
    help: str
    unit: str


@dataclass(slots=True)
class Writing:
    """What a request becomes."""

    series: Sequence[Series]
    """Each with its samples in order of time."""
    metadata: Mapping[str, Metadata]
    """By name of the family."""
    refused: Mapping[int, str]
    """Points that Prometheus has no form for, by their number, and why."""
