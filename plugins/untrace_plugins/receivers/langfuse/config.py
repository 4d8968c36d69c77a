"""Options of the ``langfuse`` receiver."""

from __future__ import annotations

from pydantic import Field

from untrace_pipeline.api import ConfigModel, Duration, Secret
from untrace_plugins.runs.config import VendorReceiverConfig

__all__ = ["KeyConfig", "LangfuseReceiverConfig"]


class KeyConfig(ConfigModel):
    """A pair of keys that clients may send with."""

    public_key: str = Field(min_length=1)
    """What the application has in ``LANGFUSE_PUBLIC_KEY``. Example: ``pk-lf-1234``."""
    secret_key: Secret = Field(min_length=1)
    """What it has in ``LANGFUSE_SECRET_KEY``. Example: ``${file:/run/secrets/langfuse-key}``."""
    tenant: str | None = Field(None, min_length=1)
    """Whose keys they are: the tenant of the context, and the project that the SDK is told."""


class LangfuseReceiverConfig(VendorReceiverConfig):
    """Where to listen for Langfuse's SDKs, and how long a trace may take."""

    endpoint: str = "localhost:3000"
    """``host:port``, or ``unix:///path``. The default takes local clients only; in a container use ``0.0.0.0:3000``."""
    keys: list[KeyConfig] = []
    """Who may send, by Basic authentication. Empty = anybody, or whom ``auth`` lets in; not together with ``auth``."""
    settle_wait: Duration = Field(5.0, ge=0)
    """How long nothing must have come about a trace, all of whose observations have ended, before it goes on. SDKs say
    last what the whole trace was about."""
    idle_wait: Duration = Field(300.0, gt=0)
    """The same for a trace with observations that have not ended; applications often never end them."""

    @property
    def own_keys(self) -> bool:
        """Whether clients must have one of ``keys``."""
        return bool(self.keys)
