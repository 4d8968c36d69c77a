"""Options of the policies of ``tail_sampling``, under the Collector's keys."""

from __future__ import annotations

import enum

from pydantic import Field, model_validator

from untrace_pipeline.api import ConfigModel
from untrace_pipeline.conditions import ConditionSource, ErrorMode, checked
from untrace_pipeline.conditions.patterns import compile_pattern
from untrace_pipeline.data import Level, Signal

__all__ = [
    "AndConfig",
    "BooleanAttributeConfig",
    "BytesLimitingConfig",
    "CompositeConfig",
    "DropConfig",
    "LatencyConfig",
    "NotConfig",
    "NumericAttributeConfig",
    "OttlConditionConfig",
    "PolicyConfig",
    "PolicyType",
    "ProbabilisticConfig",
    "RateLimitingConfig",
    "SpanCountConfig",
    "StatusCodeConfig",
    "StringAttributeConfig",
    "TraceStateConfig",
]

_INT64 = 2**63


class PolicyType(enum.StrEnum):
    """What a policy looks at."""

    ALWAYS_SAMPLE = "always_sample"
    LATENCY = "latency"
    NUMERIC_ATTRIBUTE = "numeric_attribute"
    PROBABILISTIC = "probabilistic"
    STATUS_CODE = "status_code"
    STRING_ATTRIBUTE = "string_attribute"
    RATE_LIMITING = "rate_limiting"
    BYTES_LIMITING = "bytes_limiting"
    SPAN_COUNT = "span_count"
    TRACE_STATE = "trace_state"
    TRACE_FLAGS = "trace_flags"
    BOOLEAN_ATTRIBUTE = "boolean_attribute"
    OTTL_CONDITION = "ottl_condition"
    AND = "and"
    NOT = "not"
    DROP = "drop"
    COMPOSITE = "composite"


class StatusCode(enum.StrEnum):
    """Status of a span."""

    UNSET = "UNSET"
    OK = "OK"
    ERROR = "ERROR"


class LatencyConfig(ConfigModel):
    """From the earliest start to the latest end of a trace's spans."""

    threshold_ms: int = Field(0, ge=0, lt=_INT64)
    """Longer than this, in milliseconds."""
    upper_threshold_ms: int = Field(0, ge=0, lt=_INT64)
    """At most this long. 0 = no bound."""


class NumericAttributeConfig(ConfigModel):
    """An integer attribute of a span or its resource within a range; of another type it counts as 0."""

    key: str
    """Name of the attribute."""
    min_value: int = Field(0, ge=-_INT64, lt=_INT64)
    """Least value. 0 = no bound."""
    max_value: int = Field(0, ge=-_INT64, lt=_INT64)
    """Greatest value. 0 = no bound."""
    invert_match: bool = False
    """Whether the trace is sampled unless a value is within the range."""

    @model_validator(mode="after")
    def _bounded(self) -> NumericAttributeConfig:
        if not self.min_value and not self.max_value:
            msg = "at least one of min_value and max_value must be set"
            raise ValueError(msg)
        return self


class ProbabilisticConfig(ConfigModel):
    """A share of the traces, by a hash of the trace id."""

    hash_salt: str = ""
    """Salt of the hash; daemons in a row with the same salt keep the same traces. Empty = the Collector's default."""
    sampling_percentage: float = Field(0.0, allow_inf_nan=False)
    """The share in percent; 100 and more keep all, 0 and less none."""


class StatusCodeConfig(ConfigModel):
    """The status of a span."""

    status_codes: list[StatusCode] = Field(min_length=1)
    """``OK``, ``ERROR``, ``UNSET``."""


class StringAttributeConfig(ConfigModel):
    """A string attribute of a span or its resource."""

    key: str
    """Name of the attribute."""
    values: list[str] = []
    """Values, or patterns of RE2 that are found anywhere in the value; empty values match nothing."""
    enabled_regex_matching: bool = False
    """Whether ``values`` are patterns."""
    cache_max_size: int = Field(0, ge=0)
    """Accepted for the Collector's sake, without an effect: equal values of a request are matched once."""
    invert_match: bool = False
    """Whether the trace is sampled unless a value matches."""

    @model_validator(mode="after")
    def _compiled(self) -> StringAttributeConfig:
        if self.enabled_regex_matching:
            for pattern in self.values:
                compile_pattern(pattern)
        return self


class RateLimitingConfig(ConfigModel):
    """A token bucket of spans."""

    spans_per_second: int = Field(0, ge=0)
    """Spans that are sampled per second."""
    burst_capacity: int = Field(0, ge=0)
    """Spans that the bucket holds; a larger trace never passes. 0 = twice ``spans_per_second``."""


class BytesLimitingConfig(ConfigModel):
    """A token bucket of bytes."""

    bytes_per_second: int = Field(0, ge=0)
    """Bytes of serialized spans that are sampled per second."""
    burst_capacity: int = Field(0, ge=0)
    """Bytes that the bucket holds; a larger trace never passes. 0 = twice ``bytes_per_second``."""


class SpanCountConfig(ConfigModel):
    """How many spans a trace has."""

    min_spans: int = Field(0, ge=0)
    """Least number."""
    max_spans: int = Field(0, ge=0)
    """Greatest number. 0 = no bound."""


class TraceStateConfig(ConfigModel):
    """An entry of W3C tracestate."""

    key: str
    """Key of the entry."""
    values: list[str] = []
    """Values, exactly."""


class BooleanAttributeConfig(ConfigModel):
    """A boolean attribute of a span or its resource; of another type it counts as false."""

    key: str
    """Name of the attribute."""
    value: bool = False
    """The value."""
    invert_match: bool = False
    """Whether the trace is sampled unless the value matches."""


class OttlConditionConfig(ConfigModel):
    """Conditions on spans and their events; any of them samples."""

    error_mode: ErrorMode = ErrorMode.SILENT
    """Where a condition has no answer: ``ignore`` passes it over and logs, ``silent`` does not log, ``propagate`` makes
    the policy fail for the trace, which then is not its to sample."""
    span: list[checked(Signal.TRACES, Level.ITEM)] = []  # type: ignore[valid-type]
    """Conditions on spans: OTTL, or our own form."""
    spanevent: list[checked(Signal.TRACES, Level.EVENT)] = []  # type: ignore[valid-type]
    """Conditions on span events."""

    @model_validator(mode="after")
    def _some(self) -> OttlConditionConfig:
        if not self.span and not self.spanevent:
            msg = "at least one condition is needed"
            raise ValueError(msg)
        return self

    def sources(self) -> tuple[list[ConditionSource], list[ConditionSource]]:
        """Return the conditions on spans and on events."""
        return self.span, self.spanevent


class AndConfig(ConfigModel):
    """Policies that must all sample."""

    and_sub_policy: list[PolicyConfig] = Field(min_length=1)
    """The policies."""


class NotConfig(ConfigModel):
    """The opposite of a policy."""

    not_sub_policy: PolicyConfig
    """The policy."""


class DropConfig(ConfigModel):
    """Policies that, if all sample, drop the trace whatever others say."""

    drop_sub_policy: list[PolicyConfig] = Field(min_length=1)
    """The policies."""


class RateAllocationConfig(ConfigModel):
    """The share of one policy."""

    policy: str
    """Name of a policy of ``composite_sub_policy``."""
    percent: int = Field(0, ge=0)
    """Percent of ``max_total_spans_per_second``; 0 = an equal share."""


class CompositeConfig(ConfigModel):
    """Policies that share a rate: the first that samples decides, as far as its share of the second goes."""

    max_total_spans_per_second: int = Field(0, ge=0)
    """Spans per second, of each policy at most."""
    policy_order: list[str] = []
    """Accepted for the Collector's sake, and ignored as it does: the order is that of ``composite_sub_policy``."""
    composite_sub_policy: list[PolicyConfig] = Field(min_length=1)
    """The policies."""
    rate_allocation: list[RateAllocationConfig] = []
    """The share of each policy. One that is not named here has none, and samples nothing: so it is in the Collector."""


class PolicyConfig(ConfigModel):
    """One policy: its type, and the section of that name."""

    name: str = ""
    """Its name in metrics; needed, and unique, for those that are not part of others."""
    type: PolicyType
    """What it looks at."""
    latency: LatencyConfig | None = None
    """Options of ``latency``."""
    numeric_attribute: NumericAttributeConfig | None = None
    """Options of ``numeric_attribute``."""
    probabilistic: ProbabilisticConfig | None = None
    """Options of ``probabilistic``."""
    status_code: StatusCodeConfig | None = None
    """Options of ``status_code``."""
    string_attribute: StringAttributeConfig | None = None
    """Options of ``string_attribute``."""
    rate_limiting: RateLimitingConfig | None = None
    """Options of ``rate_limiting``."""
    bytes_limiting: BytesLimitingConfig | None = None
    """Options of ``bytes_limiting``."""
    span_count: SpanCountConfig | None = None
    """Options of ``span_count``."""
    trace_state: TraceStateConfig | None = None
    """Options of ``trace_state``."""
    boolean_attribute: BooleanAttributeConfig | None = None
    """Options of ``boolean_attribute``."""
    ottl_condition: OttlConditionConfig | None = None
    """Options of ``ottl_condition``."""
    and_: AndConfig | None = Field(None, alias="and")
    """Options of ``and``."""
    not_: NotConfig | None = Field(None, alias="not")
    """Options of ``not``."""
    drop: DropConfig | None = None
    """Options of ``drop``; not within other policies."""
    composite: CompositeConfig | None = None
    """Options of ``composite``; not within other policies."""

    @model_validator(mode="after")
    def _complete(self) -> PolicyConfig:
        if self.type not in _WITHOUT_OPTIONS and self.options is None:
            msg = f"a policy of type {self.type} needs its options under {self.type}"
            raise ValueError(msg)
        for part in self.parts():
            if part.type in {PolicyType.DROP, PolicyType.COMPOSITE}:
                msg = f"a policy of type {part.type} cannot be part of another one"
                raise ValueError(msg)
        return self

    @property
    def options(self) -> ConfigModel | None:
        """The section of its type."""
        found: ConfigModel | None = getattr(self, _FIELDS.get(self.type, self.type), None)
        return found

    def parts(self) -> list[PolicyConfig]:
        """Return the policies that it is made of."""
        match self.options:
            case AndConfig(and_sub_policy=parts) | DropConfig(drop_sub_policy=parts):
                return parts
            case CompositeConfig(composite_sub_policy=parts):
                return parts
            case NotConfig(not_sub_policy=part):
                return [part]
        return []

    def stateful(self) -> bool:
        """Return whether what it says of some spans may be another thing when more have come, or depends on others."""
        own = {
            PolicyType.RATE_LIMITING: True,
            PolicyType.BYTES_LIMITING: True,
            PolicyType.LATENCY: bool(self.latency and self.latency.upper_threshold_ms),
            PolicyType.SPAN_COUNT: bool(self.span_count and self.span_count.max_spans),
        }
        return own.get(self.type, False) or any(part.stateful() for part in self.parts())


_FIELDS = {PolicyType.AND: "and_", PolicyType.NOT: "not_"}
_WITHOUT_OPTIONS = {
    PolicyType.ALWAYS_SAMPLE,
    PolicyType.TRACE_FLAGS,
    PolicyType.LATENCY,
    PolicyType.PROBABILISTIC,
    PolicyType.RATE_LIMITING,
    PolicyType.BYTES_LIMITING,
    PolicyType.SPAN_COUNT,
}
"""Types whose options have defaults throughout."""
