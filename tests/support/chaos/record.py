"""What a sink did with each request: an append-only file of JSON lines, and what can be read from it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import orjson

Runs = list[list[int]]
"""Ids as ``[first, count]``: consecutive ids, in the order in which they came."""


def runs_of(items: Iterable[int]) -> Runs:
    """Return ids as runs."""
    runs: Runs = []
    for item in items:
        if runs and item == runs[-1][0] + runs[-1][1]:
            runs[-1][1] += 1
        else:
            runs.append([item, 1])
    return runs


def expand(runs: Runs) -> Iterator[int]:
    """Yield the ids of runs."""
    for first, count in runs:
        yield from range(first, first + count)


class Record:
    """Appends lines; each is in the hands of the kernel before :meth:`write` returns, so that a kill loses none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, line: dict[str, Any]) -> None:
        """Append one line."""
        os.write(self._file, orjson.dumps(line) + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read_record(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a record; one that is still being written does not count."""
    if path.exists():
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield orjson.loads(line)


@dataclass
class Received:
    """What a sink has received, from its record."""

    accepted: Counter[int] = field(default_factory=Counter)
    """How often each item was taken."""
    rejected: Counter[int] = field(default_factory=Counter)
    """How often each item was rejected by name in a partial success."""
    refused: Counter[int] = field(default_factory=Counter)
    """How often each item was in a request that was refused for good, or was alone and called too large."""
    altered: int = 0
    """Spans that were not as they were sent."""
    lost: set[int] = field(default_factory=set)
    """Items taken in requests whose answer was lost on purpose: each may come again."""
    split: set[int] = field(default_factory=set)
    """Items in requests that were called too large: they came again in smaller ones."""
    largest: int = 0
    """Most items in one request."""
    steps: Counter[str] = field(default_factory=Counter)
    requests: int = 0

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a record."""
        received = cls()
        for line in read_record(path):
            received.add(line)
        return received

    def add(self, line: dict[str, Any]) -> None:
        """Take one line in."""
        took, refused = list(expand(line["took"])), list(expand(line["refused"]))
        self.requests += 1
        self.steps[line["step"]] += 1
        self.altered += line["altered"]
        self.largest = max(self.largest, len(took) + len(refused))
        self.split.update(expand(line["large"]))
        self.accepted.update(took)
        (self.rejected if line["step"] == "partial" else self.refused).update(refused)
        self.lost.update(expand(line["lost"]))

    @property
    def repeated(self) -> set[int]:
        """Items taken more than once."""
        return {item for item, times in self.accepted.items() if times > 1}

    @property
    def duplicates(self) -> int:
        """Items taken more often than once, by how much."""
        return self.accepted.total() - len(self.accepted)


def times_taken(path: Path, items: set[int]) -> dict[int, list[float]]:
    """Return when each of the items was taken, every time."""
    times: dict[int, list[float]] = {item: [] for item in items}
    for line in read_record(path):
        for item in expand(line["took"]):
            if item in items:
                times[item].append(line["at"])
    return times
