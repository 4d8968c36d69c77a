"""The policy ``probabilistic``: for many traces at once."""

from __future__ import annotations

from collections.abc import Sequence

from untrace_plugins.processors.tail_sampling.policy_config import ProbabilisticConfig
from untrace_plugins.sampling.folds import Marked, Randomness
from untrace_plugins.sampling.hashing import FNV_64, Hasher
from untrace_plugins.sampling.survey import Survey
from untrace_plugins.sampling.thresholds import ALWAYS, NEVER, randomness_of_ids, threshold_of
from untrace_plugins.sampling.trace import Trace

__all__ = ["Chance", "hash_limit"]

_DEFAULT_SALT = "default-hash-seed"
_GREATEST = 2**64 - 1
_PRECISION = 64
_DIGITS = 14
_NO_ID = bytes(16)
_NOT_SAMPLED = -1


class Chance:
    """Samples traces whose hash is small enough; with tracestate, those whose randomness reaches the threshold, where
    a sampler before this one has left its marks."""

    def __init__(self, config: ProbabilisticConfig, survey: Survey, *, tracestate: bool) -> None:
        ratio = config.sampling_percentage / 100
        self._limit = hash_limit(ratio)
        self._hasher = Hasher((config.hash_salt or _DEFAULT_SALT).encode(), FNV_64)
        threshold = threshold_of(ratio, _DIGITS)
        if threshold is None:
            threshold = ALWAYS if ratio >= 1 else NEVER
        self._threshold = threshold
        self._bit = survey.bit()
        self._marked = survey.fold(Randomness()) if tracestate else None

    def toss(self, traces: Sequence[Trace]) -> None:
        """Let traces know whether they are lucky."""
        hashes = self._hasher.hash_ids([trace.id or _NO_ID for trace in traces])
        for trace, value in zip(traces, hashes, strict=True):
            lucky = value <= self._limit
            if self._marked is not None and (marked := trace.states[self._marked]).sampled:
                lucky = self._reached(trace.id, marked)
            trace.hits = trace.hits | self._bit if lucky else trace.hits & ~self._bit

    def _reached(self, trace_id: bytes, marked: Marked) -> bool:
        randomness = marked.randomness
        return self._threshold <= (randomness_of_ids([trace_id or _NO_ID])[0] if randomness is None else randomness)

    def ask(self, trace: Trace) -> int:
        """Return the threshold for a lucky trace: a :data:`Policy`."""
        return self._threshold if trace.hits & self._bit else _NOT_SAMPLED


def hash_limit(ratio: float) -> int:
    """Return the greatest hash that is sampled: the share of 2**64 - 1, in 64 binary digits, and then down."""
    if ratio <= 0:
        return 0
    numerator, denominator = ratio.as_integer_ratio()
    product = numerator * _GREATEST
    excess = max(product.bit_length() - _PRECISION, 0)
    kept, rest, half = product >> excess, product & ((1 << excess) - 1), 1 << excess >> 1
    kept += rest > half or (excess > 0 and rest == half and kept & 1)
    return min((kept << excess) // denominator, _GREATEST)
