"""Prices that a user writes down: options of the processor, and files."""

from __future__ import annotations

from datetime import UTC, date, datetime

from pydantic import Field, model_validator

from untrace_pipeline.api import ConfigModel
from untrace_plugins.genai.pricing.tariff import Rates, Step, Tariff

__all__ = ["PriceEntry", "PriceStep"]

_NANOSECONDS = 1_000_000_000


class PriceStep(ConfigModel):
    """Other prices for whole calls with long prompts; what is absent stays as it is below."""

    above: int = Field(ge=1)
    """The step holds for calls with more input tokens than this."""
    input: float | None = Field(None, ge=0, allow_inf_nan=False)
    """US dollars per million input tokens that are in no cache."""
    output: float | None = Field(None, ge=0, allow_inf_nan=False)
    """US dollars per million output tokens."""
    cache_read: float | None = Field(None, ge=0, allow_inf_nan=False)
    """US dollars per million input tokens read from a cache."""
    cache_write: float | None = Field(None, ge=0, allow_inf_nan=False)
    """US dollars per million input tokens written to a cache."""
    reasoning: float | None = Field(None, ge=0, allow_inf_nan=False)
    """US dollars per million reasoning tokens."""


class PriceEntry(ConfigModel):
    """Prices of one model, or of all whose names match."""

    model: str = Field(min_length=1)
    """Name of the model as spans have it, in any case; `*` stands for anything: `ft:gpt-4o-mini*`."""
    provider: str = ""
    """Name of the provider as spans have it, `openai`; without it, the entry holds for all."""
    tier: str = ""
    """Service tier, `flex`, `priority` or `batch`; without it, the entry holds for all that have none of their own."""
    since: date | None = None
    """First day, in UTC, on which these prices hold; calls before it need another entry."""
    input: float = Field(0.0, ge=0, allow_inf_nan=False)
    """US dollars per million input tokens that are in no cache."""
    output: float = Field(0.0, ge=0, allow_inf_nan=False)
    """US dollars per million output tokens."""
    cache_read: float | None = Field(None, ge=0, allow_inf_nan=False)
    """US dollars per million input tokens read from a cache; without it, they cost what others do."""
    cache_write: float | None = Field(None, ge=0, allow_inf_nan=False)
    """US dollars per million input tokens written to a cache; without it, they cost what others do."""
    reasoning: float | None = Field(None, ge=0, allow_inf_nan=False)
    """US dollars per million reasoning tokens; without it, they cost what other output does."""
    request: float = Field(0.0, ge=0, allow_inf_nan=False)
    """US dollars per call."""
    steps: list[PriceStep] = []
    """Other prices for long prompts."""

    @model_validator(mode="after")
    def _has_prices(self) -> PriceEntry:
        if self.model_fields_set <= {"model", "provider", "tier", "since"}:
            msg = "an entry needs a price; write input: 0 for a model that costs nothing"
            raise ValueError(msg)
        return self

    def tariff(self) -> Tariff:
        """Return the compiled prices."""
        return Tariff(self._rates(None), [Step(step.above, self._rates(step)) for step in self.steps])

    def since_unix_nano(self) -> int:
        """Return the first moment at which the prices hold; 0 for always."""
        if self.since is None:
            return 0
        return int(datetime.combine(self.since, datetime.min.time(), UTC).timestamp()) * _NANOSECONDS

    def _rates(self, step: PriceStep | None) -> Rates:
        def per_million(name: str, default: float = 0.0) -> float:
            own = getattr(step, name) if step is not None else None
            price = getattr(self, name) if own is None else own
            return default if price is None else float(price)

        sent, answered = per_million("input"), per_million("output")
        return Rates(
            input=sent,
            output=answered,
            cache_read=per_million("cache_read", sent),
            cache_write=per_million("cache_write", sent),
            reasoning=per_million("reasoning", answered),
            request=self.request,
        )
