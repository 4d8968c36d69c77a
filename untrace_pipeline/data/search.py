"""Searching the string values of a batch where they lie, without decoding them: where the codec is native."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple, Protocol

from untrace_pipeline import native
from untrace_pipeline.data.codec import Table
from untrace_pipeline.data.fields import Level
from untrace_pipeline.data.signal import Signal

__all__ = ["Found", "Keys", "Place", "Searcher", "Text", "Texts", "texts"]

_LEVELS = tuple(Level)


class Place(NamedTuple):
    """A string value in which a pattern matches."""

    level: Level
    row: int
    key: str | None
    """Key of the attribute; ``None`` for the body of a log record."""
    start: int
    """Offset in the request."""
    stop: int


class Found(NamedTuple):
    """What a search found."""

    places: list[Place]
    """The values that match, level by level, in wire order. Strings within lists and maps are not looked at."""
    hidden: list[tuple[Level, int]]
    """Level and row of values that match behind an equal key: receivers may see them, columns do not show them."""
    bodies: list[tuple[int, bool]]
    """Log records whose body is neither a string nor absent, and whether a string anywhere inside of it matches."""


class Searcher:
    """Patterns in RE2's syntax, which find what RE2 and Go find: leftmost-first, not overlapping.

    Raises ``ValueError`` where the codec is not native, and for a pattern that is not known to mean the same there as
    in RE2: one that matches the empty string, or has Unicode classes. Whoever needs those goes another way.
    Texts are UTF-8. May be used from several threads.
    """

    __slots__ = ("_inner", "_table", "find", "matches", "replace")

    find: Callable[[bytes], list[tuple[int, int, int]]]
    """Return number of the pattern, start and end of every match, pattern by pattern."""
    matches: Callable[[bytes], bool]
    """Return whether any pattern matches anywhere in a text."""
    replace: Callable[[bytes, bytes | Callable[[bytes], bytes]], bytes]
    """Return a text with its matches replaced by a mask, or by what it returns for each; one pattern after the other,
    each in what those before it left. The same object where nothing matches."""

    def __init__(self, patterns: Sequence[str]) -> None:
        if not native.codec().is_native:
            msg = "the codec is not native"
            raise ValueError(msg)
        module: Any = import_module("untrace_pipeline_native")
        self._inner = module.Searcher(list(patterns))
        self._table: type = module.Table
        self.find = self._inner.find
        self.matches = self._inner.matches
        self.replace = self._inner.replace

    def search(self, table: Table, level: Level | None = None, key: str | None = None) -> Found | None:
        """Return where a pattern matches a value, of all levels and keys or of one, or ``None`` for a foreign table.

        Looked at are attributes of resources, scopes, items and span events, and bodies of log records.
        """
        if not isinstance(table, self._table):
            return None
        places, hidden, bodies = self._inner.search(table, level, key)
        return Found(
            [Place(_LEVELS[place[0]], *place[1:]) for place in places],
            [(_LEVELS[at], row) for at, row in hidden],
            bodies,
        )


class Keys(Protocol):
    """What is known of keys, so that most need no look."""

    def is_ignored(self, name: str) -> bool:
        """Whether an attribute, or a part of one (``attribute.key``), is not to be looked at."""

    def is_clean(self, key: str) -> bool:
        """Whether it is known that nothing is in a key itself."""


class Text(NamedTuple):
    """A string of a request, or what may be one. Fields are told by their place in :attr:`Texts.frames`."""

    frame: int
    name: str
    """Key of the attribute that it lies in; ``name``, ``status.message``, ``event.name`` or ``body`` otherwise."""
    owner: int
    """The message whose attributes are beside it."""
    item: int | None
    event: int | None
    field: int | None
    """What goes if the attribute or the body goes."""
    is_key: bool
    is_bytes: bool
    number: int | None
    """The number that it is, if it is no text."""


class Texts(NamedTuple):
    """Where texts of a request lie."""

    frames: list[tuple[int | None, int, int, int, int]]
    """Fields with a length: parent, tag, where the field begins, where its content begins and stops."""
    found: list[Text]
    """In wire order."""


def texts(signal: Signal, data: bytes, ends: Sequence[int], keys: Keys) -> Texts | None:
    """Return the texts in which the bytes before the ascending offsets ``ends`` lie.

    A hit in a key brings the texts of its value too, one in an event all of its texts. ``None`` where the codec is
    not native, or for irregular bytes: ``untrace_plugins.processors.redaction.content.walk`` does the same in Python.
    """
    search = _texts() if native.codec().is_native else None
    found = search(signal.value, data, ends, keys) if search is not None else None
    return None if found is None else Texts(found[0], [Text(*text) for text in found[1]])


def _texts() -> Any:
    """Return the function; distributions of the same interface may be older than it."""
    return getattr(import_module("untrace_pipeline_native"), "texts", None)
