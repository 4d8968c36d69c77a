"""Options of the probabilistic sampler."""

from __future__ import annotations

import enum
import math

from pydantic import Field, field_validator

from untrace_pipeline.api import ComponentConfig

__all__ = ["AttributeSource", "Mode", "ProbabilisticSamplerConfig"]

_SMALLEST_PERCENTAGE = 100 / 2**56


class Mode(enum.StrEnum):
    """How the decision is made."""

    HASH_SEED = "hash_seed"
    PROPORTIONAL = "proportional"
    EQUALIZING = "equalizing"
    UNSET = ""


class AttributeSource(enum.StrEnum):
    """Where the randomness of a log record comes from."""

    TRACE_ID = "traceID"
    RECORD = "record"


class ProbabilisticSamplerConfig(ComponentConfig):
    """Keeps a share of spans and log records. ``sampling.priority`` on a span overrules: 0 drops, more keeps."""

    sampling_percentage: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Share that is kept, in percent; 100 and more keep everything, 0 keeps nothing."""
    mode: Mode = Mode.UNSET
    """``hash_seed`` (the default): a hash of trace id and seed decides. ``proportional``: the arriving share is reduced
    by the percentage. ``equalizing``: the share is reduced to the percentage, whatever was sampled before. The last two
    follow OpenTelemetry's consistent sampling: randomness from the trace id, thresholds in W3C tracestate."""
    hash_seed: int = Field(0, ge=0, lt=2**32)
    """Seed of the hash; daemons in a row with the same seed keep the same traces."""
    fail_closed: bool = True
    """Whether items that cannot be decided are dropped: those without trace id, with broken tracestate, or with foreign
    sampling information."""
    sampling_precision: int = Field(4, ge=1, le=14)
    """Hexadecimal digits of thresholds that are written."""
    attribute_source: AttributeSource = AttributeSource.TRACE_ID
    """Log records: what is hashed: ``traceID``, or the attribute of the ``record`` that ``from_attribute`` names."""
    from_attribute: str = ""
    """Log records: the attribute that is hashed where there is no trace id, or instead of it."""
    sampling_priority: str = ""
    """Log records: an attribute that holds a percentage of its own for the record."""

    @field_validator("sampling_percentage")
    @classmethod
    def _not_too_small(cls, percentage: float) -> float:
        if 0 < percentage < _SMALLEST_PERCENTAGE or not math.isfinite(percentage):
            msg = f"the smallest share that can be expressed is {_SMALLEST_PERCENTAGE:.2e} percent"
            raise ValueError(msg)
        return percentage
