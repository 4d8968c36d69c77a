"""Sampling by rules: the same decision as of every consistent sampler, and how many spans one stands for."""

from __future__ import annotations

from itertools import compress

from untrace_pipeline.data import Batch, Field, Level, Signal, Value, attribute
from untrace_plugins.connectors.routing.rules_config import SamplingConfig
from untrace_plugins.processors.probabilistic_sampler.config import Mode, ProbabilisticSamplerConfig
from untrace_plugins.processors.probabilistic_sampler.processor import ProbabilisticSampler
from untrace_plugins.sampling.marking import ADJUSTED_COUNT
from untrace_plugins.sampling.thresholds import ALWAYS, NEVER, probability_of
from untrace_plugins.sampling.tracestate import threshold_in

__all__ = ["RateSampler", "sampler_of"]

_PRIORITY = attribute("sampling.priority")
_TRACE_STATE = Field(Level.ITEM, "trace_state")


class RateSampler:
    """Keeps a share of traces by their ids. What is kept says so in ``tracestate`` and ``sampling.adjusted_count``."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._sampler = ProbabilisticSampler(
            ProbabilisticSamplerConfig(mode=Mode.PROPORTIONAL, sampling_percentage=rate * 100, fail_closed=False)
        )

    def sample(self, batch: Batch) -> list[bool]:
        """Return which items are kept, without dropping the others; the marks of the kept ones are written."""
        kept = self._sampler.sample(batch)
        if batch.signal is Signal.TRACES and True in kept:
            self._count(batch, list(compress(range(len(kept)), kept)))
        return kept

    def _count(self, batch: Batch, rows: list[int]) -> None:
        """Write how many spans one stands for, over all samplers on its way; not where its priority had decided."""
        priorities = batch.columns([_PRIORITY], rows=rows)[0]
        rows = [row for row, priority in zip(rows, priorities, strict=True) if priority is None]
        states, counts = batch.columns([_TRACE_STATE, ADJUSTED_COUNT], rows=rows)
        shares = {state: _share(state) for state in dict.fromkeys(states) if isinstance(state, str)}
        adjusted: list[Value] = [
            count / self._rate if _is_count(count) else shares.get(str(state))  # type: ignore[operator]
            for state, count in zip(states, counts, strict=True)
        ]
        known = [row for row, value in zip(rows, adjusted, strict=True) if value is not None]
        if known:
            batch.set(ADJUSTED_COUNT, [value for value in adjusted if value is not None], known)


def _is_count(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value < NEVER


def _share(state: str) -> float | None:
    """Return the reciprocal of the share that a tracestate tells of; ``None`` where it tells of none, or of all."""
    threshold = threshold_in(state)
    return None if threshold is None or not ALWAYS < threshold < NEVER else 1 / probability_of(threshold)


def sampler_of(config: SamplingConfig | None, signal: Signal) -> RateSampler | None:
    """Return what keeps the share, ``None`` if that is all; data points are never sampled."""
    return None if config is None or config.rate == 1 or signal is Signal.METRICS else RateSampler(config.rate)
