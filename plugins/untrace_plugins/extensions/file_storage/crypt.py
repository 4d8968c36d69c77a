"""Encryption at rest: AES-256-GCM, a key of its own for every segment, a fresh nonce for every record."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from untrace_plugins.sealing import keys

__all__ = ["Cipher", "Keys"]

NONCE_SIZE = 12
_PURPOSE = b"untrace-pipeline file_storage"


class Cipher:
    """Encrypts and decrypts what belongs together: the records of a segment, or the dead letters.

    Its key is derived from the configured one, so that random nonces do not meet however long that is in use.
    """

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    def encrypt(self, data: bytes, associated: bytes) -> bytes:
        """Return nonce, encrypted data and tag; ``associated`` is bound to it and not part of it."""
        nonce = os.urandom(NONCE_SIZE)
        return nonce + self._aead.encrypt(nonce, data, associated)

    def decrypt(self, data: bytes, associated: bytes) -> bytes | None:
        """Return what was encrypted, ``None`` if this is not what was."""
        try:
            return self._aead.decrypt(data[:NONCE_SIZE], data[NONCE_SIZE:], associated)
        except (InvalidTag, ValueError):
            return None


class Keys(keys.Keys):
    """The key in force, and those that were before."""

    def cipher(self, key: int, salt: bytes) -> Cipher:
        """Return the cipher for what has that salt. Raises ``KeyError`` for a key that is not known."""
        return Cipher(self.derived(key, salt, _PURPOSE))
