"""Options of whatever has keys."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from untrace_pipeline.api import ConfigModel, Secret

__all__ = ["KeysConfig"]


class KeysConfig(ConfigModel):
    """A key and those before it."""

    key: Secret | None = None
    """The key: 32 bytes as base64 or hex. Example: ``${env:STORAGE_KEY}``."""
    key_file: str | None = None
    """File with the key, in the same forms; instead of ``key``. Read at start."""
    previous_keys: list[Secret] = []
    """Keys that were in use before: what was written with them can still be read."""
    previous_key_files: list[str] = []
    """Files with such keys."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.key is None) is (self.key_file is None):
            msg = "either key or key_file is needed" if self.key is None else "either key or key_file, not both"
            raise ValueError(msg)
        return self
