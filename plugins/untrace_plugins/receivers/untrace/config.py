"""Options of the ``untrace`` receiver."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Self

from pydantic import Field, model_validator

from untrace_pipeline.api import ComponentConfig, ConfigModel, Duration, Remark, Secret, Surroundings
from untrace_pipeline.net.endpoint import Endpoint
from untrace_pipeline.net.http_settings import HttpServerConfig

__all__ = ["IdempotencyConfig", "KeyConfig", "Permission", "UntraceReceiverConfig"]

_LOCAL = {"localhost", "127.0.0.1", "::1"}


class Permission(enum.StrEnum):
    """What a key may do."""

    TRACES = "traces"
    INGEST = "ingest"


class KeyConfig(ConfigModel):
    """One client, or several with the same rights."""

    key: Secret | None = None
    """What the client sends in ``X-Untrace-Key``, or after ``Bearer`` in ``Authorization``. Example:
    ``${env:UNTRACE_KEY}``."""
    key_file: str | None = Field(None, min_length=1)
    """File with one key per line instead; a changed file is in force within a second."""
    name: str = ""
    """Name of the client, readable as ``auth.key``; never the key itself."""
    tenant: str | None = Field(None, min_length=1)
    """Customer that its traces belong to: the tenant of the context, and ``customerId`` where a trace names none."""
    enabled: bool = True
    """``false`` refuses the key with 403 instead of 401, so that its owner knows why."""
    expires: datetime | None = None
    """From then on the key is refused with 401. Example: ``2027-01-31T00:00:00Z``; without a zone UTC."""
    allow: list[Permission] = [Permission.TRACES, Permission.INGEST]
    """What it may do: ``traces`` (``/v1/traces``, ``/v1/traces/batch``), ``ingest`` (``/api/v1/traces/ingest``)."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.key is None) == (self.key_file is None):
            msg = "either key or key_file"
            raise ValueError(msg)
        if self.key is not None and not self.key.reveal().strip():
            msg = "a key that is not empty"
            raise ValueError(msg)
        return self

    def is_expired(self, now: float) -> bool:
        """Whether its time is over; ``now`` in seconds since 1970."""
        if self.expires is None:
            return False
        end = self.expires if self.expires.tzinfo else self.expires.replace(tzinfo=UTC)
        return end.timestamp() <= now


class IdempotencyConfig(ConfigModel):
    """``idempotency``: requests with ``X-Idempotency-Key``."""

    ttl: Duration = Field(3600.0, gt=0)
    """How long an answer is remembered."""
    max_keys: int = Field(10_000, ge=1, le=10_000_000)
    """How many are, with 64 MiB of answers at most; the oldest goes first. Some 500 bytes each, besides the answer."""


class UntraceReceiverConfig(HttpServerConfig, ComponentConfig):
    """Where to listen, and to whom."""

    endpoint: str = "localhost:4319"
    """``host:port``, or ``unix:///path``. The default takes local clients only; in a container use ``0.0.0.0:4319``."""
    keys: list[KeyConfig] = []
    """Who may send. Empty = anybody, or whom ``auth`` lets in; not together with ``auth``."""
    idempotency: IdempotencyConfig = IdempotencyConfig()
    """How long requests with ``X-Idempotency-Key`` are remembered; each worker remembers its own."""

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        if self.keys and self.auth is not None:
            msg = "either keys or auth"
            raise ValueError(msg)
        return self

    def references(self) -> Mapping[str, tuple[str, ...]]:
        """Name the authenticator."""
        return {"auth.authenticator": (self.auth.authenticator,)} if self.auth else {}

    def review(self, surroundings: Surroundings) -> Iterator[Remark]:
        """Warn of a door that is open to all."""
        endpoint = Endpoint.parse(self.endpoint, unix=self.unix)
        if not self.keys and self.auth is None and not endpoint.path and endpoint.host not in _LOCAL:
            yield Remark("endpoint", "anybody who reaches it may send traces", "keys, or auth")
