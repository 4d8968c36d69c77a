"""Reads regular expressions in RE2's syntax, which is Go's, into a small tree.

The tree keeps what a prefilter needs and may only lose precision towards matching more: a code point is a set of ASCII
characters plus "some character outside of ASCII"; assertions match the empty string. Whoever wants exactness asks RE2.
See https://github.com/google/re2/wiki/Syntax.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

__all__ = [
    "EMPTY",
    "Alt",
    "Cat",
    "Chars",
    "Empty",
    "Node",
    "Repeat",
    "Text",
    "UnsupportedError",
    "consumes",
    "is_nullable",
    "parse",
]


class UnsupportedError(Exception):
    """The pattern has a construct that this reader does not know: no prefilter can be made of it."""


@dataclass(frozen=True, slots=True)
class Empty:
    """Matches the empty string: an assertion, or nothing at all."""


@dataclass(frozen=True, slots=True)
class Chars:
    """One code point: ``mask`` has bit ``n`` set for each ASCII character ``n``; ``wide`` allows all others."""

    mask: int
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """One code point outside of ASCII, exactly; as UTF-8."""

    utf8: bytes


@dataclass(frozen=True, slots=True)
class Cat:
    """One after the other."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Alt:
    """One of them."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """``least`` to ``most`` times; ``None`` is without end."""

    part: Node
    least: int
    most: int | None


Node: TypeAlias = Empty | Chars | Text | Cat | Alt | Repeat
EMPTY = Empty()

_ASCII = 128


def _mask(text: str) -> int:
    mask = 0
    for char in text:
        mask |= 1 << ord(char)
    return mask


def _span(first: str, last: str) -> int:
    return (1 << ord(last) + 1) - (1 << ord(first))


ALL = (1 << _ASCII) - 1
DIGIT = _span("0", "9")
LOWER, UPPER = _span("a", "z"), _span("A", "Z")
ALPHA = LOWER | UPPER
WORD = DIGIT | ALPHA | _mask("_")
SPACE = _mask("\t\n\f\r ")
_PERL = {"d": DIGIT, "s": SPACE, "w": WORD}
_POSIX = {
    "alnum": DIGIT | ALPHA,
    "alpha": ALPHA,
    "ascii": ALL,
    "blank": _mask("\t "),
    "cntrl": _span("\0", "\x1f") | _mask("\x7f"),
    "digit": DIGIT,
    "graph": _span("!", "~"),
    "lower": LOWER,
    "print": _span(" ", "~"),
    "punct": _span("!", "~") & ~(DIGIT | ALPHA),
    "space": SPACE | _mask("\v"),
    "upper": UPPER,
    "word": WORD,
    "xdigit": DIGIT | _span("a", "f") | _span("A", "F"),
}
_CONTROL = {"a": 7, "f": 12, "t": 9, "n": 10, "r": 13, "v": 11}
_FOLDS_TO_ASCII = _mask("kKsS")
"""U+212A (Kelvin sign) and U+017F (long s) are the only others that fold to an ASCII letter."""
_MAX_REPEAT = 1000


def parse(pattern: str) -> Node:
    """Return the tree of a pattern that RE2 accepts. Raises :class:`UnsupportedError`."""
    reader = _Reader(pattern)
    node = reader.alternatives()
    if reader.more():
        raise UnsupportedError(f"unexpected {reader.peek()!r}")
    return node


class _Reader:
    """Recursive descent; flags are scoped to the group that sets them."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._pos = 0
        self._fold = False
        self._dot_newline = False

    def more(self) -> bool:
        return self._pos < len(self._pattern)

    def peek(self) -> str:
        return self._pattern[self._pos : self._pos + 1]

    def _next(self) -> str:
        if not self.more():
            raise UnsupportedError("ends too early")
        self._pos += 1
        return self._pattern[self._pos - 1]

    def _accept(self, text: str) -> bool:
        if self._pattern.startswith(text, self._pos):
            self._pos += len(text)
            return True
        return False

    def _until(self, end: str) -> str:
        stop = self._pattern.find(end, self._pos)
        if stop < 0:
            raise UnsupportedError(f"{end!r} is missing")
        text = self._pattern[self._pos : stop]
        self._pos = stop + len(end)
        return text

    # -------------------------------------------------------------- structure

    def alternatives(self) -> Node:
        parts = [self._sequence()]
        while self._accept("|"):
            parts.append(self._sequence())
        return parts[0] if len(parts) == 1 else Alt(tuple(parts))

    def _sequence(self) -> Node:
        parts: list[Node] = []
        while self.more() and self.peek() not in "|)":
            atoms = self._atoms()
            if atoms:
                atoms[-1] = self._repeated(atoms[-1])
            parts += atoms
        return parts[0] if len(parts) == 1 else Cat(tuple(parts))

    def _repeated(self, node: Node) -> Node:
        while True:
            bounds = self._bounds()
            if bounds is None:
                return node
            self._accept("?")  # greedy or not: the same strings match
            node = Repeat(node, *bounds)

    def _bounds(self) -> tuple[int, int | None] | None:
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._accept(sign):
                return bounds
        if self.peek() != "{":
            return None
        stop = self._pattern.find("}", self._pos)
        least, comma, most = self._pattern[self._pos + 1 : stop].partition(",") if stop > 0 else ("", "", "")
        if not _is_number(least) or (most and not _is_number(most)):
            return None  # then the brace is a character like any other
        self._pos = stop + 1
        if int(least) > _MAX_REPEAT:
            raise UnsupportedError("repeated too often")
        if not comma:
            return int(least), int(least)
        return int(least), int(most) if most else None

    def _atoms(self) -> list[Node]:
        char = self._next()
        if char == "(":
            return [self._group()]
        if char == "[":
            return [self._class()]
        if char == ".":
            return [Chars(ALL if self._dot_newline else ALL & ~_mask("\n"), wide=True)]
        if char in "^$":
            return [EMPTY]
        if char == "\\":
            return self._escaped()
        if char in "*+?":
            raise UnsupportedError(f"nothing to repeat before {char!r}")
        return [self._literal(char)]

    def _group(self) -> Node:
        saved = self._fold, self._dot_newline
        if self._accept("?"):
            if self._accept("P<") or self._accept("<"):
                self._until(">")
            elif not self._flags():
                return EMPTY  # (?i) alone: holds to the end of the group around it
        node = self.alternatives()
        if self._next() != ")":
            raise UnsupportedError("a group does not end")
        self._fold, self._dot_newline = saved
        return node

    def _flags(self) -> bool:
        """Read ``flags:`` (true: the group goes on) or ``flags)``."""
        on = True
        while True:
            char = self._next()
            if char in ":)":
                return char == ":"
            if char == "-":
                on = False
            elif char == "i":
                self._fold = on
            elif char == "s":
                self._dot_newline = on
            elif char not in "mU":  # lines only matter to assertions; greediness to nobody here
                raise UnsupportedError(f"flag {char!r}")

    # ------------------------------------------------------------- characters

    def _literal(self, char: str) -> Node:
        code = ord(char)
        if code < _ASCII:
            return self._folded(Chars(1 << code)) if self._fold else Chars(1 << code)
        return self._folded(Chars(0, wide=True)) if self._fold else Text(char.encode())

    def _folded(self, chars: Chars) -> Chars:
        mask = chars.mask
        shift = ord("a") - ord("A")
        folded = mask | (mask & UPPER) << shift | (mask & LOWER) >> shift
        wide = chars.wide or bool(folded & _FOLDS_TO_ASCII)
        return Chars(folded | (_FOLDS_TO_ASCII if chars.wide else 0), wide)

    def _escaped(self) -> list[Node]:
        char = self._next()
        if char in "ABbz":
            return [EMPTY]
        if char == "Q":
            stop = self._pattern.find("\\E", self._pos)
            text = self._pattern[self._pos :] if stop < 0 else self._until("\\E")
            if stop < 0:
                self._pos = len(self._pattern)
            return [self._literal(each) for each in text]
        chars = self._named_class(char)
        if chars is not None:
            return [self._folded(chars) if self._fold else chars]
        return [self._literal(chr(self._code(char)))]

    def _named_class(self, char: str) -> Chars | None:
        """Read the rest of ``\\d``, ``\\pL`` … behind the backslash."""
        if char in "pP":
            if self._next() == "{":
                self._until("}")
            return Chars(ALL, wide=True)  # a Unicode class may hold any character, for all that matters here
        mask = _PERL.get(char.lower())
        if mask is None:
            return None
        return Chars(ALL & ~mask, wide=True) if char.isupper() else Chars(mask)

    def _code(self, char: str) -> int:
        """Read the rest of an escaped code point behind the backslash."""
        if char in _CONTROL:
            return _CONTROL[char]
        if char == "x":
            digits = self._until("}") if self._accept("{") else self._next() + self._next()
            return _number(digits, 16)
        if char in "01234567":
            digits = char
            while len(digits) < 3 and self.peek() and self.peek() in "01234567":  # noqa: PLR2004  octal digits
                digits += self._next()
            return _number(digits, 8)
        if char.isalnum() and char.isascii():
            raise UnsupportedError(f"escape \\{char}")
        return ord(char)

    def _class(self) -> Node:
        negated = self._accept("^")
        mask, wide, first = 0, False, True
        while first or self.peek() != "]":
            chars = self._class_part()
            mask, wide, first = mask | chars.mask, wide or chars.wide, False
        self._pos += 1
        if not negated:
            return self._folded(Chars(mask, wide)) if self._fold else Chars(mask, wide)
        if self._fold:
            mask = self._folded(Chars(mask)).mask  # without what is only there to be safe: the complement would lack it
        return Chars(ALL & ~mask, wide=True)

    def _class_part(self) -> Chars:
        if self._accept("[:"):
            name = self._until(":]")
            posix = _POSIX.get(name.removeprefix("^"))
            if posix is None:
                raise UnsupportedError(f"class [:{name}:]")
            return Chars(ALL & ~posix, wide=True) if name.startswith("^") else Chars(posix)
        char = self._next()
        if char == "\\":
            char = self._next()
            named = self._named_class(char)
            if named is not None:
                if char in "pP":
                    raise UnsupportedError("a Unicode class within a class")  # negated, too little would be left
                return named
            first = self._code(char)
        else:
            first = ord(char)
        last = first
        if self.peek() == "-" and self._pattern[self._pos + 1 : self._pos + 2] not in ("]", ""):
            self._pos += 1
            char = self._next()
            last = self._code(self._next()) if char == "\\" else ord(char)
        if last < first:
            raise UnsupportedError("a range runs backwards")
        inside = _span(chr(first), chr(min(last, _ASCII - 1))) if first < _ASCII else 0
        return Chars(inside, wide=last >= _ASCII)


def _number(digits: str, base: int) -> int:
    try:
        code = int(digits, base)
    except ValueError as error:
        raise UnsupportedError(f"{digits!r} is no number") from error
    if not 0 <= code <= 0x10FFFF or 0xD800 <= code <= 0xDFFF:  # noqa: PLR2004  Unicode's limits
        raise UnsupportedError(f"{digits!r} is no character")
    return code


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def is_nullable(node: Node) -> bool:
    """Whether the empty string matches."""
    match node:
        case Empty():
            return True
        case Cat(parts):
            return all(map(is_nullable, parts))
        case Alt(parts):
            return any(map(is_nullable, parts))
        case Repeat(part, least, _):
            return least == 0 or is_nullable(part)
    return False


def consumes(node: Node, char: str) -> bool:
    """Whether a match may contain an ASCII character."""
    match node:
        case Chars(mask, _):
            return bool(mask >> ord(char) & 1)
        case Cat(parts) | Alt(parts):
            return any(consumes(part, char) for part in parts)
        case Repeat(part, _, _):
            return consumes(part, char)
    return False
