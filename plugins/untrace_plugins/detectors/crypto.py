"""Addresses of cryptocurrencies, with their checksums: Base58Check, Bech32 (BIP 173, BIP 350), EIP-55."""

# ruff: noqa: PLR2004  numbers of bytes and of the specifications
from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import sha256

from untrace_pipeline.api import Finding
from untrace_plugins.detectors.context import Context
from untrace_plugins.detectors.keccak import keccak256
from untrace_plugins.detectors.regex import Regex

__all__ = ["CRYPTO_ADDRESS", "CryptoAddressDetector", "is_base58check", "is_bech32", "is_eip55"]

_BASE58 = {char: value for value, char in enumerate("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")}
_BECH32 = {char: value for value, char in enumerate("qpzry9x8gf2tvdw0s3jn54khce6mua7l")}
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32_CONSTANTS = frozenset({1, 0x2BC830A3})
"""Of BIP 173 and of BIP 350."""


def is_base58check(text: str) -> bool:
    """Whether a text is 25 bytes, the last four of which are the double SHA-256 of the others."""
    number = 0
    for char in text:
        number = number * 58 + _BASE58[char]
    try:
        data = number.to_bytes(25, "big")
    except OverflowError:
        return False
    return sha256(sha256(data[:21]).digest()).digest()[:4] == data[21:]


def is_bech32(text: str) -> bool:
    """Whether the checksum of BIP 173 or BIP 350 is right."""
    lower = text.lower()
    if text not in {lower, text.upper()}:
        return False
    prefix, _, data = lower.rpartition("1")
    values = (
        [ord(char) >> 5 for char in prefix]
        + [0]
        + [ord(char) & 31 for char in prefix]
        + [_BECH32[char] for char in data]
    )
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            check ^= generator if top >> bit & 1 else 0
    return check in _BECH32_CONSTANTS


@lru_cache(maxsize=1024)
def is_eip55(text: str) -> bool:
    """Whether the case of the letters is that of the checksum."""
    digest = keccak256(text[2:].lower().encode()).hex()
    return all(
        char.isdigit() or char.isupper() == (int(digit, 16) >= 8) for char, digit in zip(text[2:], digest, strict=False)
    )


class CryptoAddressDetector:
    """Finds addresses of Bitcoin, Litecoin, Dogecoin, Tron, Ethereum and its kin."""

    name = "crypto_address"
    prefilter: Sequence[str] = (
        r"[13LMDTA9][1-9A-HJ-NP-Za-km-z]{25}",
        r"(?:bc|tb|ltc)1[02-9ac-hj-np-z]{11}",
        r"(?:BC|TB|LTC)1[02-9AC-HJ-NP-Z]{11}",
        r"0x[0-9A-Fa-f]{40}",
    )

    def __init__(self) -> None:
        self._base58 = Regex(r"\b[13LMDTA9][1-9A-HJ-NP-Za-km-z]{25,34}\b")
        self._bech32 = Regex(r"\b(?:(?:bc|tb|ltc)1[02-9ac-hj-np-z]{11,71}|(?:BC|TB|LTC)1[02-9AC-HJ-NP-Z]{11,71})\b")
        self._ethereum = Regex(r"\b0x[0-9A-Fa-f]{40}\b")
        self._context = Context(
            r"wallet|address|adresse|addr|eth|ethereum|usdt|usdc|erc-?20|deposit|send|to|recipient|payout"
        )

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the addresses in a text."""
        for regex, check in ((self._base58, is_base58check), (self._bech32, is_bech32)):
            for match in regex.distinct(text):
                start, end = match.spans[0]
                if check(text[start:end]):
                    yield Finding(start, end, "CRYPTO_ADDRESS", self.name)
        for match in self._ethereum.distinct(text):
            start, end = match.spans[0]
            if self._is_ethereum(text, start, end):
                yield Finding(start, end, "CRYPTO_ADDRESS", self.name)

    def _is_ethereum(self, text: str, start: int, end: int) -> bool:
        digits = text[start + 2 : end]
        if len(set(digits.lower())) < 4:
            return False
        if digits in {digits.lower(), digits.upper()}:  # no checksum: any forty hexadecimal digits look so
            return self._context.is_beside(text, start, end)
        return is_eip55(text[start:end])


CRYPTO_ADDRESS = CryptoAddressDetector()
