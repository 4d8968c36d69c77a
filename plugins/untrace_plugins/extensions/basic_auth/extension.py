"""Both sides of Basic authentication."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping

from passlib.apache import htpasswd_context

from untrace_pipeline.api import Code, Credentials, Host, PermanentError, Settings
from untrace_pipeline.net.secret_file import SecretFile
from untrace_plugins.extensions.basic_auth.config import ClientCredentials, Htpasswd

__all__ = ["BasicAuthClient", "BasicAuthServer"]

REMEMBERED = 1024
"""Right credentials that are remembered; beyond, the oldest is hashed again when it comes."""
BCRYPT_BYTES = 72
"""bcrypt looks at no more of a password, and ``htpasswd`` writes hashes of longer ones."""
MAX_HEADER = 4096
_SCHEME = "basic "


class BasicAuthServer:
    """Checks ``Authorization: Basic …`` against htpasswd entries."""

    challenge = 'Basic realm="untrace-pipeline", charset="UTF-8"'

    def __init__(self, config: Htpasswd, settings: Settings) -> None:
        self._inline = _entries(config.inline.reveal() if config.inline else "")
        self._file = SecretFile(config.file, settings.logger) if config.file else None
        self._users: dict[str, str] = self._inline
        self._version = 0
        self._right: dict[bytes, Credentials] = {}
        self._salt = secrets.token_bytes(32)
        self._one_at_a_time = asyncio.Lock()

    async def start(self, host: Host) -> None:
        """Read the file. Raises :class:`StartError` naming it."""
        if self._file is not None:
            self._file.open()
        self._refresh()

    async def shutdown(self) -> None:
        """Forget remembered credentials."""
        self._right.clear()

    async def authenticate(self, metadata: Mapping[str, tuple[str, ...]]) -> Credentials:
        """Return the user as ``username`` and ``subject``. Raises :class:`PermanentError`, UNAUTHENTICATED."""
        header = (metadata.get("authorization") or ("",))[0]
        if not header:
            raise _refused("credentials are missing")
        self._refresh()
        digest = hmac.digest(self._salt, header.encode("utf-8", "replace"), hashlib.sha256)
        known = self._right.get(digest)
        return known if known is not None else await self._check(header, digest)

    async def _check(self, header: str, digest: bytes) -> Credentials:
        user, password = _parse(header)
        version = self._version
        async with self._one_at_a_time:
            right = await asyncio.to_thread(_verify, password, self._users.get(user))
        if not right:
            raise _refused("credentials are wrong")
        credentials = Credentials({"username": user, "subject": user})
        if version == self._version:
            if len(self._right) >= REMEMBERED:
                del self._right[next(iter(self._right))]
            self._right[digest] = credentials
        return credentials

    def _refresh(self) -> None:
        """Take over a changed file, and forget who was right according to the old one."""
        if self._file is None:
            return
        content = self._file.read()
        if self._file.version != self._version:
            self._version = self._file.version
            self._users = _entries(content) | self._inline
            self._right.clear()


def _entries(text: str) -> dict[str, str]:
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.partition(":") for line in lines if line and not line.startswith("#"))
    return {user: entry for user, _, entry in pairs}


def _parse(header: str) -> tuple[str, str]:
    if header[: len(_SCHEME)].lower() != _SCHEME or len(header) > MAX_HEADER:
        raise _refused("credentials of the scheme Basic are expected")
    try:
        text = base64.b64decode(header[len(_SCHEME) :].strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        raise _refused("credentials are not base64 of user:password in UTF-8") from None
    user, colon, password = text.partition(":")
    if not colon:
        raise _refused("credentials are not base64 of user:password in UTF-8")
    return user, password


def _verify(password: str, entry: str | None) -> bool:
    """Check a password; an unknown user takes about as long as a known one."""
    if entry is None:
        htpasswd_context.dummy_verify()
        return False
    secret = password.encode()
    try:
        if htpasswd_context.identify(entry) == "bcrypt":
            secret = secret[:BCRYPT_BYTES]
        return bool(htpasswd_context.verify(secret, entry))
    except (ValueError, TypeError):  # a damaged entry, or a password that no hash of this kind can have
        return False


def _refused(reason: str) -> PermanentError:
    return PermanentError(f"unauthenticated: {reason}", code=Code.UNAUTHENTICATED)


class BasicAuthClient:
    """Adds ``Authorization: Basic …`` to requests."""

    def __init__(self, config: ClientCredentials, settings: Settings) -> None:
        self._username = config.username or ""
        self._password = config.password.reveal() if config.password else ""
        self._username_file = SecretFile(config.username_file, settings.logger) if config.username_file else None
        self._password_file = SecretFile(config.password_file, settings.logger) if config.password_file else None

    async def start(self, host: Host) -> None:
        """Read the files. Raises :class:`StartError` naming the one that cannot be read."""
        for file in (self._username_file, self._password_file):
            if file is not None:
                file.open()

    async def shutdown(self) -> None:
        """Nothing is open."""

    async def headers(self) -> Mapping[str, str]:
        """Return the header for one request."""
        user = self._username_file.read().strip() if self._username_file else self._username
        password = self._password_file.read().strip() if self._password_file else self._password
        return {"authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}
