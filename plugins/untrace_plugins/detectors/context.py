"""Words beside a value, which say what it is."""

from __future__ import annotations

from untrace_plugins.detectors.regex import Regex
from untrace_plugins.detectors.tables import column_head

__all__ = ["Context", "is_isolated"]

_BEFORE, _AFTER = 72, 40
"""Characters that are looked at before and behind a value."""
_GAP = r"[^0-9,;{}\[\]|&\n\t]{0,40}"
"""What may stand between the word and the value: no other value, no other field."""


class Context:
    """Looks for words beside a value: ``BSN: 1``, ``My BSN is 1``, ``1 (BSN)``, or in the head of its column."""

    def __init__(self, words: str) -> None:
        """Take an alternation in RE2's syntax; it is matched without regard to case, between anything but letters."""
        self._anywhere = Regex(rf"(?i)(?:{words})")
        bounded = rf"(?i)(?:^|[^\pL])(?:{words})"
        self._before = Regex(rf"{bounded}(?:s|[^\pL]{_GAP})?(?:[:=]?\n)?[\s\"'>(]*$")
        self._after = Regex(
            rf"(?i)^[\"')\]]{{0,2}}\s{{0,2}}(?:[(（\[]|is (?:my|the|his|her|our|their|a)\b|as (?:my|the|his|her)?\b|"
            rf"[-–—])?\s?(?:{words})(?:$|[^\pL])"
        )
        self._head = Regex(rf"{bounded}(?:$|[^\pL]|s)")

    def occurs_in(self, text: str) -> bool:
        """Whether one of the words is anywhere in the text."""
        return self._anywhere.search(text)

    def is_beside(self, text: str, start: int, end: int) -> bool:
        """Whether one of the words belongs to the value between these offsets."""
        if self._before.search(text[max(0, start - _BEFORE) : start]):
            return True
        if self._after.search(text[end : end + _AFTER]):
            return True
        head = column_head(text, start)
        return bool(head) and self._head.search(head)


def is_isolated(text: str, start: int, end: int) -> bool:
    """Whether a number stands by itself: not within a word, a decimal fraction, or a longer row of groups."""
    before = text[start - 1] if start else " "
    if before.isascii() and (before.isalnum() or before == "_"):
        return False
    spaced = " " if " " in text[start:end] else ""
    if before in f".-/+{spaced}" and start > 1 and text[start - 2].isdigit():
        return False
    after = text[end] if end < len(text) else " "
    if after.isascii() and (after.isalnum() or after == "_"):
        return False
    return not (after in f".-/{spaced}" and end + 1 < len(text) and text[end + 1].isdigit())
