"""Options of receivers that hold what comes in parts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Self

from pydantic import Field, model_validator

from untrace_pipeline.api import ComponentConfig, ConfigModel, Duration, Remark, Size, Surroundings
from untrace_pipeline.net.endpoint import Endpoint
from untrace_pipeline.net.http_settings import HttpServerConfig

__all__ = ["HoldConfig", "VendorReceiverConfig"]

_LOCAL = {"localhost", "127.0.0.1", "::1"}


class HoldConfig(ConfigModel):
    """``hold``: how long, and how much of, what has begun waits for its end."""

    max_wait: Duration = Field(3600.0, gt=0)
    """Longest time from the first part of something to its end; then it goes on as it is, marked as incomplete."""
    memory_limit: Size = Field(256 * 1024 * 1024, ge=64 * 1024)
    """Most bytes that wait. Beyond it the oldest go on as they are; while the pipelines do not take those, requests are
    refused with 503."""
    remembered: int = Field(10000, ge=0)
    """How many of those that went on are remembered, so that requests that are sent again change nothing."""


class VendorReceiverConfig(HttpServerConfig, ComponentConfig):
    """A receiver in the place of a vendor's server."""

    hold: HoldConfig = HoldConfig()
    """How long, and how much of, what has begun waits for its end."""

    @property
    @abstractmethod
    def own_keys(self) -> bool:
        """Whether the options name keys that clients must have."""

    @model_validator(mode="after")
    def _one_authority(self) -> Self:
        if self.own_keys and self.auth is not None:
            msg = "either keys or auth: one of them says who may send"
            raise ValueError(msg)
        return self

    def references(self) -> Mapping[str, tuple[str, ...]]:
        """Return the authenticator."""
        return {"auth.authenticator": (self.auth.authenticator,)} if self.auth is not None else {}

    def review(self, surroundings: Surroundings) -> Iterator[Remark]:
        """Warn of a door that is open to all."""
        endpoint = Endpoint.parse(self.endpoint, unix=self.unix)
        if not self.own_keys and self.auth is None and not endpoint.path and endpoint.host not in _LOCAL:
            yield Remark("endpoint", "anybody who reaches it may send", "keys, or auth")
