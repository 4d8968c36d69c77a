"""Policies as functions of what is known about a trace: compiled once, asked when a trace is decided."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from untrace_pipeline.api import Settings
from untrace_pipeline.conditions import Condition, ErrorMode, compile_condition
from untrace_pipeline.data import Level, Signal
from untrace_plugins.processors.tail_sampling.chance import Chance
from untrace_plugins.processors.tail_sampling.limits import RateShare, TokenBucket
from untrace_plugins.processors.tail_sampling.policy_config import (
    AndConfig,
    BooleanAttributeConfig,
    BytesLimitingConfig,
    CompositeConfig,
    DropConfig,
    LatencyConfig,
    NotConfig,
    NumericAttributeConfig,
    OttlConditionConfig,
    PolicyConfig,
    PolicyType,
    ProbabilisticConfig,
    RateLimitingConfig,
    SpanCountConfig,
    StatusCodeConfig,
    StringAttributeConfig,
    TraceStateConfig,
)
from untrace_plugins.processors.tail_sampling.questions import (
    BooleanIs,
    NumberWithin,
    SampledFlag,
    StatusIs,
    StringFound,
    StringIs,
    TraceStateHas,
)
from untrace_plugins.sampling.conditions import FAILED, YES, ConditionQuestion, FirstAnswer, Troubles
from untrace_plugins.sampling.folds import LatencyWithin
from untrace_plugins.sampling.survey import Fold, Question, Survey
from untrace_plugins.sampling.thresholds import ALWAYS
from untrace_plugins.sampling.trace import Trace

__all__ = ["DROPPED", "ERROR", "NOT_SAMPLED", "Clocks", "Compiler", "Policy"]

Policy: TypeAlias = Callable[[Trace], int]
"""Returns the threshold with which a trace is sampled, which is at least 0, or one of the following."""
NOT_SAMPLED, DROPPED, ERROR = -1, -2, -3

_STATUS = {"UNSET": 0, "OK": 1, "ERROR": 2}
_MAX_ENTRY = 256
_LEAST, _GREATEST = -(2**63), 2**63 - 1


@dataclass(frozen=True, slots=True)
class Clocks:
    """Where limits have their time from, in seconds."""

    steady: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time


class Compiler:
    """Turns options into policies, and puts what they want to know into a survey."""

    def __init__(self, survey: Survey, settings: Settings, clocks: Clocks, *, tracestate: bool) -> None:
        self._survey = survey
        self._troubles = Troubles(settings.logger)
        self._clocks = clocks
        self._tracestate = tracestate
        self.chances: list[Chance] = []
        """To be tossed before policies are asked about traces."""

    def compile(self, config: PolicyConfig) -> Policy:
        """Return a policy. Raises :class:`ConditionError`."""
        match config.options:
            case AndConfig(and_sub_policy=parts):
                return _all([self.compile(part) for part in parts])
            case NotConfig(not_sub_policy=part):
                return _opposite(self.compile(part))
            case DropConfig(drop_sub_policy=parts):
                return _dropping([self.compile(part) for part in parts])
            case CompositeConfig() as options:
                return self._composite(options)
        return self._measured(config) or self._folded(config) or self._asked(config)

    def _measured(self, config: PolicyConfig) -> Policy | None:
        """Return a policy that follows from the size of a trace, its id, or from nothing."""
        clock = self._clocks.steady
        match config.options or _DEFAULTS.get(config.type):
            case None if config.type is PolicyType.ALWAYS_SAMPLE:
                return lambda _: ALWAYS
            case RateLimitingConfig(spans_per_second=rate, burst_capacity=burst):
                spans = TokenBucket(rate, burst or 2 * rate, clock)
                return lambda trace: ALWAYS if spans.take(trace.items) else NOT_SAMPLED
            case BytesLimitingConfig(bytes_per_second=rate, burst_capacity=burst):
                size = TokenBucket(rate, burst or 2 * rate, clock)
                return lambda trace: ALWAYS if size.take(trace.size) else NOT_SAMPLED
            case SpanCountConfig(min_spans=least, max_spans=most):
                return lambda trace: ALWAYS if least <= trace.items <= (most or trace.items) else NOT_SAMPLED
            case ProbabilisticConfig() as options:
                chance = Chance(options, self._survey, tracestate=self._tracestate)
                self.chances.append(chance)
                return chance.ask
        return None

    def _folded(self, config: PolicyConfig) -> Policy | None:
        """Return a policy that follows from a running value."""
        fold: Fold
        outcomes: dict[int | None, int]
        match config.options or _DEFAULTS.get(config.type):
            case LatencyConfig(threshold_ms=above, upper_threshold_ms=most):
                fold, outcomes = LatencyWithin(above, most), {None: ALWAYS}
            case OttlConditionConfig(error_mode=ErrorMode.PROPAGATE) as options:
                fold = FirstAnswer(_conditions(options, Level.ITEM), _conditions(options, Level.EVENT))
                outcomes = {YES: ALWAYS, FAILED: ERROR}
            case _:
                return None
        place = self._survey.fold(fold)
        return lambda trace: outcomes.get(trace.states[place], NOT_SAMPLED)

    def _asked(self, config: PolicyConfig) -> Policy:
        """Return a policy that follows from a question to each span."""
        invert, options = False, config.options
        question: Question
        match options:
            case NumericAttributeConfig(key=key, min_value=least, max_value=greatest, invert_match=invert):
                question = NumberWithin(key, least or _LEAST, greatest or _GREATEST)
            case BooleanAttributeConfig(key=key, value=value, invert_match=invert):
                question = BooleanIs(key, value)
            case StringAttributeConfig(key=key, values=values, invert_match=invert):
                texts = options.enabled_regex_matching
                question = StringFound(key, tuple(values)) if texts else StringIs(key, frozenset(filter(None, values)))
            case StatusCodeConfig(status_codes=codes):
                question = StatusIs(frozenset(_STATUS[code] for code in codes))
            case TraceStateConfig(key=key, values=values):
                fitting = [value for value in values if value and len(key) + len(value) < _MAX_ENTRY]
                question = TraceStateHas(key, frozenset(fitting))
            case OttlConditionConfig():
                logged = options.error_mode is ErrorMode.IGNORE
                question = ConditionQuestion(*options.sources(), troubles=self._troubles if logged else None)
            case _:
                question = SampledFlag()
        bit = self._survey.question(question)
        if invert:
            return lambda trace: NOT_SAMPLED if trace.hits & bit else ALWAYS
        return lambda trace: ALWAYS if trace.hits & bit else NOT_SAMPLED

    def _composite(self, config: CompositeConfig) -> Policy:
        total, parts = config.max_total_spans_per_second, config.composite_sub_policy
        shares = {
            one.policy: one.percent / 100 * total if one.percent else total / len(parts)
            for one in config.rate_allocation
        }
        limits = [RateShare(min(int(shares.get(part.name, 0.0)), total)) for part in parts]
        return _sharing([self.compile(part) for part in parts], limits, self._clocks.wall)


_DEFAULTS = {
    PolicyType.LATENCY: LatencyConfig(),
    PolicyType.PROBABILISTIC: ProbabilisticConfig(),
    PolicyType.RATE_LIMITING: RateLimitingConfig(),
    PolicyType.BYTES_LIMITING: BytesLimitingConfig(),
    PolicyType.SPAN_COUNT: SpanCountConfig(),
}


def _conditions(config: OttlConditionConfig, level: Level) -> list[Condition]:
    sources = config.sources()[level is Level.EVENT]
    return [compile_condition(source, Signal.TRACES, level) for source in sources]


def _all(parts: Sequence[Policy]) -> Policy:
    """Return a policy that samples where all do, with the least chance among them."""

    def ask(trace: Trace) -> int:
        threshold = ALWAYS
        for part in parts:
            said = part(trace)
            if said < 0:
                return said
            threshold = max(threshold, said)
        return threshold

    return ask


def _opposite(part: Policy) -> Policy:
    def ask(trace: Trace) -> int:
        said = part(trace)
        if said == NOT_SAMPLED:
            return ALWAYS
        return said if said == ERROR else NOT_SAMPLED

    return ask


def _dropping(parts: Sequence[Policy]) -> Policy:
    """Return a policy that drops what all sample."""
    all_ = _all(parts)

    def ask(trace: Trace) -> int:
        said = all_(trace)
        return DROPPED if said >= 0 else said

    return ask


def _sharing(parts: Sequence[Policy], limits: Sequence[RateShare], clock: Callable[[], float]) -> Policy:
    """Return a policy by which the first that samples decides, as long as there is some left of its share."""
    shared = list(zip(parts, limits, strict=True))

    def ask(trace: Trace) -> int:
        second = int(clock())
        for part, limit in shared:
            said = part(trace)
            if said == ERROR:
                return ERROR
            if said >= 0:
                return ALWAYS if limit.take(trace.items, second) else NOT_SAMPLED
        return NOT_SAMPLED

    return ask
