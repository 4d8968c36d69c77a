"""Several detectors over one text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any

import re2

from untrace_pipeline.api import Detector, Finding
from untrace_plugins.detectors.numbers import Narrowed
from untrace_plugins.detectors.readable import TRIGGERS, as_it_is, readable
from untrace_plugins.scanning.scanner import Hit, shared_scanner

__all__ = ["DetectorSet", "OnError"]

OnError = Callable[[str, Exception], None]
"""Takes the name of a detector that raised, and what it raised."""

_MAX_MEM = 64 << 20
"""Bytes for the automaton of all narrow patterns; what a few short lines need is a hundredth of it."""
_AROUND = 64
"""Bytes around a hit of a shared prefilter in which the patterns of those who share it are looked for."""


class DetectorSet:
    """Looks for what any of its detectors finds. Earlier ones have precedence. Not for use from several threads.

    A text is scanned once for the prefilters of all; a detector looks at it only where its own match. Patterns are
    compiled by the first ``find``, also of "": it takes some tenths of a second.
    """

    def __init__(
        self, detectors: Sequence[Detector], triggers: Sequence[str] = (), *, use_hyperscan: bool = True
    ) -> None:
        """Take detectors, and patterns of what whoever scans requests wants to know of besides."""
        self._detectors = tuple(detectors)
        self._rank = {detector.name: rank for rank, detector in enumerate(self._detectors)}
        owners: dict[str, set[int]] = {}
        for number, detector in enumerate(self._detectors):
            for pattern in detector.prefilter:
                owners.setdefault(pattern, set()).add(number)
        self.prefilter: tuple[str, ...] = (*owners, *TRIGGERS, *triggers)
        """Patterns in RE2's syntax: a text, as it lies in a request, in which none of them matches has no finding."""
        self._first_trigger = len(owners)
        self._owners: list[set[int]] = [*owners.values(), *(set[int]() for _ in (*TRIGGERS, *triggers))]
        self._scanner = shared_scanner(self.prefilter, use_hyperscan=use_hyperscan)
        self._narrow = _Narrow(self._detectors)
        self._owners_of = lru_cache(maxsize=1024)(self._find_owners)  # few combinations make up nearly all texts

    def ends(self, data: bytes) -> Sequence[int] | None:
        """Return the ascending offsets in a request at which prefilters match; ``None`` if that may be anywhere."""
        hits = None if self._scanner.unscanned else self._scanner.hits(data)
        return None if hits is None else sorted({end for end, _ in hits})

    def find(self, text: str, on_error: OnError | None = None) -> list[Finding]:
        """Return what was found, in order and without overlap, in offsets of this text.

        What overlaps becomes one finding with type and detector of the highest rank, so that nothing found remains.
        A detector that raises is told to ``on_error`` and the others go on; without it the exception goes up.
        """
        data = text.encode("utf-8", "replace")
        hits = self._scanner.hits(data)
        if hits is not None and not hits and not self._scanner.unscanned:
            return []
        form = readable(text) if hits is None or self._is_unusual(text, hits) else as_it_is(text)
        if form.text is not text:
            data = form.text.encode()
            hits = self._scanner.hits(data)
        found: list[Finding] = []
        for number in self._wanted(data, hits):
            detector = self._detectors[number]
            try:
                found += detector.find(form.text)
            except Exception as error:
                if on_error is None:
                    raise
                on_error(detector.name, error)
        merged = self._merged(found)
        if form.text is text:
            return merged
        return [form.original(finding) for finding in merged]

    def _is_unusual(self, text: str, hits: Sequence[Hit]) -> bool:
        """Whether a text may have escapes or odd characters; making its readable form costs more than all else."""
        return not text.isascii() or "\\" in text or any(number >= self._first_trigger for _, number in hits)

    def _wanted(self, data: bytes, hits: Sequence[Hit] | None) -> list[int]:
        """Return the detectors that have to look at a text, by rank."""
        if hits is None:
            return sorted({*range(len(self._detectors))} - self._narrow.numbers | self._narrow.matching(data))
        wanted, shared, sharing = self._owners_of(frozenset([pattern for _, pattern in hits]))
        if shared:
            ends = sorted({end for end, pattern in hits if pattern in sharing})
            wanted -= shared - self._narrow.matching(_around(data, ends))
        return sorted(wanted)

    def _find_owners(self, patterns: frozenset[int]) -> tuple[frozenset[int], frozenset[int], frozenset[int]]:
        """Return the detectors of patterns, those of them that share theirs with others, and the patterns."""
        owned = {pattern: self._owners[pattern] for pattern in patterns.union(self._scanner.unscanned)}
        wanted = frozenset[int]().union(*owned.values())
        shared = wanted & self._narrow.numbers
        return wanted, shared, frozenset(pattern for pattern, owners in owned.items() if owners & shared)

    def _merged(self, found: Iterable[Finding]) -> list[Finding]:
        merged: list[Finding] = []
        for finding in sorted(found, key=attrgetter("start")):
            if merged and finding.start < merged[-1].end:
                other = merged[-1]
                best = min(other, finding, key=lambda one: self._rank[one.detector])
                merged[-1] = best._replace(start=other.start, end=max(other.end, finding.end))
            else:
                merged.append(finding)
        return merged


class _Narrow:
    """Which of the detectors that share a prefilter have a pattern that matches, in one pass over a short text."""

    def __init__(self, detectors: Sequence[Detector]) -> None:
        narrowed = {
            number: one.narrow for number, one in enumerate(detectors) if isinstance(one, Narrowed) and one.narrow
        }
        self.numbers = frozenset(narrowed)
        self._owners = [number for number, patterns in narrowed.items() for _ in patterns]
        options = re2.Options()
        options.max_mem = _MAX_MEM
        self._set: Any = re2.Set.SearchSet(options)
        for patterns in narrowed.values():
            for pattern in patterns:
                self._set.Add(pattern)
        self._set.Compile()

    def matching(self, data: bytes) -> set[int]:
        """Return the numbers of those detectors."""
        return {self._owners[index] for index in self._set.Match(data) or ()}


def _around(data: bytes, ends: Sequence[int]) -> bytes:
    """Return the parts of a text around these offsets, with a line break between them."""
    parts: list[bytes] = []
    begin = stop = 0
    for end in ends:
        if end - _AROUND > stop:
            parts.append(data[begin:stop])
            begin = end - _AROUND
        stop = end + _AROUND
    parts.append(data[begin:stop])
    return b"\n".join(parts)
