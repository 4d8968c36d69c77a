"""Keys as the configuration has them: 32 bytes, each known by an id that tells nothing about it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from untrace_pipeline.api import StartError
from untrace_plugins.sealing.config import KeysConfig

__all__ = ["KEY_SIZE", "Keys"]

KEY_SIZE = 32
_HEX = re.compile(r"[0-9a-fA-F]{64}")


class Keys:
    """The key in force, and those that were before."""

    def __init__(self, current: bytes, previous: Sequence[bytes] = ()) -> None:
        self.current = _id_of(current)
        """Id of the key in force."""
        self._keys = {_id_of(key): key for key in (*previous, current)}

    @classmethod
    def load(cls, config: KeysConfig, option: str) -> Self:
        """Read the keys below an option of that name. Raises :class:`StartError`, which never shows one."""
        given = config.key.reveal() if config.key is not None else _read(str(config.key_file))
        current = _decode(given, f"{option}.key" if config.key is not None else f"the file {config.key_file}")
        previous = [
            _decode(key.reveal(), f"{option}.previous_keys[{number}]")
            for number, key in enumerate(config.previous_keys)
        ]
        previous += [_decode(_read(path), f"the file {path}") for path in config.previous_key_files]
        return cls(current, previous)

    def __contains__(self, key: int) -> bool:
        return key in self._keys

    def derived(self, key: int, salt: bytes, purpose: bytes, size: int = KEY_SIZE) -> bytes:
        """Return a key for one purpose and salt. Raises ``KeyError`` for a key that is not known."""
        return HKDF(SHA256(), size, salt, purpose).derive(self._keys[key])


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
