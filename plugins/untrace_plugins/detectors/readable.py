"""Texts as a reader sees them: escapes, entities and odd characters replaced by what they stand for.

Detectors look at this form, and what they find is carried back to the offsets of the text as it was: an address whose
at sign is ``\\u0040``, ``%40`` or ``&#64;`` is one, and the ``n`` of ``\\n0171 539`` is no letter before a number.
Escapes are JSON's, at any depth of nesting.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from functools import lru_cache

from untrace_pipeline.api import Finding

__all__ = ["TRIGGERS", "Readable", "as_it_is", "readable"]

_SPACES = "\u00a0\u2000-\u200a\u202f\u205f\u3000"
_DASHES = "\u2010-\u2013\u2212\ufe63"
_INVISIBLE = "\u00ad\u180e\u200b\u200e\u200f\u2060-\u2064\ufeff"
_DIGITS = "\u0660-\u0669\u06f0-\u06f9\u0966-\u096f"
_WIDE = "\uff01-\uff5e"
_SURROGATES = "\ud800-\udfff"
"""Halves of characters, which have no UTF-8."""

# It begins with one class of characters, which is looked for many times faster than alternatives; each says by what it
# looks back at which of them it is for. Of many backslashes only the first begins anything but the end of a line.
_UNUSUAL = re.compile(
    f"[\\\\\"'\\[({{%&{_SPACES}{_INVISIBLE}{_DIGITS}{_WIDE}{_SURROGATES}{_DASHES}]"
    r"(?:((?<=\\)\r?\n|(?<=[\"'])\s?\+\s?[\"'])"
    r"|(?<=[\[({])([.@:])[\])}]"
    r"|(?<=\\)(?<!\\\\)\\*+(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|([\"'/bfnrt]|[!-/:-@\[\]-`{-~]))"
    r"|(?<=%)([2-7][0-9A-Fa-f])"
    r"|(?<=&)((?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[a-z]{2,6});)"
    f"|(?<=[{_SPACES}{_INVISIBLE}{_DIGITS}{_WIDE}{_SURROGATES}])|(?<=[0-9)][{_DASHES}]))"
)
_CONTROL = {"b": " ", "f": " ", "n": "\n", "r": "\r", "t": "\t"}
_CONTINUED = frozenset({3, 6, 12, 24})
"""Backslashes before ``n`` where a line ends with one, in JSON, in JSON within JSON …; a line break has 1, 2, 4, 8."""
_WIDE_SHIFT = 0xFF01 - 0x21
_IS_INVISIBLE = re.compile(f"[{_INVISIBLE}]").match
_IS_SPACE = re.compile(f"[{_SPACES}]").match
_IS_DASH = re.compile(f"[{_DASHES}]").match

_ESCAPE = r"\\+u(?i:00[2-7]|00a[0d]|06[6f]|096|180e|200[0-9abef]|201[0-3]|202f|205f|206|2212|3000|fe|ff[0-5])"


def _characters(*codes: int) -> str:
    return "|".join(f"\\x{{{code:x}}}" for code in codes)


TRIGGERS: tuple[str, ...] = (
    _ESCAPE,
    r"\\x[2-7]",
    r"[0-9]\\+[nrt][0-9]",
    r":\\+/",
    # What cuts a value in two: the end of a line that goes on, the end of a string; dots in brackets.
    r"\\\r?\n|\\\\\\n|[\"']\s?\+\s?[\"']",
    r"[\[({][.@:][\])}]",
    r"\\+[._@+-]",
    r"%(?:40|2[0BDEbde]|3[0-9ADad])",
    r"&(?:#|commat;|period;)",
    # Nothing at all, spaces and dashes.
    _characters(0xAD, 0x180E, 0x200B, 0x200E, 0x200F, *range(0x2060, 0x2065), 0xFEFF),
    _characters(0xA0, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000),
    f"[0-9)](?:{_characters(*range(0x2010, 0x2014), 0x2212, 0xFE63)})",
    # Digits of other scripts, and the at sign in full width.
    _characters(0xFF20, *range(0xFF10, 0xFF1A), *range(0x660, 0x66A), *range(0x6F0, 0x6FA), *range(0x966, 0x970)),
)
"""Patterns over the text as it was. Where neither they nor those of a detector match, there is no finding."""


class Readable:
    """A text and its readable form."""

    __slots__ = ("_ends", "_raws", "_starts", "text")

    def __init__(self, text: str, starts: list[int], raws: list[int], ends: list[int]) -> None:
        self.text = text
        self._starts = starts
        self._raws = raws
        self._ends = ends

    def original(self, finding: Finding) -> Finding:
        """Return a finding of the readable form with the offsets of the text as it was."""
        return finding._replace(start=self._place(finding.start)[0], end=self._place(finding.end - 1)[1])

    def _place(self, offset: int) -> tuple[int, int]:
        """Return where one character lies."""
        piece = bisect_right(self._starts, offset) - 1
        if piece < 0:
            return offset, offset + 1
        distance = offset - self._starts[piece]
        if distance == 0 and self._ends[piece]:
            return self._raws[piece], self._ends[piece]
        raw = (self._ends[piece] - 1 if self._ends[piece] else self._raws[piece]) + distance
        return raw, raw + 1


def as_it_is(text: str) -> Readable:
    """Return a text in which nothing is unusual as its own readable form."""
    return Readable(text, [], [], [])


def readable(text: str) -> Readable:
    """Return the readable form of a text; its ``text`` is the same object if nothing is unusual in it."""
    pieces: list[str] = []
    starts: list[int] = []
    raws: list[int] = []
    ends: list[int] = []
    last = size = 0
    for match in _UNUSUAL.finditer(text):
        meaning = _meaning(match.group())
        if meaning is None:
            continue
        begin, end = match.span()
        pieces.append(text[last:begin])
        size += begin - last
        last = end
        if starts and starts[-1] == size:  # nothing is left of what was replaced before
            starts.pop(), raws.pop(), ends.pop()
        starts.append(size)
        raws.append(begin if meaning else end)
        ends.append(end if meaning else 0)
        pieces.append(meaning)
        size += len(meaning)
    if not starts:
        return as_it_is(text)
    pieces.append(text[last:])
    return Readable("".join(pieces), starts, raws, ends)


@lru_cache(maxsize=4096)
def _meaning(sequence: str) -> str | None:
    """Return the character that an unusual sequence stands for, "" for an invisible one, ``None`` if it is as usual."""
    if len(sequence) == 1:
        return _plain(sequence)
    match = _UNUSUAL.match(sequence)
    assert match is not None
    joint, bracketed, code, byte, escaped, percent, entity = match.groups()
    if joint or (escaped == "n" and len(sequence) - 1 in _CONTINUED):
        return ""
    if bracketed:
        return bracketed
    if code:
        return _plain(chr(int(code, 16)))
    if escaped:
        return _CONTROL.get(escaped, escaped)
    if entity:
        found = html.unescape(sequence)
        return _plain(found) if len(found) == 1 else None
    return chr(int(byte or percent, 16))


def _plain(character: str) -> str:
    if _IS_INVISIBLE(character):
        return ""
    if _IS_SPACE(character):
        return " "
    if _IS_DASH(character):
        return "-"
    if "\uff01" <= character <= "\uff5e":
        return chr(ord(character) - _WIDE_SHIFT)
    if "\ud800" <= character <= "\udfff":
        return "\ufffd"
    return str(int(character)) if character.isdecimal() else character
