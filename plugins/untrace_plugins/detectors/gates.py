"""Prefilters that several detectors share: few, because each costs every byte of every request.

They begin with what is rare in texts, a digit or a sign, so that Hyperscan skips from one to the next: one pattern more
that begins with any letter doubles what all of them cost.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["AT", "COLONS", "DIGITS", "DOTTED", "any_case"]

DIGITS = r"\d(?:[ .\-/()]*\d){8}"
"""Nine digits, in groups or not: telephone numbers, cards, accounts, most national ids."""
AT = r"@(?:[A-Za-z0-9]|[^\x00-\x7f])"
"""An at sign before a name."""
DOTTED = r"\d\.\d{1,3}\.\d{1,3}\.\d"
COLONS = r":[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]{0,4}:"


def any_case(words: Iterable[str]) -> tuple[str, ...]:
    """Return patterns for literal words in any case.

    One pattern each, not an alternation, and no ``(?i)``, which lets letters outside of ASCII match: so they are
    literals for Hyperscan, of which a hundred cost no more than one.
    """
    cases = {case: None for word in words for case in (word, word.upper(), word.capitalize())}
    return tuple({"".join(map(_either, case)): None for case in cases})


def _either(char: str) -> str:
    """Return a pattern for both cases of a letter of ASCII, for any other character itself."""
    if char.isascii() and char.isalpha():
        return f"[{char.upper()}{char.lower()}]"
    return "\\" + char if char in ".+*?()[]{}|^$\\" else char
