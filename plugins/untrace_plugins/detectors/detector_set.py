"""Several detectors over one text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter

from untrace_pipeline.api import Detector, Finding
from untrace_plugins.detectors.readable import TRIGGERS, readable
from untrace_plugins.scanning.scanner import Scanner

__all__ = ["DetectorSet", "OnError"]

OnError = Callable[[str, Exception], None]
"""Takes the name of a detector that raised, and what it raised."""


class DetectorSet:
    """Looks for what any of its detectors finds. Earlier ones have precedence. Not for use from several threads.

    A text is scanned once for the prefilters of all; a detector looks at it only where its own match.
    """

    def __init__(self, detectors: Sequence[Detector]) -> None:
        self._detectors = tuple(detectors)
        self._rank = {detector.name: rank for rank, detector in enumerate(self._detectors)}
        owners: dict[str, list[int]] = {}
        for number, detector in enumerate(self._detectors):
            for pattern in detector.prefilter:
                owners.setdefault(pattern, []).append(number)
        self.prefilter: tuple[str, ...] = (*owners, *TRIGGERS)
        """Patterns in RE2's syntax: a text, as it lies in a request, in which none of them matches has no finding."""
        self._owners = [*owners.values(), *([] for _ in TRIGGERS)]
        self._scanner = Scanner(self.prefilter)

    def find(self, text: str, on_error: OnError | None = None) -> list[Finding]:
        """Return what was found, in order and without overlap, in offsets of this text.

        What overlaps becomes one finding with type and detector of the highest rank, so that nothing found remains.
        A detector that raises is told to ``on_error`` and the others go on; without it the exception goes up.
        """
        if not self._scanner.matching(text.encode("utf-8", "replace")):
            return []
        form = readable(text)
        numbers = self._wanted(form.text)
        found: list[Finding] = []
        for number in numbers:
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
        return [
            finding._replace(start=span[0], end=span[1]) for finding in merged for span in [form.original(*finding[:2])]
        ]

    def _wanted(self, text: str) -> list[int]:
        """Return the detectors whose prefilters match, by rank."""
        patterns = self._scanner.matching(text.encode())
        return sorted({number for pattern in patterns for number in self._owners[pattern]})

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
