"""Authentication as extensions offer it to servers and clients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

__all__ = ["ClientAuthenticator", "Credentials", "ServerAuthenticator"]


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who a request comes from, after it was authenticated. Never holds the credential itself."""

    attributes: Mapping[str, object] = field(default_factory=dict)
    """Readable as ``auth.<name>``: ``subject``, ``username`` …"""
    tenant: str | None = None
    account: str = ""
    """Tells apart those who have no attributes, such as bearers of different tokens: a digest, the same for each
    request of one of them. Empty = not told."""


@runtime_checkable
class ServerAuthenticator(Protocol):
    """An extension that a server's ``auth.authenticator`` may name."""

    @property
    def challenge(self) -> str:
        """What a refused HTTP client is told in ``WWW-Authenticate`` (RFC 9110, 11.6.1): ``Basic realm="…"``."""

    async def authenticate(self, metadata: Mapping[str, tuple[str, ...]]) -> Credentials:
        """Check request headers (lower-case names). Raises :class:`PermanentError` with ``Code.UNAUTHENTICATED``."""


@runtime_checkable
class ClientAuthenticator(Protocol):
    """An extension that a client's ``auth.authenticator`` may name."""

    async def headers(self) -> Mapping[str, str]:
        """Return headers (lower-case names) to add to a request; called per request, must be quick."""
