"""Dead letters under the keys of the queues."""

from __future__ import annotations

import struct
from collections.abc import Callable

from untrace_plugins.extensions.file_storage.crypt import Cipher, Keys

__all__ = ["LetterCipher"]

_KEY_ID = struct.Struct("<I")
_SALT = b"dead letters"


class LetterCipher:
    """Implements :class:`~untrace_pipeline.delivery.dead_letters.Cipher`: the id of the key, then what it encrypts.

    Keys are read when they are first needed: whoever only counts letters needs none.
    """

    def __init__(self, load: Callable[[], Keys | None]) -> None:
        """``load`` returns the same keys each time, and is cheap after the first."""
        self._load = load
        self._ciphers: dict[int, Cipher] = {}

    def seal(self, data: bytes, purpose: bytes) -> bytes:
        """Return the data encrypted with the key in force. Raises :class:`StartError` for a key that cannot be read."""
        key = self._read_keys().current
        return _KEY_ID.pack(key) + self._cipher(key).encrypt(data, purpose)

    def open(self, data: bytes, purpose: bytes) -> bytes:
        """Return what was sealed. Raises ``LookupError``, ``ValueError``; :class:`StartError` for an unreadable key."""
        if len(data) < _KEY_ID.size:
            msg = "it is damaged"
            raise ValueError(msg)
        (key,) = _KEY_ID.unpack_from(data)
        if key not in self._read_keys():
            msg = "it is encrypted with a key that is not configured: add that to encryption.previous_keys"
            raise LookupError(msg)
        opened = self._cipher(key).decrypt(data[_KEY_ID.size :], purpose)
        if opened is None:
            msg = "it is damaged: it does not open with its key"
            raise ValueError(msg)
        return opened

    def _read_keys(self) -> Keys:
        keys = self._load()
        assert keys is not None
        return keys

    def _cipher(self, key: int) -> Cipher:
        cipher = self._ciphers.get(key)
        if cipher is None:
            cipher = self._ciphers[key] = self._read_keys().cipher(key, _SALT)
        return cipher
