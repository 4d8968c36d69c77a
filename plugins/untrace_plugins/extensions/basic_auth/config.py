"""Options of the ``basic_auth`` extension."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from untrace_pipeline.api import ComponentConfig, ConfigModel, Secret

__all__ = ["BasicAuthConfig", "ClientCredentials", "Htpasswd"]


class Htpasswd(ConfigModel):
    """Who may come in; lines of ``user:hash`` as the program ``htpasswd`` writes them."""

    file: str | None = None
    """Path of an htpasswd file; a changed file is in force within a second."""
    inline: Secret | None = None
    """The same as text; its entries win over those of the file. Example: ``${env:USER}:${env:PASSWORD_HASH}``."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not (self.file or self.inline):
            msg = "file or inline"
            raise ValueError(msg)
        return self


class ClientCredentials(ConfigModel):
    """What a client says about itself."""

    username: str | None = None
    """User name."""
    username_file: str | None = None
    """File that holds the user name; wins over ``username``; a changed file is in force within a second."""
    password: Secret | None = None
    """Password."""
    password_file: str | None = None
    """File that holds the password; wins over ``password``; a changed file is in force within a second."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not (self.username or self.username_file):
            msg = "username or username_file"
            raise ValueError(msg)
        if self.username and ":" in self.username:
            msg = "a username without a colon (RFC 7617)"
            raise ValueError(msg)
        return self


class BasicAuthConfig(ComponentConfig):
    """Either side of Basic authentication."""

    htpasswd: Htpasswd | None = None
    """For servers: who may come in."""
    client_auth: ClientCredentials | None = None
    """For clients: what to send."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.htpasswd is None) == (self.client_auth is None):
            msg = "either htpasswd (for servers) or client_auth (for clients)"
            raise ValueError(msg)
        return self
