"""Options of limits per key."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from untrace_pipeline.api import ConfigModel, Duration

__all__ = ["LimitConfig"]


class LimitConfig(ConfigModel):
    """One entry of ``limits``: what one key may use per window. A window begins with the first call in it.

    With ``auth`` the key is whom that found, be it only which token, else the client's address. Without, it is
    ``X-Untrace-Key``, else the key for the provider, else the address. Each worker counts by itself and forgets at its
    end. Tokens and dollars are known when a call has ended: the call that goes over a limit is answered, the next one
    is refused.
    """

    window: Duration = Field(60.0, gt=0)
    """Example: ``1m``, ``24h``."""
    requests: int | None = Field(None, ge=1)
    """Calls."""
    tokens: int | None = Field(None, ge=1)
    """Input and output together, as providers report them."""
    dollars: float | None = Field(None, gt=0, allow_inf_nan=False)
    """At the prices of the list that ``llm_cost`` has; calls of models that are not in it cost nothing."""

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if self.requests is None and not self.needs_usage:
            msg = "at least one of requests, tokens, dollars"
            raise ValueError(msg)
        return self

    @property
    def needs_usage(self) -> bool:
        """Whether it can be judged only by what a call used."""
        return self.tokens is not None or self.dollars is not None
