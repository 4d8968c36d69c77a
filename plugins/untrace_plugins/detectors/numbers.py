"""Detectors of numbers that have a pattern, mostly check digits, and words that stand beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from untrace_pipeline.api import Finding
from untrace_plugins.detectors.context import Context, is_isolated
from untrace_plugins.detectors.gates import DIGITS
from untrace_plugins.detectors.regex import Regex

__all__ = ["Narrowed", "NumberDetector", "Shape", "compact"]

_CHAIN = 8
"""Longest text between two numbers of an enumeration: ``, and``."""


def compact(value: str) -> str:
    """Return letters and digits, upper case, without what separates them."""
    return "".join(filter(str.isalnum, value)).upper()


@dataclass(frozen=True)
class Shape:
    """One way to write a number."""

    pattern: str
    """In RE2's syntax; matches the number from its first to its last character."""
    needs_context: bool = False
    """Whether it is so common that a word beside it must say what it is."""
    regex: Regex = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "regex", Regex(self.pattern))


@runtime_checkable
class Narrowed(Protocol):
    """A detector that shares its prefilter with others, and can say more precisely what it looks for."""

    narrow: Sequence[str]
    """Patterns in RE2's syntax, one of which matches around a match of ``prefilter`` if there is a finding."""


class NumberDetector:
    """Finds numbers of some shapes that pass a check.

    ``narrow``: patterns, one of which matches near what ``prefilter`` finds, if there is a number.
    """

    def __init__(
        self,
        name: str,
        shapes: Sequence[Shape],
        check: Callable[[str], bool] | None,
        words: str,
        type: str | None = None,
        prefilter: Sequence[str] = (DIGITS,),
    ) -> None:
        self.name = name
        self.prefilter: Sequence[str] = prefilter
        self.narrow: Sequence[str] = tuple(shape.pattern for shape in shapes)
        self._type = type or name.upper()
        self._shapes = shapes
        self._check = check
        self._context = Context(words)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the numbers in a text."""
        has_words = self._context.occurs_in(text)
        for shape in self._shapes:
            if shape.needs_context and not has_words:
                continue
            last = -1
            for match in shape.regex.matches(text):
                start, end = match.spans[0]
                if not is_isolated(text, start, end):
                    continue
                if self._check is not None and not self._check(compact(text[start:end])):
                    continue
                if shape.needs_context and not (
                    self._context.is_beside(text, start, end) or _goes_on(text, last, start)
                ):
                    continue
                last = end
                yield Finding(start, end, self._type, self.name)


def _goes_on(text: str, last: int, start: int) -> bool:
    """Whether a number follows the one before it in an enumeration."""
    if not 0 <= last < start <= last + _CHAIN:
        return False
    between = text[last:start].strip("\"' ")
    return between in {",", "/", "and", "or", "und", "oder", "et", "y", "e", "&", ", and", ", or"}
