"""Keys of signatures: shared secrets, and key pairs of Ed25519 (Standard Webhooks, "Signature scheme")."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

__all__ = ["HmacKey", "SigningKey", "VerifyingKey", "signing_key", "verifying_key"]

SECRET, PRIVATE, PUBLIC = "whsec_", "whsk_", "whpk_"
_SEED_BYTES = 32
_LEAST_SECRET_BYTES = 24


class SigningKey(Protocol):
    """Signs."""

    @property
    def version(self) -> str:
        """Of its signatures: ``v1`` or ``v1a``."""

    def sign(self, content: bytes) -> bytes:
        """Return the signature."""


class VerifyingKey(Protocol):
    """Checks signatures."""

    @property
    def version(self) -> str:
        """Of the signatures that it checks."""

    def matches(self, content: bytes, signatures: Sequence[bytes]) -> bool:
        """Whether one of some signatures is that of the content."""


@dataclass(frozen=True, slots=True)
class HmacKey:
    """A secret that both sides have."""

    secret: bytes
    algorithm: str = "sha256"
    version: str = "v1"

    def sign(self, content: bytes) -> bytes:
        """Return the signature."""
        return hmac.new(self.secret, content, self.algorithm).digest()

    def matches(self, content: bytes, signatures: Sequence[bytes]) -> bool:
        """Whether one of some signatures is that of the content; all are looked at."""
        right, own = False, self.sign(content)
        for signature in signatures:
            right |= hmac.compare_digest(own, signature)
        return right


@dataclass(frozen=True, slots=True)
class _Private:
    key: Ed25519PrivateKey
    version: str = "v1a"

    def sign(self, content: bytes) -> bytes:
        return self.key.sign(content)


@dataclass(frozen=True, slots=True)
class _Public:
    key: Ed25519PublicKey
    version: str = "v1a"

    def matches(self, content: bytes, signatures: Sequence[bytes]) -> bool:
        return any(self._is_own(signature, content) for signature in signatures)

    def _is_own(self, signature: bytes, content: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415  optional

        try:
            self.key.verify(signature, content)
        except InvalidSignature:
            return False
        return True


def signing_key(text: str) -> SigningKey:
    """Return the key of ``whsec_…`` or ``whsk_…``.

    Raises ``ValueError`` that does not quote it, and ``ImportError`` where a key pair needs a library that is not here.
    """
    if text.startswith(PRIVATE):
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415  optional

        return _Private(Ed25519PrivateKey.from_private_bytes(_decoded(text, PRIVATE)[:_SEED_BYTES]))
    return _secret(text)


def verifying_key(text: str) -> VerifyingKey:
    """Return the key of ``whsec_…`` or ``whpk_…``; a private key stands for its public half. Raises as the other."""
    if text.startswith(PRIVATE):
        key = signing_key(text)
        assert isinstance(key, _Private)
        return _Public(key.key.public_key())
    if text.startswith(PUBLIC):
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415  optional

        return _Public(Ed25519PublicKey.from_public_bytes(_decoded(text, PUBLIC)))
    return _secret(text)


def _secret(text: str) -> HmacKey:
    secret = _decoded(text, SECRET)
    if len(secret) < _LEAST_SECRET_BYTES:
        msg = f"a secret of at least {_LEAST_SECRET_BYTES} bytes: whsec_ and base64"
        raise ValueError(msg)
    return HmacKey(secret)


def _decoded(text: str, prefix: str) -> bytes:
    try:
        found = base64.b64decode(_padded(text.removeprefix(prefix)), validate=True)
    except binascii.Error:
        found = b""
    if prefix != SECRET and len(found) < _SEED_BYTES:
        found = b""
    if not found:
        msg = f"a key such as {prefix}<base64>"
        raise ValueError(msg)
    return found


def _padded(text: str) -> str:
    return text.strip().rstrip("=") + "=" * (-len(text.strip().rstrip("=")) % 4)
