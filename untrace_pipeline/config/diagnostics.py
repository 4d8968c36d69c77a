"""Problems of a configuration: place, path, what is wrong, what was expected, what might be meant."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["Finding", "Path", "Problem", "Severity"]

Path = tuple[str | int, ...]


class Severity(enum.StrEnum):
    """Errors stop the start; warnings are shown."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem found in the model, by path; the loader knows the place and makes it a :class:`Problem`."""

    code: str
    """Stable, kebab-case: ``unknown-option``; each has a golden file."""
    path: Path
    message: str
    expected: str = ""
    suggestion: str = ""
    severity: Severity = Severity.ERROR


@dataclass(frozen=True, slots=True)
class Problem:
    """A finding with its place; ``str()`` is what the user reads."""

    file: str
    line: int
    """From 1; 0 where no file holds it (``--set``)."""
    column: int
    """From 1, in characters."""
    path: str
    code: str
    message: str
    expected: str = ""
    suggestion: str = ""
    excerpt: str = ""
    """The source line, with secrets masked; empty where there is none."""
    width: int = 1
    """How many characters the caret line underlines."""
    caret: int = 1
    """Where the caret line begins in the excerpt, from 1; not ``column`` where a secret before it was masked."""
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        warning = "warning: " if self.severity is Severity.WARNING else ""
        message = self.message.replace("\n", "\n  ")
        lines = [f"{place}: {warning}{self.path + ': ' if self.path else ''}{message}"]
        if self.excerpt:
            number = f"{self.line:>3}"
            lines += [
                f"  {number} | {self.excerpt}",
                f"  {' ' * len(number)} | {' ' * (self.caret - 1)}{'^' * self.width}",
            ]
        if self.expected:
            lines.append(f"  expected: {self.expected}")
        if self.suggestion:
            lines.append(f"  did you mean: {self.suggestion}?")
        return "\n".join(lines)
