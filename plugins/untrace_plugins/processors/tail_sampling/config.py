"""Options of ``tail_sampling``, under the Collector's keys."""

from __future__ import annotations

import enum
from collections.abc import Iterator

from pydantic import Field, field_validator, model_validator

from untrace_plugins.processors.tail_sampling.policy_config import PolicyConfig, PolicyType
from untrace_plugins.sampling.config import HoldingConfig

__all__ = ["Strategy", "TailSamplingConfig"]


class Strategy(enum.StrEnum):
    """When policies are asked."""

    TRACE_COMPLETE = "trace-complete"
    SPAN_INGEST = "span-ingest"


class TailSamplingConfig(HoldingConfig):
    """Policies that decide about whole traces: a drop wins, then any policy that samples; all else is dropped."""

    policies: list[PolicyConfig] = Field(min_length=1)
    """The policies."""
    sampling_strategy: Strategy = Strategy.TRACE_COMPLETE
    """``trace-complete``: a trace is decided when it has been waited for. ``span-ingest``: policies look at the spans
    of each request by themselves, and what they sample or drop is decided at once; what waits in vain is dropped."""
    sample_on_first_match: bool = False
    """Whether the first policy that samples ends the asking: rate limits behind it are not drawn on."""
    record_policy: bool = False
    """Whether scopes say in ``tailsampling.policy`` which policy sampled the trace: the Collector's feature gate
    ``processor.tailsamplingprocessor.recordpolicy``."""

    @field_validator("policies")
    @classmethod
    def _named(cls, policies: list[PolicyConfig]) -> list[PolicyConfig]:
        names = [policy.name for policy in policies]
        if not all(names):
            msg = "every policy needs a name"
            raise ValueError(msg)
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            msg = f"two policies have the name {twice!r}"
            raise ValueError(msg)
        return policies

    @model_validator(mode="after")
    def _strategy(self) -> TailSamplingConfig:
        if self.sampling_strategy is Strategy.SPAN_INGEST:
            for policy in self.policies:
                if policy.stateful():
                    msg = f"sampling_strategy span-ingest cannot ask policy {policy.name!r}, which needs whole traces"
                    raise ValueError(msg)
        return self

    def ordered(self) -> Iterator[PolicyConfig]:
        """Yield the policies as they are asked: those that drop first."""
        yield from (policy for policy in self.policies if policy.type is PolicyType.DROP)
        yield from (policy for policy in self.policies if policy.type is not PolicyType.DROP)
