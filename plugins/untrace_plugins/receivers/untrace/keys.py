"""Keys of clients: who sends a request, and whether they may."""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus

from untrace_pipeline.api import ConsumeError, Credentials, Host, ServerAuthenticator, StartError
from untrace_pipeline.net.auth import ServerAuthConfig, find_server_authenticator
from untrace_pipeline.net.http_message import HttpError, Request, metadata
from untrace_pipeline.net.refusal import http_refusal
from untrace_pipeline.net.secret_file import SecretFile
from untrace_plugins.receivers.untrace.config import KeyConfig, Permission

__all__ = ["KEY_HEADERS", "Guard"]

KEY_HEADERS = frozenset({"x-untrace-key", "authorization"})
"""Headers with credentials; they go no further."""
_NOBODY = Credentials()
_CHALLENGE = (("www-authenticate", 'Bearer realm="untrace"'),)


class Guard:
    """Says who sends a request: by a key of its own, by an extension, or nobody where neither is configured."""

    def __init__(
        self,
        keys: Sequence[KeyConfig],
        auth: ServerAuthConfig | None,
        logger: logging.Logger,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._files = {key.key_file: SecretFile(key.key_file, logger) for key in keys if key.key_file is not None}
        self._keys = keys
        self._clock = clock
        self._auth = auth
        self._authenticator: ServerAuthenticator | None = None
        self._salt = secrets.token_bytes(16)
        self._known: dict[bytes, KeyConfig] = {}
        self._versions: list[int] = []

    def open(self, host: Host) -> None:
        """Read files of keys, find the extension. Raises :class:`StartError`."""
        for path, file in self._files.items():
            file.open()
            if not file.read().strip():
                msg = f"there is no key in {path}"
                raise StartError(msg)
        self._authenticator = find_server_authenticator(host, self._auth)

    async def check(self, request: Request, permission: Permission) -> Credentials:
        """Return who sends a request. Raises :class:`HttpError` 401 or 403."""
        if self._authenticator is not None:
            try:
                return await self._authenticator.authenticate(metadata(request.headers))
            except ConsumeError as error:
                refused = http_refusal(error)
                if refused.status is HTTPStatus.UNAUTHORIZED:
                    refused.headers += (("www-authenticate", self._authenticator.challenge),)
                raise refused from error
        return self._by_key(request, permission) if self._keys else _NOBODY

    def _by_key(self, request: Request, permission: Permission) -> Credentials:
        given = _given(request)
        if not given:
            raise HttpError(HTTPStatus.UNAUTHORIZED, "a key is missing: X-Untrace-Key", _CHALLENGE)
        key = self._present().get(self._digest(given))
        if key is None:
            raise HttpError(HTTPStatus.UNAUTHORIZED, "the key is not known here", _CHALLENGE)
        if key.is_expired(self._clock()):
            raise HttpError(HTTPStatus.UNAUTHORIZED, "the key has expired", _CHALLENGE)
        if not key.enabled:
            raise HttpError(HTTPStatus.FORBIDDEN, "the key is disabled")
        if permission not in key.allow:
            raise HttpError(HTTPStatus.FORBIDDEN, f"the key may not use this path: it lacks {permission}")
        return Credentials({"key": key.name} if key.name else {}, key.tenant)

    def _present(self) -> dict[bytes, KeyConfig]:
        """Return the keys in force by their digests: looking one up takes a time that says nothing about others."""
        contents = {path: file.read() for path, file in self._files.items()}
        versions = [file.version for file in self._files.values()]
        if not self._known or versions != self._versions:
            self._versions = versions
            self._known = {self._digest(text): key for key in self._keys for text in _texts(key, contents)}
        return self._known

    def _digest(self, key: str) -> bytes:
        return hashlib.blake2b(key.encode(), key=self._salt).digest()


def _texts(key: KeyConfig, contents: dict[str, str]) -> Iterator[str]:
    lines = [key.key.reveal()] if key.key is not None else contents[key.key_file or ""].splitlines()
    yield from (line.strip() for line in lines if line.strip())


def _given(request: Request) -> str:
    own = request.header("x-untrace-key").strip()
    if own:
        return own
    _, _, token = request.header("authorization").strip().partition(" ")
    return token.strip()
