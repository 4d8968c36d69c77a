"""What stands in place of a masked value."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

from untrace_plugins.processors.redaction.config import HashFunction, RedactionConfig

__all__ = ["STARS", "Mask", "make_mask"]

STARS = b"****"
"""The mask without a hash."""

Mask = Callable[[bytes], bytes]

_DIGESTS = {HashFunction.MD5: "md5", HashFunction.SHA1: "sha1", HashFunction.SHA3: "sha3_256"}
_KEYED = {HashFunction.HMAC_SHA256: "sha256", HashFunction.HMAC_SHA512: "sha512"}


def make_mask(config: RedactionConfig) -> Mask:
    """Return the function from a match to its replacement: ``****``, or a hash in hexadecimal."""
    function = config.hash_function
    if function in _KEYED:
        key, digest = config.hmac_key.reveal().encode(), _KEYED[function]
        return lambda found: hmac.digest(key, found, digest).hex().encode()
    if function in _DIGESTS:
        name = _DIGESTS[function]
        return lambda found: hashlib.new(name, found, usedforsecurity=False).hexdigest().encode()
    return lambda _: STARS
