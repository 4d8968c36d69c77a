"""Glob patterns as the Collector's ``gobwas/glob`` reads them: over whole texts, or over names with a separator."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from untrace_pipeline.conditions.patterns import compile_pattern
from untrace_pipeline.errors import ConditionError

__all__ = ["compile_glob"]


@lru_cache(maxsize=256)
def compile_glob(pattern: str, separator: str = "") -> Callable[[str], bool]:
    """Return the test for whole texts. Raises :class:`ConditionError` for a pattern that cannot be read.

    ``*`` stands for any characters but the separator, ``**`` for any, ``?`` for one that is not the separator; beside
    them ``[abc]``, ``[a-z]``, ``[!a-z]``, ``{one,other}``, and a backslash before what is meant literally.
    """
    matcher = compile_pattern(_Translation(pattern, separator).regex())

    def matches(text: str) -> bool:
        return matcher.fullmatch(text) is not None

    return matches


class _Translation:
    """Turns one pattern into a regular expression."""

    def __init__(self, pattern: str, separator: str) -> None:
        self._pattern = pattern
        self._one = f"[^{_literal(separator)}]" if separator else "."
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
            return self._one
        elif char == "," and self._open:
            return "|"
        return _literal(char)

    def _stars(self) -> str:
        if self._peek() != "*":
            return f"{self._one}*"
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

    def _bad(self, what: str) -> ConditionError:
        return ConditionError(f"the glob {self._pattern!r} has {what}")


def _literal(char: str) -> str:
    return char if char.isalnum() or char == "_" or ord(char) > 127 else f"\\{char}"  # noqa: PLR2004  ASCII ends
