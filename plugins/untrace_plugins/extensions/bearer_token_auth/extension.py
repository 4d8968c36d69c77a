"""Both sides of bearer tokens."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence

from untrace_pipeline.api import Code, Credentials, Host, PermanentError, Settings, StartError
from untrace_pipeline.net.secret_file import SecretFile
from untrace_plugins.extensions.bearer_token_auth.config import BearerTokenAuthConfig

__all__ = ["BearerTokenAuth"]


class BearerTokenAuth:
    """Checks tokens of clients, and adds the own one to requests."""

    def __init__(self, config: BearerTokenAuthConfig, settings: Settings) -> None:
        self._id = str(settings.id)
        self._scheme = config.scheme.strip()
        self._header = config.header.lower()
        self._file = SecretFile(config.filename, settings.logger) if config.filename else None
        given = [config.token] if config.token else config.tokens
        self._tokens: Sequence[str] = [token.reveal() for token in given]
        self._version = 0
        self._salt = secrets.token_bytes(32)
        self.challenge = self._scheme or "Bearer"
        """What ``WWW-Authenticate`` says."""

    async def start(self, host: Host) -> None:
        """Read the file. Raises :class:`StartError` naming it."""
        if self._file is not None:
            self._file.open()
            if not self._present():
                msg = f"extension {self._id}: there is no token in the file"
                raise StartError(msg)

    async def shutdown(self) -> None:
        """Nothing is open."""

    async def authenticate(self, metadata: Mapping[str, tuple[str, ...]]) -> Credentials:
        """Return which token it is, for that is all that is known. Raises :class:`PermanentError`, UNAUTHENTICATED."""
        value = (metadata.get(self._header) or ("",))[0].strip()
        if not value:
            raise self._refused("a token is missing")
        if self._scheme:
            scheme, _, value = value.partition(" ")
            if scheme.lower() != self._scheme.lower():
                raise self._refused(f"a token of the scheme {self._scheme} is expected")
        given, right = value.strip().encode(), False
        for token in self._present():
            right |= hmac.compare_digest(given, token.encode())
        if not right:
            raise self._refused("the token is wrong")
        return Credentials(account=hmac.digest(self._salt, given, hashlib.sha256).hex())

    async def headers(self) -> Mapping[str, str]:
        """Return the header for one request."""
        return {self._header: f"{self._scheme} {self._present()[0]}".strip()}

    def _present(self) -> Sequence[str]:
        if self._file is not None:
            content = self._file.read()
            if self._file.version != self._version:
                self._version = self._file.version
                self._tokens = [line.strip() for line in content.splitlines() if line.strip()] or self._tokens
        return self._tokens

    def _refused(self, reason: str) -> PermanentError:
        return PermanentError(f"unauthenticated: {reason}", code=Code.UNAUTHENTICATED)
