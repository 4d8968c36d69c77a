"""Options of the ``bearer_token_auth`` extension."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from untrace_pipeline.api import ComponentConfig, Secret

__all__ = ["BearerTokenAuthConfig"]


class BearerTokenAuthConfig(ComponentConfig):
    """Which token to send or to expect, and how."""

    scheme: str = "Bearer"
    """Word before the token; empty = the token stands alone."""
    token: Secret | None = None
    """The token. Example: ``${env:API_TOKEN}``."""
    tokens: list[Secret] = []
    """Several tokens: a server takes any of them, a client sends the first. Not together with ``token``."""
    filename: str | None = None
    """File with one token per line; wins over ``token`` and ``tokens``; a changed file is in force within a second."""
    header: str = Field("Authorization", min_length=1)
    """Header that carries the token."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.token and self.tokens:
            msg = "either token or tokens"
            raise ValueError(msg)
        if not (self.token or self.tokens or self.filename):
            msg = "one of token, tokens, filename"
            raise ValueError(msg)
        return self
