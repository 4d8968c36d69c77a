"""Encryption at rest: AES-256-GCM, a key of its own for every segment, a fresh nonce for every record."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from untrace_pipeline.api import StartError
from untrace_plugins.extensions.file_storage.config import EncryptionConfig

__all__ = ["Cipher", "Keys"]

KEY_SIZE = 32
NONCE_SIZE = 12
_HEX = re.compile(r"[0-9a-fA-F]{64}")
_INFO = b"untrace-pipeline file_storage"


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


class Keys:
    """The key in force, and those that were before."""

    def __init__(self, current: bytes, previous: Sequence[bytes] = ()) -> None:
        self.current = _id_of(current)
        """Id of the key in force."""
        self._keys = {_id_of(key): key for key in (*previous, current)}

    @classmethod
    def load(cls, config: EncryptionConfig) -> Keys:
        """Read the keys. Raises :class:`StartError`, which never shows one."""
        given = config.key.reveal() if config.key is not None else _read(str(config.key_file))
        current = _decode(given, "encryption.key" if config.key is not None else f"the file {config.key_file}")
        previous = [
            _decode(key.reveal(), f"encryption.previous_keys[{number}]")
            for number, key in enumerate(config.previous_keys)
        ]
        previous += [_decode(_read(path), f"the file {path}") for path in config.previous_key_files]
        return cls(current, previous)

    def __contains__(self, key: int) -> bool:
        return key in self._keys

    def cipher(self, key: int, salt: bytes) -> Cipher:
        """Return the cipher for what has that salt. Raises ``KeyError`` for a key that is not known."""
        derived = HKDF(SHA256(), KEY_SIZE, salt, _INFO).derive(self._keys[key])
        return Cipher(derived)


def _id_of(key: bytes) -> int:
    """Return a number that tells a key from others, and nothing about it; never 0."""
    return int.from_bytes(hashlib.sha256(b"untrace-pipeline key id" + key).digest()[:4], "little") or 1


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "it is not text"
        raise StartError(f"cannot read the key from {path}: {cause}") from error


def _decode(text: str, where: str) -> bytes:
    text = text.strip()
    if _HEX.fullmatch(text):
        return bytes.fromhex(text)
    try:
        key = base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_SIZE:
        raise StartError(f"{where} is no key: {KEY_SIZE} bytes as base64 or hex are expected (openssl rand -base64 32)")
    return key
