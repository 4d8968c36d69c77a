"""Check digits: each function says whether a number as written on paper, without separators, is a possible one."""

# ruff: noqa: PLR2004  weights and moduli are those of the standards
from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

__all__ = [
    "is_date",
    "iso7064_mod11_10",
    "luhn",
    "mod97",
    "verhoeff",
    "weighted",
]


_DOUBLED = str.maketrans("0123456789", "0246813579")
"""Sums of the digits of twice a digit."""


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    return sum(map(int, digits[-1::-2] + digits[-2::-2].translate(_DOUBLED))) % 10 == 0


def mod97(text: str) -> bool:
    """ISO 7064 MOD 97-10 of an IBAN (ISO 13616): country and check digits go to the end, letters count from 10."""
    return int("".join(str(int(char, 36)) for char in text[4:] + text[:4])) % 97 == 1


def iso7064_mod11_10(digits: str) -> bool:
    """ISO 7064 MOD 11,10, as in the German Steuer-ID."""
    product = 10
    for digit in digits[:-1]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(digits[-1])


_D5 = [
    [(row + column) % 5 if row < 5 and column < 5 else 0 for column in range(10)] for row in range(10)
]  # filled below: multiplication in the dihedral group
for _row in range(10):
    for _column in range(10):
        if _row < 5:
            _D5[_row][_column] = (_row + _column) % 5 if _column < 5 else 5 + (_row + _column) % 5
        else:
            _D5[_row][_column] = 5 + (_row - _column) % 5 if _column < 5 else (_row - _column) % 5
_PERMUTATION = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def verhoeff(digits: str) -> bool:
    """Verhoeff's dihedral check, as in the Aadhaar number."""
    check = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit)
        for _ in range(place % 8):
            value = _PERMUTATION[value]
        check = _D5[check][value]
    return check == 0


def weighted(digits: Iterable[str], weights: Sequence[int]) -> int:
    """Return the sum of the digits times their weights."""
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def is_date(year: int, month: int, day: int) -> bool:
    """Whether there is such a day."""
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True
