"""Finds where patterns may match, in raw requests and in lists of values, much faster than matching them.

A scanner is made of patterns in RE2's syntax and never misses one: it finds at least every value that they match. What
it finds still has to be confirmed (``confirm.py``). Hyperscan where it is installed, RE2 elsewhere.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from importlib import import_module
from itertools import accumulate
from typing import Any, Protocol, TypeAlias

import re2

from untrace_plugins.scanning.relax import relax
from untrace_plugins.scanning.syntax import UnsupportedError

__all__ = ["Candidates", "Hit", "Scanner", "Suspects", "shared_scanner"]

Ranges: TypeAlias = tuple[Sequence[int], Sequence[int]]
"""Start and end of each item in a request, ascending."""

Hit: TypeAlias = tuple[int, int]
"""Offset at which a match ends, and the number of the pattern that may match there."""

Candidates: TypeAlias = Mapping[int, int]
"""The patterns that may match a text, each with an offset: none of its matches begins there or behind it."""

_HITS_BASE, _BYTES_PER_HIT = 1024, 64
"""A request with more hits than the base plus one per so many bytes is suspect everywhere: each hit is a call into
Python, and looking at every value is cheaper then."""
_SEPARATOR = b"\0"
_MAX_MEM = 64 << 20
"""Bytes that RE2 may use for one pattern; its default is too small for long lists of words."""


@dataclass(slots=True)
class Suspects:
    """Where in a request something may match."""

    items: Mapping[int, Sequence[Hit]] = field(default_factory=dict)
    """The hits in each suspect item, ascending by end; an item without hits is suspect as a whole."""
    outside: bool = False
    """Whether something may match outside of the items: in a resource or a scope."""

    def __bool__(self) -> bool:
        return self.outside or bool(self.items)


class Scanner:
    """Looks for several patterns at once. Not for use from several threads.

    Patterns are compiled when the scanner is first used: it takes megabytes, and with the native codec few requests
    need it.
    """

    def __init__(self, patterns: Sequence[str], *, use_hyperscan: bool = True) -> None:
        self._patterns = tuple(patterns)
        self._use_hyperscan = use_hyperscan

    @cached_property
    def unscanned(self) -> dict[int, str]:
        """The patterns that cannot be looked for and may match anywhere: number and reason."""
        return self._compiled[0]

    @cached_property
    def _engine(self) -> _Engine:
        return self._compiled[1]

    @cached_property
    def _compiled(self) -> tuple[dict[int, str], _Engine]:
        unscanned: dict[int, str] = {}
        relaxed: dict[int, bytes] = {}
        for number, pattern in enumerate(self._patterns):
            try:
                relaxed[number] = relax(pattern)
            except UnsupportedError as error:
                unscanned[number] = str(error)
        with_hyperscan = self._use_hyperscan and _hyperscan() is not None
        return unscanned, _engine_of(_Hyperscan if with_hyperscan else _Re2, relaxed, unscanned)

    @property
    def engine(self) -> str:
        """Name of the library that scans."""
        return self._engine.name

    def suspects(self, data: bytes, ranges: Callable[[], Ranges]) -> Suspects:
        """Return where in a request a scanned pattern may match a value.

        ``ranges`` gives start and end of each item; it is asked only if something is found.
        """
        return self._engine.suspects(data, ranges)

    def candidates(self, text: bytes) -> Candidates:
        """Return which scanned patterns may match a text."""
        return self._engine.candidates(text)

    def candidates_in(self, texts: Sequence[bytes]) -> Mapping[int, Candidates]:
        """Return the same for several texts at once, by place in ``texts``, for those that have any."""
        return self._engine.candidates_in(texts)

    def hits(self, data: bytes) -> Sequence[Hit] | None:
        """Return where scanned patterns match a text, in any order; ``None`` if nobody knows where, or too often."""
        return self._engine.hits(data)


@lru_cache(maxsize=32)
def shared_scanner(patterns: tuple[str, ...], *, use_hyperscan: bool = True) -> Scanner:
    """Return one scanner for all who look for the same patterns: all pipelines, and what a reload makes anew."""
    return Scanner(patterns, use_hyperscan=use_hyperscan)


class _Engine(Protocol):
    name: str

    def suspects(self, data: bytes, ranges: Callable[[], Ranges]) -> Suspects: ...

    def candidates(self, text: bytes) -> Candidates: ...

    def candidates_in(self, texts: Sequence[bytes]) -> Mapping[int, Candidates]: ...

    def hits(self, data: bytes) -> Sequence[Hit] | None: ...


class _NoEngine:
    """Nothing to look for."""

    name = "none"

    def suspects(self, data: bytes, ranges: Callable[[], Ranges]) -> Suspects:
        return Suspects()

    def candidates(self, text: bytes) -> Candidates:
        return {}

    def candidates_in(self, texts: Sequence[bytes]) -> Mapping[int, Candidates]:
        return {}

    def hits(self, data: bytes) -> Sequence[Hit]:
        return ()


class _Hyperscan:
    """Reports the end of every match of every pattern in one pass; without starts, which would cost tenfold."""

    name = "hyperscan"

    def __init__(self, patterns: Mapping[int, bytes]) -> None:
        self._numbers = list(patterns)
        self._database = _database(patterns)
        self._terminated: type[Exception] = _hyperscan().ScanTerminated

    def suspects(self, data: bytes, ranges: Callable[[], Ranges]) -> Suspects:
        hits = self.hits(data)
        if hits is None:
            return Suspects(dict.fromkeys(range(len(ranges()[0])), ()), outside=True)
        if not hits:
            return Suspects()
        starts, stops = ranges()
        items: dict[int, list[Hit]] = {}
        outside = False
        hits.sort()
        for hit in hits:
            # A match has at least one byte, so its last byte lies in the value that it matches.
            item = bisect_right(starts, hit[0] - 1) - 1
            if item < 0 or hit[0] > stops[item]:
                outside = True
            else:
                items.setdefault(item, []).append(hit)
        return Suspects(items, outside)

    def candidates(self, text: bytes) -> Candidates:
        found: dict[int, int] = {}
        self._database.scan(text, match_event_handler=_note_last, context=found)
        return found

    def candidates_in(self, texts: Sequence[bytes]) -> Mapping[int, Candidates]:
        hits = self.hits(_SEPARATOR.join(texts))
        if hits is None:
            return {place: dict.fromkeys(self._numbers, len(text)) for place, text in enumerate(texts)}
        if not hits:
            return {}
        starts = [0, *accumulate([len(text) + 1 for text in texts])]
        found: dict[int, dict[int, int]] = {}
        hits.sort()
        for end, number in hits:
            # What ends on a separator crossed it; then the text before it is looked at for nothing.
            place = bisect_right(starts, end - 1) - 1
            found.setdefault(place, {})[number] = end - starts[place]
        return found

    def hits(self, data: bytes) -> list[Hit] | None:
        hits: list[Hit] = []
        limit = _HITS_BASE + len(data) // _BYTES_PER_HIT

        def note(number: int, _start: int, end: int, _flags: int, _context: object) -> bool:
            hits.append((end, number))
            return len(hits) > limit

        try:
            self._database.scan(data, match_event_handler=note)
        except self._terminated:
            return None
        return hits


class _Re2:
    """Asks item by item and value by value whether any pattern matches: about four times slower than Hyperscan.

    One alternation instead of RE2's ``Set``: when memory for its automaton runs short, a ``Set`` reports no match,
    while a single pattern falls back to a slower search.
    """

    name = "re2"

    def __init__(self, patterns: Mapping[int, bytes]) -> None:
        self._numbers = list(patterns)
        self._search = _alternation(patterns).search

    def suspects(self, data: bytes, ranges: Callable[[], Ranges]) -> Suspects:
        search = self._search
        if not search(data):
            return Suspects()
        places = enumerate(zip(*ranges(), strict=True))
        return Suspects({item: () for item, (start, stop) in places if search(data, start, stop)}, outside=True)

    def candidates(self, text: bytes) -> Candidates:
        return dict.fromkeys(self._numbers, len(text)) if self._search(text) else {}

    def candidates_in(self, texts: Sequence[bytes]) -> Mapping[int, Candidates]:
        return {
            place: dict.fromkeys(self._numbers, len(text)) for place, text in enumerate(texts) if self._search(text)
        }

    def hits(self, data: bytes) -> Sequence[Hit] | None:
        return None if self._search(data) else ()


def _note_last(number: int, _start: int, end: int, _flags: int, found: dict[int, int]) -> None:
    if end > found.get(number, 0):
        found[number] = end


@cache
def _hyperscan() -> Any:
    """Return the library, or ``None`` where it has no wheel for the platform; loaded when it is needed."""
    try:
        return import_module("hyperscan")
    except ImportError:
        return None


def _database(patterns: Mapping[int, bytes]) -> Any:
    hyperscan = _hyperscan()
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(expressions=list(patterns.values()), ids=list(patterns), flags=[0] * len(patterns))
    return database


def _alternation(patterns: Mapping[int, bytes]) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.never_capture = True
    options.log_errors = False
    options.max_mem = _MAX_MEM
    return re2.compile(b"|".join(patterns.values()), options)


def _engine_of(
    engine: Callable[[Mapping[int, bytes]], _Engine], patterns: Mapping[int, bytes], failed: dict[int, str]
) -> _Engine:
    """Return an engine of all patterns that it can compile, and note why it cannot compile the others."""
    hyperscan = _hyperscan()
    errors = (re2.error, hyperscan.error) if hyperscan is not None else re2.error
    if not patterns:
        return _NoEngine()
    try:
        return engine(patterns)
    except errors:  # some pattern alone, or all of them together
        compilable = {}
        for number, pattern in patterns.items():
            try:
                engine({number: pattern})
            except errors as error:
                failed[number] = f"cannot be compiled for scanning: {error}"
            else:
                compilable[number] = pattern
    return engine(compilable) if compilable else _NoEngine()
