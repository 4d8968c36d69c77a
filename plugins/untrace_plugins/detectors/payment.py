"""Payment cards (ISO/IEC 7812) and IBANs (ISO 13616)."""

# ruff: noqa: PLR2004  numbers of digits and ranges of issuers
from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import accumulate

from untrace_pipeline.api import Finding
from untrace_plugins.detectors.checksums import luhn, mod97
from untrace_plugins.detectors.context import Context, is_isolated
from untrace_plugins.detectors.gates import DIGITS
from untrace_plugins.detectors.numbers import compact
from untrace_plugins.detectors.regex import Regex

__all__ = ["CREDIT_CARD", "IBAN", "CreditCardDetector", "IbanDetector", "is_card"]

_LENGTHS: tuple[tuple[int, int, int, frozenset[int]], ...] = tuple(
    (first, last, len(str(first)), frozenset(lengths))
    for first, last, lengths in (
        (4, 4, (13, 16, 19)),  # Visa
        (51, 55, (16,)),  # Mastercard
        (2221, 2720, (16,)),
        (34, 34, (15,)),  # American Express
        (37, 37, (15,)),
        (6011, 6011, (16, 17, 18, 19)),  # Discover
        (644, 649, (16, 17, 18, 19)),
        (65, 65, (16, 17, 18, 19)),  # and RuPay
        (300, 305, (14, 16, 17, 18, 19)),  # Diners Club
        (3095, 3095, (14, 16, 17, 18, 19)),
        (36, 36, (14, 16, 17, 18, 19)),
        (38, 39, (14, 16, 17, 18, 19)),
        (3528, 3589, (16, 17, 18, 19)),  # JCB
        (1800, 1800, (15,)),
        (2131, 2131, (15,)),
        (62, 62, (16, 17, 18, 19)),  # UnionPay
        (81, 82, (16, 17, 18, 19)),  # UnionPay, RuPay
        (60, 60, (16,)),  # RuPay
        (508, 508, (16,)),
        (353, 353, (16,)),
        (356, 356, (16,)),
        (2200, 2204, (16, 17, 18, 19)),  # Mir
        (50, 50, (12, 13, 14, 15, 16, 17, 18, 19)),  # Maestro, Verve, Elo
        (56, 58, (12, 13, 14, 15, 16, 17, 18, 19)),
        (63, 63, (12, 13, 14, 15, 16, 17, 18, 19)),
        (67, 67, (12, 13, 14, 15, 16, 17, 18, 19)),
        (9792, 9792, (16,)),  # Troy
    )
)
_USUAL = (16, 15)
"""Digits of cards of issuers that are not in the table; they are cards only beside a word."""
_SURE = 14
"""Below this many digits a number is a card only beside a word, or written in groups."""


def is_card(digits: str) -> bool:
    """Whether an issuer gives out numbers that begin so and are so long, and the check digit is right."""
    return len(digits) in _issued(digits[:4]) and luhn(digits) and len(set(digits)) > 1


@cache
def _issued(prefix: str) -> tuple[int, ...]:
    """Return how long numbers are that begin with these four digits, longest first."""
    found = [lengths for first, last, width, lengths in _LENGTHS if first <= int(prefix[:width]) <= last]
    return tuple(sorted(frozenset().union(*found), reverse=True))


_CODE = re.compile(r" \d{3}\b(?![ -]?\d)| \d\d/\d\d")
"""A security code, or a date until which the card is valid."""


class CreditCardDetector:
    """Finds payment cards: compact, in groups, or digit by digit."""

    name = "credit_card"
    prefilter: Sequence[str] = (DIGITS, r"\d{4}\n\d{4}\n\d{4}")
    narrow: Sequence[str] = (r"\d(?:[ .-]?\d){11}", r"\d{4}\n\d{4}\n\d{4}")

    def __init__(self) -> None:
        self._row = Regex(r"\b\d(?:[ .\-]?\d){11,}\b")
        self._lines = Regex(r"\b\d{4}(?:\n\d{4}){3}\b")
        self._context = Context(
            r"pan|cards?(?:[ _-]?(?:number|num|no|nr))?|credit|visa|master ?card|amex|maestro|discover|diners|jcb|"
            r"kreditkarten?(?:nummer)?|carte|tarjeta|carta|cart[ãa]o|kart[aęy]|kort(?:nummer)?|カード(?:番号)?"
        )

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the cards in a text."""
        for match in self._row.distinct(text):
            for start, end in self._in_row(text, *match.spans[0]):
                yield Finding(start, end, "CREDIT_CARD", self.name)
        for match in self._lines.distinct(text):
            start, end = match.spans[0]
            if is_card(compact(text[start:end])):
                yield Finding(start, end, "CREDIT_CARD", self.name)

    def _in_row(self, text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield the cards among groups of digits that follow each other."""
        groups = [(start + group.start(), start + group.end()) for group in _GROUP.finditer(text[start:end])]
        digits = "".join(text[slice(*group)] for group in groups)
        ends = {count: number for number, count in enumerate(accumulate(stop - begin for begin, stop in groups), 1)}
        free = begin = 0
        for first, (place, stop) in enumerate(groups):
            for size in _issued(digits[begin : begin + 4]) or _USUAL if first >= free else ():
                last = ends.get(begin + size)
                if last is not None and self._is_card(text, groups[first:last], digits[begin : begin + size]):
                    yield place, groups[last - 1][1]
                    free = last
                    break
            begin += stop - place

    def _is_card(self, text: str, groups: Sequence[tuple[int, int]], digits: str) -> bool:
        start, end = groups[0][0], groups[-1][1]
        if not luhn(digits) or len(set(digits)) == 1 or not (is_isolated(text, start, end) or _CODE.match(text, end)):
            return False
        if not _issued(digits[:4]):
            return self._context.is_beside(text, start, end)
        lengths = [stop - begin for begin, stop in groups]
        if len(groups) == 1:
            return lengths[0] >= _SURE or self._context.is_beside(text, start, end)
        usual = 3 <= len(groups) <= 5 and all(3 <= length <= 7 for length in lengths[:-1])
        return usual or self._context.is_beside(text, start, end)


_GROUP = re.compile(r"\d+")


_IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FI FK FO GL NL SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}
"""Characters of an IBAN by country (SWIFT, IBAN registry, release 99)."""
_COUNTRIES = "|".join(_IBAN_LENGTHS)


class IbanDetector:
    """Finds IBANs of the length of their country with right check digits; in lower case if nine digits are in a row."""

    name = "iban"
    prefilter: Sequence[str] = (
        DIGITS,
        r"\d\d[ -]?[A-Z0-9]{4}[ -]?[A-Z0-9]{4}[ -]?[A-Z0-9]{3}",
    )
    narrow: Sequence[str] = (r"[A-Za-z]{2}\d\d[ -]?[A-Za-z0-9]{4}",)

    def __init__(self) -> None:
        self._regex = Regex(rf"(?i)\b(?:{_COUNTRIES})\d\d(?:[ -]?[A-Z0-9]){{11,29}}")

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the IBANs in a text."""
        for match in self._regex.matches(text):
            start, end = match.spans[0]
            stop = _iban_end(text, start, end)
            if stop is not None and is_isolated(text, start, stop) and mod97(compact(text[start:stop])):
                yield Finding(start, stop, "IBAN", self.name)


def _iban_end(text: str, start: int, end: int) -> int | None:
    """Return where as many characters end as the country has."""
    left = _IBAN_LENGTHS[text[start : start + 2].upper()]
    for offset in range(start, end):
        left -= text[offset].isalnum()
        if left == 0:
            return offset + 1
    return None


CREDIT_CARD = CreditCardDetector()
IBAN = IbanDetector()
