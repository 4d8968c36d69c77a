"""Options of the ``langsmith`` receiver."""

from __future__ import annotations

from pydantic import Field

from untrace_pipeline.api import ConfigModel, Duration, Secret, Size
from untrace_plugins.runs.config import VendorReceiverConfig

__all__ = ["KeyConfig", "LangsmithReceiverConfig"]


class KeyConfig(ConfigModel):
    """A key that clients may send with."""

    key: Secret = Field(min_length=1)
    """What the application has in ``LANGSMITH_API_KEY``. Example: ``${file:/run/secrets/langsmith-key}``."""
    tenant: str | None = Field(None, min_length=1)
    """Whose key it is: the tenant of the context."""


class LangsmithReceiverConfig(VendorReceiverConfig):
    """Where to listen for LangSmith's SDKs, and how long a run may take."""

    endpoint: str = "localhost:1984"
    """``host:port``, or ``unix:///path``. The default takes local clients only; in a container use ``0.0.0.0:1984``."""
    keys: list[KeyConfig] = []
    """Who may send, in ``x-api-key`` or as ``Authorization: Bearer``. Empty = anybody, or whom ``auth`` lets in; not
    together with ``auth``."""
    reorder_wait: Duration = Field(10.0, ge=0)
    """How long the end of a run waits for its begin, which may come later by another connection, or never."""
    max_attachment_size: Size = Field(64 * 1024, ge=0)
    """Attachments up to this size become part of the span, in ``langsmith.attachments``; of larger ones only name, type
    and size do."""

    @property
    def own_keys(self) -> bool:
        """Whether clients must have one of ``keys``."""
        return bool(self.keys)
