"""What is held: parts of one thing, by its key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from untrace_pipeline.data import Context
from untrace_plugins.runs.json_text import read_json

__all__ = ["OVERHEAD_BYTES", "Assembly", "Held", "Part", "by_sender"]

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
    begins: bool = False
    """Whether it says the begin of what it is about."""
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
class _Told:
    """How many parts are about the same thing, and how many of them say its begin and its end."""

    parts: int = 0
    begins: int = 0
    ends: int = 0


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
    open: set[str] = field(default_factory=set)
    """What parts, earlier ones too, are about (``Part.about``) whose begin or end is missing."""
    _told: dict[str, _Told] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for part in self.earlier or ():
            self._count(part, 1)

    def add(self, part: Part) -> None:
        """Add a part."""
        self.parts.append(part)
        self.marks.add(part.mark)
        self.size += part.size
        self._count(part, 1)

    def cut(self, count: int) -> None:
        """Take back all but the first parts."""
        for part in self.parts[count:]:
            self.marks.discard(part.mark)
            self.size -= part.size
            self._count(part, -1)
        del self.parts[count:]

    def has_ended(self, about: str) -> bool:
        """Return whether a part says the end of that."""
        told = self._told.get(about)
        return told is not None and told.ends > 0

    def _count(self, part: Part, step: int) -> None:
        told = self._told.setdefault(part.about, _Told())
        told.parts += step
        told.begins += step * part.begins
        told.ends += step * part.ends
        if told.parts and not (told.begins and told.ends):
            self.open.add(part.about)
        else:
            self.open.discard(part.about)


class Assembly(Protocol):
    """What knows the vendor."""

    def due(self, held: Held) -> float:
        """Return when it goes on if nothing more comes; not later than ``held.last`` = at once.

        Asked after each part: must not look at all of them.
        """

    def is_whole(self, held: Held) -> bool:
        """Return whether nothing is missing."""

    def compose(self, held: Sequence[Held]) -> bytes:
        """Return an OTLP request of traces; never raises over what was accepted as a part."""

    def remembered(self, held: Held) -> Sequence[Part]:
        """Return the parts without which what comes later could not be understood, ``held.earlier`` among them: few."""


def by_sender(some: Sequence[Held]) -> Iterator[tuple[Context, list[Held]]]:
    """Yield what each sender sent, under the context of the first."""
    groups: dict[object, list[Held]] = {}
    for held in some:
        context = held.context
        sender = (context.tenant, tuple(context.metadata.items()), tuple(context.auth.items()))
        groups.setdefault(sender, []).append(held)
    for group in groups.values():
        yield group[0].context, group
