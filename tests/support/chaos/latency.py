"""Latencies from the records of both ends, by the time at which requests were sent."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.support.chaos.record import read_record

Timed = list[tuple[float, float]]
"""When a request was first sent, seconds since the Unix epoch, and how many seconds it took."""


def until_acknowledged(sender: Path) -> Timed:
    """Return how long each request of a sender took until it was acknowledged, all attempts together."""
    return [(line["began"], line["acked"] - line["began"]) for line in read_record(sender)]


def until_taken(sender: Path, sink: Path) -> Timed:
    """Return how long each acknowledged request was on its way to a sink: until its first item was taken first."""
    began = {line["first"]: line["began"] for line in read_record(sender)}
    firsts = sorted(began)
    taken: dict[int, float] = {}
    for line in read_record(sink):
        for first, count in line["took"]:
            for item in firsts[_place(firsts, first) : _place(firsts, first + count)]:
                taken.setdefault(item, line["at"])
    return [(began[item], taken[item] - began[item]) for item in firsts if item in taken]


def _place(firsts: Sequence[int], item: int) -> int:
    return bisect_right(firsts, item - 1)


def quantile(values: Iterable[float], share: float) -> float:
    """Return the value below which that share of the values lies; 0 without any."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


@dataclass(frozen=True)
class Phase:
    """Latencies of the requests sent in a span of time, in milliseconds."""

    p50: float
    p99: float
    windows: Sequence[float]
    """p99 of each window within the phase: how much it varies by itself."""

    @property
    def typical_p99(self) -> float:
        """The median of the windows."""
        return median(self.windows) if self.windows else 0.0


def phase(timed: Timed, begin: float, end: float, window: float) -> Phase:
    """Return the latencies of what was sent between two moments."""
    inside = [(sent, took * 1e3) for sent, took in timed if begin <= sent < end]
    windows: dict[int, list[float]] = {}
    for sent, took in inside:
        windows.setdefault(int((sent - begin) / window), []).append(took)
    all_of_them = [took for _, took in inside]
    p99s = [quantile(each, 0.99) for _, each in sorted(windows.items())]
    return Phase(quantile(all_of_them, 0.5), quantile(all_of_them, 0.99), p99s)
