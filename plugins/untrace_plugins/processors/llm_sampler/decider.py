"""What becomes of a trace: kept for a reason, or by chance."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence

from untrace_pipeline.api import Settings, Workers
from untrace_plugins.processors.llm_sampler.config import LlmSamplerConfig, RateConfig
from untrace_plugins.processors.llm_sampler.hourly import Hourly
from untrace_plugins.processors.llm_sampler.questions import Failed, ModelIs, Tagged
from untrace_plugins.processors.llm_sampler.usage import Usage, UsageFold
from untrace_plugins.sampling.conditions import ConditionQuestion, Troubles
from untrace_plugins.sampling.folds import Marked, Randomness
from untrace_plugins.sampling.spans import Spans
from untrace_plugins.sampling.survey import Question, Survey
from untrace_plugins.sampling.thresholds import randomness_of_ids, threshold_of
from untrace_plugins.sampling.trace import NOT_SAMPLED, Trace, Verdict

__all__ = ["LlmDecider"]

_NOTHING: Mapping[bytes, Verdict] = {}
_NO_ID = bytes(16)
_DIGITS = 4
"""Precision of thresholds in tracestate, as the probabilistic sampler has it."""
CHANCE = "chance"
_STEPS = 8
"""Chances that are computed go in so many steps from one to its double: traces of equal chances leave together."""


class LlmDecider:
    """Looks for a reason to keep a trace, and otherwise lets chance decide, consistently by trace id."""

    def __init__(self, config: LlmSamplerConfig, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        """``clock`` tells seconds since the Unix epoch."""
        self.survey = Survey()
        self._config = config
        self._clock = clock
        self._troubles = Troubles(settings.logger)
        invalid = settings.meter.counter("processor_llm_sampler_invalid_values")
        self._usage = self.survey.fold(UsageFold(invalid.add))
        self._randomness = self.survey.fold(Randomness())
        self._bits = self._reasons()
        self._rates = [(self._rate_bits(rate), rate.sampling_percentage / 100) for rate in config.rates]
        self._base = config.sampling_percentage / 100
        self._hourly = Hourly(config.hourly, clock)
        reasons = [*self._bits, "cost", "latency", "tokens"]
        self._for_certain = {reason: Verdict(keep=True, policy=reason) for reason in reasons}
        self._said = dict.fromkeys((*reasons, CHANCE, ""), 0)
        self._counters = {
            reason: settings.meter.counter(
                "processor_tail_sampling_count_traces_sampled",
                policy=reason or CHANCE,
                sampled=str(bool(reason)).lower(),
                decision="sampled" if reason else "not_sampled",
            )
            for reason in self._said
        }
        settings.meter.gauge("processor_llm_sampler_factor").observe_with(lambda: self._hourly.factor)

    def start(self, workers: Workers) -> None:
        """Take this worker's part of what an hour may bring."""
        self._hourly = Hourly(self._config.hourly, self._clock, workers.count)

    def _reasons(self) -> dict[str, int]:
        """Return the bits of the reasons that one span is enough for."""
        keep = self._config.keep
        asked: dict[str, Question | None] = {
            "errors": Failed() if keep.errors else None,
            "tags": Tagged(frozenset(keep.tags)) if keep.tags else None,
            "models": ModelIs(tuple(keep.models)) if keep.models else None,
            "conditions": ConditionQuestion(keep.conditions, troubles=self._troubles) if keep.conditions else None,
        }
        return {name: self.survey.question(question) for name, question in asked.items() if question is not None}

    def _rate_bits(self, rate: RateConfig) -> int:
        """Return all bits that a rate is for."""
        bits = 0
        if rate.tags:
            bits |= self.survey.question(Tagged(frozenset(rate.tags)))
        if rate.models:
            bits |= self.survey.question(ModelIs(tuple(rate.models)))
        if rate.conditions:
            bits |= self.survey.question(ConditionQuestion(rate.conditions, troubles=self._troubles))
        return bits

    # ----------------------------------------------------------------- decide

    def decide(self, traces: Sequence[Trace]) -> list[Verdict]:
        """Return a verdict for each trace."""
        verdicts = [self._verdict(trace) for trace in traces]
        for reason, counter in self._counters.items():
            counter.add(self._said[reason])
        self._said = dict.fromkeys(self._said, 0)
        return verdicts

    def at_once(self, spans: Spans, traces: Mapping[bytes, Trace]) -> Mapping[bytes, Verdict]:
        """Nothing is certain before a trace has ended: what it is kept for decides how it counts."""
        return _NOTHING

    def _verdict(self, trace: Trace) -> Verdict:
        usage: Usage = trace.states[self._usage]
        reason = self._reason(trace, usage)
        if reason is not None:
            self._said[reason] += 1
            self._hourly.keep(None)
            return self._for_certain[reason]
        share = self._share(trace)
        chance = self._hourly.chance(self._weighed(share, usage.cost), usage.cost)
        threshold = threshold_of(chance if chance == share else _stepped(chance), _DIGITS)
        if threshold is None or self._luck(trace) < threshold:
            self._said[""] += 1
            return NOT_SAMPLED
        self._said[CHANCE] += 1
        self._hourly.keep(usage.cost)
        return Verdict(keep=True, threshold=threshold, policy=CHANCE)

    def _reason(self, trace: Trace, usage: Usage) -> str | None:
        """Return why a trace is kept for certain."""
        keep = self._config.keep
        for name, bit in self._bits.items():
            if trace.hits & bit:
                return name
        if keep.min_cost is not None and usage.cost >= keep.min_cost:
            return "cost"
        if keep.min_latency is not None and usage.seconds >= keep.min_latency:
            return "latency"
        return "tokens" if keep.min_tokens is not None and usage.tokens >= keep.min_tokens else None

    def _share(self, trace: Trace) -> float:
        return next((share for bits, share in self._rates if trace.hits & bits == bits), self._base)

    def _weighed(self, share: float, cost: float) -> float:
        certain = self._config.cost_of_certainty
        return share if certain is None else min(max(share, cost / certain), 1.0)

    def _luck(self, trace: Trace) -> int:
        """Return the randomness of a trace, the same in every sampler."""
        marked: Marked = trace.states[self._randomness]
        if marked.randomness is not None:
            return marked.randomness
        return randomness_of_ids([trace.id or _NO_ID])[0]


def _stepped(chance: float) -> float:
    """Return the next chance of few that are possible, not greater than the given one."""
    return 2 ** (math.floor(math.log2(chance) * _STEPS) / _STEPS) if chance > 0 else 0.0
