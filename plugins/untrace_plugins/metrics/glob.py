"""Glob patterns over attribute names, with the dot as separator, as the Collector's ``gobwas/glob`` reads them."""

from __future__ import annotations

from collections.abc import Callable

import re2

__all__ = ["compile_glob"]


def compile_glob(pattern: str) -> Callable[[str], bool]:
    """Return the test for names. Raises ``ValueError`` for a pattern that cannot be read."""
    matcher = re2.compile(_Translation(pattern).regex())

    def matches(name: str) -> bool:
        return matcher.fullmatch(name) is not None

    return matches


class _Translation:
    """Turns one pattern into a regular expression."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._place = 0
        self._open = 0

    def regex(self) -> str:
        """Return the expression."""
        parts = []
        while self._place < len(self._pattern):
            parts.append(self._next())
        if self._open:
            raise self._bad("a { without its }")
        return "(?s)" + "".join(parts)

    def _next(self) -> str:
        char = self._take()
        if char == "*":
            return self._stars()
        if char == "[":
            return self._set()
        if char == "{":
            self._open += 1
            return "(?:"
        if char == "}" and self._open:
            self._open -= 1
            return ")"
        if char == "\\":
            char = self._take() or char
        elif char == "?":
            return "[^.]"
        elif char == "," and self._open:
            return "|"
        return _literal(char)

    def _stars(self) -> str:
        if self._peek() != "*":
            return "[^.]*"
        while self._peek() == "*":
            self._take()
        return ".*"

    def _set(self) -> str:
        end = self._pattern.find("]", self._place)
        if end < 0:
            raise self._bad("a [ without its ]")
        inside = self._pattern[self._place : end]
        self._place = end + 1
        negated = inside.startswith("!")
        inside = inside.removeprefix("!")
        if not inside:
            raise self._bad("an empty []")
        is_range = len(inside) == 3 and inside[1] == "-"  # noqa: PLR2004  a-z
        members = f"{_literal(inside[0])}-{_literal(inside[2])}" if is_range else "".join(map(_literal, inside))
        return f"[{'^' if negated else ''}{members}]"

    def _take(self) -> str:
        char = self._peek()
        self._place += 1
        return char

    def _peek(self) -> str:
        return self._pattern[self._place : self._place + 1]

    def _bad(self, what: str) -> ValueError:
        return ValueError(f"the glob {self._pattern!r} has {what}")


def _literal(char: str) -> str:
    return char if char.isalnum() or char == "_" or ord(char) > 127 else f"\\{char}"  # noqa: PLR2004  ASCII ends
