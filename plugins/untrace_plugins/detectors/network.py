"""Addresses of devices: IP (RFC 791, RFC 4291) and MAC (IEEE 802)."""

# ruff: noqa: PLR2004  octets and groups
from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address

from untrace_pipeline.api import Finding
from untrace_plugins.detectors.gates import COLONS, DOTTED
from untrace_plugins.detectors.regex import Regex

__all__ = ["IP", "MAC", "IpDetector", "MacDetector"]

_VERSION = Regex(
    r"(?i)(?:version|versión|versione|versão|wersj[aię]|versie|バージョン|版本|release|build|firmware|driver|"
    r"upgrade[d]?(?: from| to)?|"
    r"chrome|firefox|safari|edge|edg|opera|chromium|applewebkit|v|ver|rev|section|kapitel|chapter|§)"
    r"[\"'\s/:=.]{0,4}$|(?:[=<>~]=|[\^~])$"
)
_ADDRESS = Regex(
    r"(?i)(?:\bip\b|ipv4|addr|host|server|client|remote|peer|gateway|dns|subnet|ping|ssh|curl|https?|://|\b(?:from|"
    r"to)\s)[^0-9]{0,24}$"
    r"|\b(?:root|admin|administrator|ubuntu|debian|centos|ec2-user|user|deploy|git|postgres|sip:\w+)@$"
)
_SMALL = 40
"""Four numbers below this are more often a version than an address."""
_BEFORE = 32
_LONGEST_V4, _LONGEST_V6 = 15, 45


class IpDetector:
    """Finds addresses of both versions; loopback, unspecified, broadcast addresses and masks are nobody's."""

    name = "ip"
    prefilter: Sequence[str] = (DOTTED, COLONS, r"::[0-9A-Fa-f]")
    narrow: Sequence[str] = (DOTTED, rf"[0-9A-Fa-f]?{COLONS}", r"\b[0-9A-Fa-f]{4}::[0-9A-Fa-f]")

    def __init__(self) -> None:
        self._v4 = Regex(r"\b\d{1,3}(?:\.\d{1,3}){3,}\b")
        self._v6 = Regex(r"[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]+")

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the addresses in a text."""
        for match in self._v4.distinct(text):
            start, end = match.spans[0]
            if end - start <= _LONGEST_V4 and _is_v4(text, start, end):
                yield Finding(start, end, "IP_V4", self.name)
        for match in self._v6.distinct(text):
            start, end = match.spans[0]
            end = start + len(_trimmed(text[start:end]))
            if end - start <= _LONGEST_V6 and _is_v6(text, start, end):
                yield Finding(start, end, "IP_V6", self.name)


def _trimmed(value: str) -> str:
    """Return it without the sign that ends a sentence; the two colons at the end of ``2001:db8::`` belong to it."""
    shorter = value.rstrip(".:")
    return shorter + "::" if value.startswith("::", len(shorter)) else shorter


def _is_v4(text: str, start: int, end: int) -> bool:
    try:
        address = IPv4Address(text[start:end])
    except ValueError:
        return False
    before, after = text[max(0, start - _BEFORE) : start], text[end : end + 2]
    if (
        before[-1:] == "."
        or (before[-1:] in {"-", "+", ","} and before[-2:-1].isdigit())
        or (after[:1] == "." and after[1:].isdigit())
    ):
        return False
    if after[:1] in {"-", "+"} and after[1:].isalpha():
        return False
    if address.is_loopback or address.is_unspecified or int(address) >> 24 == 255 or address.is_multicast:
        return False
    if _VERSION.search(before):
        return False
    if before[-1:] == "@":  # of a user, or a package and its version
        return max(address.packed) >= _SMALL or _ADDRESS.search(before)
    return address.is_private or max(address.packed) >= _SMALL or _ADDRESS.search(before)


def _is_v6(text: str, start: int, end: int) -> bool:
    before, after = text[start - 1 : start], text[end : end + 1]
    if (
        (before.isalnum() and before.isascii())
        or before == "_"
        or after == "_"
        or (after.isalnum() and after.isascii())
    ):
        return False
    value = text[start:end]
    try:
        address = IPv6Address(value)
    except ValueError:
        return False
    if address.is_loopback or address.is_unspecified:
        return False
    groups = [group for group in value.split(":") if group]
    # ``a::b`` is more often code than an address.
    return (
        len(groups) >= 4
        or address.is_link_local
        or address.ipv4_mapped is not None
        or (len(groups) >= 2 and len(groups[0]) == 4)
    )


class MacDetector:
    """Finds MAC addresses with colons, dashes or Cisco's dots, of one case and one separator."""

    name = "mac"
    prefilter: Sequence[str] = (
        COLONS,
        r"-[0-9A-Fa-f]{2}-[0-9A-Fa-f]{2}-[0-9A-Fa-f]{2}-[0-9A-Fa-f]{2}-",
        r"\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}",
    )
    narrow: Sequence[str] = (r"(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}", r"(?:[0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}")

    def __init__(self) -> None:
        byte = "[0-9A-Fa-f]{2}"
        self._regex = Regex(
            rf"\b(?:{byte}(?::{byte}){{5}}|{byte}(?:-{byte}){{5}}|[0-9A-Fa-f]{{4}}(?:\.[0-9A-Fa-f]{{4}}){{2}})\b"
        )

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the addresses in a text."""
        for match in self._regex.distinct(text):
            start, end = match.spans[0]
            value = text[start:end]
            digits = set(value) - set(":-.")
            if digits in ({"0"}, {"f"}, {"F"}) or _is_longer(text, start, end):
                continue
            if "." in value and not digits & set("abcdefABCDEF"):
                continue  # three groups of digits: an amount, or a version
            yield Finding(start, end, "MAC", self.name)


def _is_longer(text: str, start: int, end: int) -> bool:
    """Whether more bytes follow with the same separator, as in a fingerprint."""
    separator = text[start + 4] if text[start + 4] == "." else text[start + 2]
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    return (before[-1:] == separator and before[:1].isalnum()) or (after[:1] == separator and after[1:].isalnum())


IP = IpDetector()
MAC = MacDetector()
