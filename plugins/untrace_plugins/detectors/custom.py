"""Detectors of users' own patterns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import re2

from untrace_pipeline.api import Finding
from untrace_plugins.detectors.regex import Regex

__all__ = ["CustomDetector"]


class CustomDetector:
    """Finds what a pattern in RE2's syntax matches; of a pattern with groups, the last that takes part.

    Raises ``ValueError`` with RE2's words if the pattern is none. Matches of no characters are no findings.
    """

    def __init__(self, name: str, pattern: str, type: str | None = None) -> None:
        self.name = name
        self.prefilter: Sequence[str] = (pattern,)
        self._type = type or name.upper()
        self._regex = Regex(pattern)
        try:
            self._regex.search("")
        except re2.error as error:
            reason = error.args[0] if error.args else error
            message = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
            raise ValueError(message) from error

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the matches in a text."""
        last = 0
        for match in self._regex.matches(text):
            start, end = match.span
            if match.spans[0][0] >= last and end > start:
                last = match.spans[0][1]
                yield Finding(start, end, self._type, self.name)
