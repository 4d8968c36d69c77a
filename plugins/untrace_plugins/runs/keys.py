"""Keys that a receiver takes from its clients."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence

from untrace_pipeline.api import Code, Credentials, PermanentError

__all__ = ["Keys"]

Headers = Mapping[str, tuple[str, ...]]


class Keys:
    """Authenticates by keys of the configuration; a :class:`~untrace_pipeline.api.ServerAuthenticator`."""

    def __init__(
        self, known: Sequence[tuple[str, str | None]], given: Callable[[Headers], str], challenge: str, missing: str
    ) -> None:
        """``known`` are keys and the tenants that they stand for; ``given`` finds the key of a request, or ``""``."""
        self._known = [(key.encode(), Credentials(tenant=tenant)) for key, tenant in known]
        self._given = given
        self._missing = missing
        self.challenge = challenge

    async def authenticate(self, metadata: Headers) -> Credentials:
        """Return whose key a request has. Raises :class:`PermanentError`; takes as long for any wrong key."""
        given = self._given(metadata).encode("utf-8", "surrogateescape")
        if not given:
            raise PermanentError(self._missing, code=Code.UNAUTHENTICATED)
        found = [who for key, who in self._known if hmac.compare_digest(key, given)]
        if not found:
            raise PermanentError("the key is not known here", code=Code.UNAUTHENTICATED)
        return found[0]
