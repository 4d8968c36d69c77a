"""Options of ``encrypt``."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from untrace_pipeline.api import ComponentConfig
from untrace_plugins.sealing.config import KeysConfig

__all__ = ["EncryptConfig"]


class EncryptConfig(KeysConfig, ComponentConfig):
    """Which attributes are encrypted, and the keys."""

    attributes: list[str] = []
    """Keys of attributes of resources, scopes, items, events and links; `*` is anything: `gen_ai.*.messages`."""
    body: bool = False
    """Whether bodies of log records are encrypted."""

    @model_validator(mode="after")
    def _check_choice(self) -> Self:
        if not self.attributes and not self.body:
            raise ValueError("nothing to encrypt: attributes are needed, or body: true")
        return self

    def unseal(self, text: str) -> str:
        """Return a text with everything readable again that was sealed with one of the keys."""
        from untrace_plugins.sealing.keys import Keys  # noqa: PLC0415  needs the extra
        from untrace_plugins.sealing.reveal import reveal  # noqa: PLC0415

        return reveal(text, Keys.load(self, "encrypt"))
