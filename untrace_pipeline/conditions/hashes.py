"""Functions of OTTL that hash and encode texts."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from typing import Any

from untrace_pipeline.conditions.converters import as_text
from untrace_pipeline.conditions.function import Function, simple
from untrace_pipeline.errors import EvaluationError

__all__ = ["HASHES"]

_MASK32, _MASK64 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF


def _raw(value: Any) -> bytes:
    return as_text(value).encode("utf-8", "surrogatepass")


def _digest(name: str) -> Any:
    """Return a hash of a text in hexadecimal; no protection of secrets is meant by the older ones."""
    return lambda text: hashlib.new(name, _raw(text), usedforsecurity=False).hexdigest()


def _fnv(text: Any) -> int:
    """Return the 64-bit FNV-1a hash of a text, as the signed integer that OTLP has."""
    found = 0xCBF29CE484222325
    for byte in _raw(text):
        found = ((found ^ byte) * 0x100000001B3) & _MASK64
    return found - (1 << 64) if found >> 63 else found


def _rotated(value: int, bits: int) -> int:
    return (value << bits | value >> (32 - bits)) & _MASK32


def _murmur3(text: Any) -> str:
    """Return the 32-bit Murmur3 hash of a text, in hexadecimal, little-endian."""
    raw = _raw(text)
    found = 0
    for (block,) in struct.iter_unpack("<I", raw[: len(raw) // 4 * 4]):
        mixed = _rotated(block * 0xCC9E2D51 & _MASK32, 15) * 0x1B873593 & _MASK32
        found = (_rotated(found ^ mixed, 13) * 5 + 0xE6546B64) & _MASK32
    tail = int.from_bytes(raw[len(raw) // 4 * 4 :], "little")
    found ^= _rotated(tail * 0xCC9E2D51 & _MASK32, 15) * 0x1B873593 & _MASK32
    found ^= len(raw)
    found = (found ^ found >> 16) * 0x85EBCA6B & _MASK32
    found = (found ^ found >> 13) * 0xC2B2AE35 & _MASK32
    return (found ^ found >> 16).to_bytes(4, "little").hex()


def _encode(text: Any, variant: Any = "base64") -> str:
    if variant not in _VARIANTS:
        msg = f"the variant is one of {', '.join(_VARIANTS)}"
        raise EvaluationError(msg)
    found = (base64.urlsafe_b64encode if "url" in variant else base64.b64encode)(_raw(text)).decode()
    return found.rstrip("=") if "raw" in variant else found


_VARIANTS = ("base64", "base64-raw", "base64-url", "base64-raw-url")


def _decode(value: Any, encoding: Any) -> str:
    """Return what a text or bytes in an encoding say: base64 in its variants, or a character set."""
    raw = value if isinstance(value, bytes) else _raw(value)
    name = as_text(encoding)
    try:
        if name not in _VARIANTS:
            return raw.decode(name)
        if "raw" in name:
            raw += b"=" * (-len(raw) % 4)
        elif len(raw) % 4:
            raise binascii.Error
        return base64.b64decode(raw, altchars=b"-_" if "url" in name else None, validate=True).decode(
            "utf-8", "replace"
        )
    except (LookupError, ValueError):  # binascii.Error and UnicodeDecodeError are both ValueErrors
        msg = f"this is nothing in {name[:40]}"
        raise EvaluationError(msg) from None


HASHES: tuple[Function, ...] = (
    simple("SHA1", _digest("sha1"), "target"),
    simple("SHA256", _digest("sha256"), "target"),
    simple("SHA512", _digest("sha512"), "target"),
    simple("MD5", _digest("md5"), "target"),
    simple("FNV", _fnv, "target"),
    simple("Murmur3Hash", _murmur3, "target"),
    simple("Base64Encode", _encode, "target", "variant?"),
    simple("Base64Decode", lambda text: _decode(text, "base64"), "target"),
    simple("Decode", _decode, "target", "encoding"),
)
