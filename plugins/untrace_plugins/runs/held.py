"""What is held: parts of one thing, by its key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from untrace_pipeline.data import Context
from untrace_plugins.runs.json_text import read_json

__all__ = ["OVERHEAD_BYTES", "Assembly", "Held", "Part"]

OVERHEAD_BYTES = 512
"""What a part takes besides its bytes, about."""


@dataclass(slots=True, eq=False)
class Part:
    """One message about something: that it began, that it ended, what became of it."""

    key: str
    """Of what it is a part; unique for each sender."""
    mark: str
    """The same where the same message comes again."""
    kind: str
    """A word of the receiver: ``post``, ``patch`` …"""
    data: bytes
    """JSON, as it came."""
    value: Any = None
    """What ``data`` says, while somebody remembers it."""
    about: str = ""
    """Which of several things in one it is about."""
    ends: bool = False
    """Whether it says the end of what it is about."""

    def read(self) -> Any:
        """Return what ``data`` says."""
        return read_json(self.data) if self.value is None else self.value

    @property
    def size(self) -> int:
        """Bytes that it takes while it waits."""
        return len(self.data) + OVERHEAD_BYTES


@dataclass(slots=True, eq=False)
class Held:
    """The parts of one thing, in order of arrival; times are those of the event loop."""

    key: str
    context: Context
    """Who sent its first part."""
    first: float
    """When the first part came."""
    last: float
    """When the latest did."""
    parts: list[Part] = field(default_factory=list)
    marks: set[str] = field(default_factory=set)
    """Those of its parts."""
    earlier: Sequence[Part] | None = None
    """Of what went on before, and this is what came after, the parts that are remembered; ``None`` if it is new."""
    due: float = 0.0
    """When it goes on, whole or not."""
    size: int = 0

    def add(self, part: Part) -> None:
        """Add a part."""
        self.parts.append(part)
        self.marks.add(part.mark)
        self.size += part.size

    def cut(self, count: int) -> None:
        """Take back all but the first parts."""
        for part in self.parts[count:]:
            self.marks.discard(part.mark)
            self.size -= part.size
        del self.parts[count:]


class Assembly(Protocol):
    """What knows the vendor."""

    def due(self, held: Held) -> float:
        """Return when it goes on if nothing more comes; not later than ``held.last`` = at once."""

    def is_whole(self, held: Held) -> bool:
        """Return whether nothing is missing."""

    def compose(self, held: Sequence[Held]) -> bytes:
        """Return an OTLP request of traces; never raises over what was accepted as a part."""

    def remembered(self, held: Held) -> Sequence[Part]:
        """Return the parts without which what comes later could not be understood, ``held.earlier`` among them: few."""
