"""Sealed values: text within text, which only who has the key can read.

``enc:v1:KEYID:DATA`` is AES-256-GCM (NIST SP 800-38D): salt, nonce, encrypted text and tag. ``tok:v1:KEYID:DATA`` is
AES-SIV (RFC 5297), which is the same for the same value: so that texts can be compared, and counted, without being
read. What stands before the data is bound to it. Data is Base64 for URLs, so that no format has to escape anything.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV

from untrace_plugins.sealing.keys import Keys

__all__ = ["SEALED", "Sealer", "Tokens", "Unsealer", "is_sealed"]

SEALED = re.compile(r"(?:enc|tok):v1:[0-9a-f]{8}:[A-Za-z0-9_-]+")
"""A sealed value."""
_SALT_SIZE, _NONCE_SIZE = 16, 12
_SIV_KEY_SIZE = 64
_PURPOSE, _TOKEN_PURPOSE = b"untrace-pipeline encrypt", b"untrace-pipeline token"
_VALUES_PER_SALT = 2**28
"""Random nonces under one key may meet after 2^32 of them; a new salt makes a new key long before."""


class Sealer:
    """Encrypts values with the key in force."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._head = f"enc:v1:{keys.current:08x}:"
        self._left = 0
        self._salt = b""
        self._aead: AESGCM | None = None

    def seal(self, value: str) -> str:
        """Return the sealed form of a value; another one each time."""
        if self._aead is None or not self._left:
            self._salt = os.urandom(_SALT_SIZE)
            self._aead = AESGCM(self._keys.derived(self._keys.current, self._salt, _PURPOSE))
            self._left = _VALUES_PER_SALT
        self._left -= 1
        nonce = os.urandom(_NONCE_SIZE)
        data = self._aead.encrypt(nonce, value.encode("utf-8", "surrogatepass"), self._head.encode())
        return self._head + _text(self._salt + nonce + data)


class Tokens:
    """Gives values names: the same value the same name, as long as the key is the same."""

    def __init__(self, keys: Keys) -> None:
        self._head = f"tok:v1:{keys.current:08x}:"
        self._siv = AESSIV(keys.derived(keys.current, b"", _TOKEN_PURPOSE, _SIV_KEY_SIZE))

    def seal(self, value: str) -> str:
        """Return the name of a value, which must not be empty."""
        data = self._siv.encrypt(value.encode("utf-8", "surrogatepass"), [self._head.encode()])
        return self._head + _text(data)


class Unsealer:
    """Reads sealed values of all known keys."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._cipher = lru_cache(maxsize=256)(self._gcm)

    def unseal(self, sealed: str) -> str | None:
        """Return what was sealed; ``None`` for what has another key, or was changed."""
        form, _, key, text = sealed.split(":")
        head = sealed[: -len(text)].encode()
        try:
            data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            if form == "tok":
                plain = self._token(int(key, 16)).decrypt(data, [head])
            else:
                salt, nonce = data[:_SALT_SIZE], data[_SALT_SIZE : _SALT_SIZE + _NONCE_SIZE]
                plain = self._cipher(int(key, 16), salt).decrypt(nonce, data[_SALT_SIZE + _NONCE_SIZE :], head)
        except (InvalidTag, KeyError, ValueError, binascii.Error):
            return None
        return plain.decode("utf-8", "surrogatepass")

    def _gcm(self, key: int, salt: bytes) -> AESGCM:
        return AESGCM(self._keys.derived(key, salt, _PURPOSE))

    def _token(self, key: int) -> AESSIV:
        return AESSIV(self._keys.derived(key, b"", _TOKEN_PURPOSE, _SIV_KEY_SIZE))


def is_sealed(text: str) -> bool:
    """Whether a text is one sealed value."""
    return SEALED.fullmatch(text) is not None


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
