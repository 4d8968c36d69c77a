"""Options of ``llm_sampler``."""

from __future__ import annotations

from pydantic import Field, model_validator

from untrace_pipeline.api import ConfigModel, Duration
from untrace_pipeline.conditions import checked
from untrace_pipeline.data import Level, Signal
from untrace_plugins.sampling.config import DecideOn, HoldingConfig

__all__ = ["HourlyConfig", "KeepConfig", "LlmSamplerConfig", "RateConfig"]


class KeepConfig(ConfigModel):
    """Traces that are always kept: each line is a reason by itself."""

    errors: bool = True
    """Those with a span that failed: status ``ERROR``, or an ``error.type``."""
    min_cost: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Those that cost at least that, in USD: the sum of ``gen_ai.usage.cost`` (written by ``llm_cost``)."""
    min_latency: Duration | None = Field(None, gt=0)
    """Those that lasted at least that long, from the first start to the last end."""
    min_tokens: int | None = Field(None, gt=0)
    """Those that used at least so many tokens: the sum of ``gen_ai.usage.input_tokens`` and ``.output_tokens``."""
    tags: list[str] = []
    """Those with a span that has one of these in ``untrace.tags``."""
    models: list[str] = []
    """Those with a span of one of these models, requested or answering: ``o3``, ``claude-*``."""
    conditions: list[checked(Signal.TRACES, Level.ITEM)] = []  # type: ignore[valid-type]
    """Those with a span that satisfies one of these: conditions of our own form, or OTTL."""


class RateConfig(ConfigModel):
    """Another share for some traces: those with a span of all that is named here."""

    sampling_percentage: float = Field(ge=0, le=100, allow_inf_nan=False)
    """The share in percent."""
    tags: list[str] = []
    """One of these tags."""
    models: list[str] = []
    """One of these models: ``gpt-4o-mini``, ``claude-*``."""
    conditions: list[checked(Signal.TRACES, Level.ITEM)] = []  # type: ignore[valid-type]
    """One of these conditions."""

    @model_validator(mode="after")
    def _about_something(self) -> RateConfig:
        if not (self.tags or self.models or self.conditions):
            msg = "at least one of tags, models and conditions says what the rate is for"
            raise ValueError(msg)
        return self


class HourlyConfig(ConfigModel):
    """What is kept within an hour of the clock is steered to, by making the chances of all larger or smaller."""

    min_traces: int = Field(0, ge=0)
    """At least so many, as far as there are as many. 0 = no matter."""
    max_traces: int = Field(0, ge=0)
    """At most so many, apart from those that are always kept; when these are so many alone, nothing else is kept. 0 =
    no bound."""
    target_cost: float = Field(0.0, ge=0, allow_inf_nan=False)
    """So many dollars may those kept by chance have cost. 0 = no bound."""

    @model_validator(mode="after")
    def _ordered(self) -> HourlyConfig:
        if 0 < self.max_traces < self.min_traces:
            msg = "max_traces must not be less than min_traces"
            raise ValueError(msg)
        return self


class LlmSamplerConfig(HoldingConfig):
    """What is always kept, and the chances of the rest."""

    sampling_percentage: float = Field(10.0, ge=0.1, le=100, allow_inf_nan=False)
    """The share of traces that nothing else speaks for, in percent: 0.1 to 100."""
    keep: KeepConfig = KeepConfig()
    """What is always kept."""
    rates: list[RateConfig] = []
    """Other shares for some models, tags or conditions; the first that fits holds."""
    cost_of_certainty: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Lets chances grow with cost: a trace that cost so many USD is kept for certain, one of half that with at least
    50 % …; the shares above are the least."""
    hourly: HourlyConfig = HourlyConfig()
    """Bounds for an hour. Each worker process has an equal part of them."""
    decide_on: DecideOn = DecideOn.ROOT_END
    """``root_end``: a trace is decided when its root span has come, which is when it has ended, or when it was idle.
    ``idle``: when no span has come for ``idle_time``. ``wait``: ``decision_wait`` after its first span."""
    decision_wait_after_root_received: Duration = Field(5.0, ge=0)
    """Time from the root span to the decision, for spans that are still on their way."""
    use_tracestate: bool = True
    """Whether the chance that was taken is recorded in tracestate, too (``ot=th:…``). The decision always follows
    OpenTelemetry's consistent sampling: ``rv`` of tracestate, or the last 56 bits of the trace id."""
