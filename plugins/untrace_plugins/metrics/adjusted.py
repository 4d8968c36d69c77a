"""How many spans one that was sampled stands for: the threshold in its tracestate says it (OTEP 235, ``ot=th:…``)."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from untrace_pipeline.data import Value
from untrace_plugins.sampling.thresholds import NEVER
from untrace_plugins.sampling.tracestate import threshold_in

__all__ = ["adjusted_counts", "with_attribute"]


def adjusted_counts(states: Sequence[Value]) -> list[int | None] | None:
    """Return for each tracestate how many spans its span stands for; ``None`` where it does not say.

    ``None`` for all where none says so, which costs next to nothing. What is no whole number is rounded up or down at
    random, so that sums are right in the mean, as in the Collector.
    """
    if not any(states):
        return None
    shares = {state: _share(state) for state in set(states) if isinstance(state, str)}
    if not any(shares.values()):
        return None
    return [None if (share := shares.get(str(state))) is None else _rounded(share) for state in states]


def with_attribute(counts: list[int | None] | None, said: Sequence[Value]) -> list[int | None] | None:
    """Return counts, where there is none with what the attribute ``sampling.adjusted_count`` says."""
    if not any(said):
        return counts
    known = counts if counts is not None else [None] * len(said)
    return [_whole(value) if count is None else count for count, value in zip(known, said, strict=True)]


def _whole(value: Value) -> int | None:
    """Return a count, made whole at random; ``None`` for what is none."""
    if type(value) not in {int, float} or not 1 <= value <= NEVER:  # type: ignore[operator]
        return None
    whole = math.floor(value)  # type: ignore[arg-type]
    return whole + (random.random() < value - whole)  # type: ignore[operator]  # noqa: S311  no secret


def _share(state: str) -> int | None:
    """Return how many of ``NEVER`` traces the threshold keeps."""
    threshold = threshold_in(state)
    return None if threshold is None else NEVER - threshold


def _rounded(share: int) -> int:
    whole, rest = divmod(NEVER, share)
    return whole + (random.randrange(share) < rest if rest else 0)  # noqa: S311  no secret
