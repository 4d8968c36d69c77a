"""The policies together: what becomes of a trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from untrace_pipeline.api import Settings, Workers
from untrace_pipeline.data import Level
from untrace_plugins.processors.tail_sampling.config import Strategy, TailSamplingConfig
from untrace_plugins.processors.tail_sampling.policies import (
    DROPPED,
    ERROR,
    NOT_SAMPLED,
    Clocks,
    Compiler,
)
from untrace_plugins.processors.tail_sampling.policy_config import PolicyConfig, PolicyType
from untrace_plugins.sampling.spans import Spans
from untrace_plugins.sampling.survey import Survey
from untrace_plugins.sampling.thresholds import NEVER
from untrace_plugins.sampling.trace import NOT_SAMPLED as DECLINED
from untrace_plugins.sampling.trace import Trace, Verdict

__all__ = ["PolicyDecider"]

_NOTHING: Mapping[bytes, Verdict] = {}
_WORDS = {0: "sampled", NOT_SAMPLED: "not_sampled", DROPPED: "dropped"}


class PolicyDecider:
    """Asks the policies, those that drop first. A drop ends the asking; what fails says nothing."""

    def __init__(self, config: TailSamplingConfig, settings: Settings, clocks: Clocks | None = None) -> None:
        self.survey = Survey()
        self._first_only = config.sample_on_first_match
        self._ingest = config.sampling_strategy is Strategy.SPAN_INGEST
        compiler = Compiler(self.survey, settings, clocks or Clocks(), tracestate=config.use_tracestate)
        self._policies = [_Asked(compiler, policy, settings) for policy in config.ordered()]
        self._chances = compiler.chances
        self._errors = settings.meter.counter("processor_tail_sampling_sampling_policy_evaluation_error")

    def start(self, workers: Workers) -> None:
        """Nothing to divide: limits are those of each worker."""

    def decide(self, traces: Sequence[Trace]) -> list[Verdict]:
        """Return a verdict for each trace."""
        if self._ingest:  # what was to be sampled is sampled
            return [DECLINED] * len(traces)
        for chance in self._chances:
            chance.toss(traces)
        verdicts = [self._verdict(trace) for trace in traces]
        self._count()
        return verdicts

    def _verdict(self, trace: Trace) -> Verdict:
        sampled_by, threshold = None, NEVER
        for policy in self._policies:
            said = policy.ask(trace)
            if said >= 0:
                policy.said[0] += 1
                sampled_by = sampled_by or policy
                threshold = min(threshold, said)
                if self._first_only:
                    break
                continue
            policy.said[said] += 1
            if said == DROPPED:
                return DECLINED
        return DECLINED if sampled_by is None else sampled_by.verdict(threshold)

    # --------------------------------------------------------------- at once

    def at_once(self, spans: Spans, traces: Mapping[bytes, Trace]) -> Mapping[bytes, Verdict]:
        """With ``span-ingest``, ask about the spans that one resource of a request has of a trace, by themselves."""
        if not self._ingest:
            return _NOTHING
        answers = self.survey.ask(spans.batch)
        resources = spans.batch.parents(Level.ITEM, Level.RESOURCE)
        decided: dict[bytes, Verdict] = {}
        for trace_id, trace in traces.items():
            by_resource: dict[int, list[int]] = {}
            for row in spans.rows[trace_id]:
                by_resource.setdefault(resources[row], []).append(row)
            items = trace.items - len(spans.rows[trace_id])
            for own in by_resource.values():
                items += len(own)
                piece = Trace(trace_id, trace.arrived, self.survey.begin(), [])
                piece.items, piece.size = items, trace.size
                answers.tell(piece, own)
                verdict = self._early(piece)
                if verdict is not None:
                    decided[trace_id] = verdict
                    break
        self._count()
        return decided

    def _early(self, piece: Trace) -> Verdict | None:
        """Return what is certain already. While a policy may still drop the trace, none can sample it."""
        for chance in self._chances:
            chance.toss([piece])
        may_drop = False
        for policy in self._policies:
            if may_drop and not policy.drops:
                return None
            said = policy.ask(piece)
            policy.said[min(said, 0)] += 1
            if said == DROPPED:
                return DECLINED
            if said == ERROR:
                continue
            if policy.drops:
                may_drop = True
            elif said >= 0:
                return policy.verdict(said)
        return None

    def _count(self) -> None:
        for policy in self._policies:
            self._errors.add(policy.said[ERROR])
            policy.count()


class _Asked:
    """A policy, how often it said what, and the verdicts that it gives."""

    def __init__(self, compiler: Compiler, config: PolicyConfig, settings: Settings) -> None:
        self.ask = compiler.compile(config)
        self.drops = config.type is PolicyType.DROP
        self.said = dict.fromkeys((*_WORDS, ERROR), 0)
        """How often it said what since that was counted; 0 stands for every threshold."""
        self._name = config.name
        self._verdicts: dict[int, Verdict] = {}
        component = settings.id.name
        label = f"{component}.{config.name}" if component else config.name
        self._counters = {
            said: settings.meter.counter(
                "processor_tail_sampling_count_traces_sampled",
                policy=label,
                sampled=str(word == "sampled").lower(),
                decision=word,
            )
            for said, word in _WORDS.items()
        }

    def verdict(self, threshold: int) -> Verdict:
        """Return the verdict of a trace that it samples; equal ones are the same object."""
        known = self._verdicts.get(threshold)
        if known is None:
            known = self._verdicts[threshold] = Verdict(keep=True, threshold=threshold, policy=self._name)
        return known

    def count(self) -> None:
        """Bring the metrics up to date."""
        for said, counter in self._counters.items():
            counter.add(self.said[said])
        self.said = dict.fromkeys(self.said, 0)
