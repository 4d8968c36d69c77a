"""What is in one text: findings of the detectors that are allowed to be found, and where they can be treated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from untrace_pipeline.api import Finding
from untrace_plugins.detectors.detector_set import DetectorSet
from untrace_plugins.processors.redaction.confirm import Pattern
from untrace_plugins.processors.redaction.content.bulk import blanked
from untrace_plugins.processors.redaction.content.clean_texts import CleanTexts
from untrace_plugins.processors.redaction.content.known_keys import KnownKeys
from untrace_plugins.texts.leaves import Part, Span, parts

__all__ = ["Found", "Place", "Search"]

_SHORT = 512
"""Characters up to which the key is told with a value: ``123-45-6789`` beside ``ssn``."""
_DOCUMENT = ("{", "[", '"')


class Place(NamedTuple):
    """A finding, or one of several parts of it."""

    part: Part
    finding: Finding
    value: str | None = None
    """What was found, where it is not what stands at the part: of a value that was cut, all of it at the first part and
    "" at the others."""


class Found(NamedTuple):
    """What is in a text."""

    places: list[Place]
    """In order, without overlaps."""
    failures: dict[str, str]
    """Detectors that failed on the text, and how."""


class Search:
    """Detectors, and patterns of what may stay.

    Answers for the same text are kept for one request; that there is nothing in it, as long as there is room.
    """

    def __init__(self, detectors: DetectorSet, allowed: Sequence[Pattern], keys: KnownKeys, *, whose: bool) -> None:
        self._detectors = detectors
        self._failures: dict[str, str] = {}
        self._allowed = allowed
        self._keys = keys
        self._whose = whose
        self._clean = CleanTexts()
        self._known: dict[tuple[str, str], Found] = {}

    def forget(self) -> None:
        """Forget the texts."""
        self._known.clear()

    def look_at_key(self, key: str) -> Found:
        """Return what is in a key of an attribute."""
        found = self.look(key, "")
        if not found.places and not found.failures:
            self._keys.note_clean(key)
        return found

    def look(self, text: str, key: str) -> Found:
        """Return what is in a text, the value of an attribute with that key ("" for what is none)."""
        context = f"{key}: " if key and len(text) <= _SHORT and not text.startswith(_DOCUMENT) else ""
        if self._clean.has(context, text):
            return Found([], {})
        found = self._known.get((context, text))
        if found is None:
            found = self._known[context, text] = self._look(text, context)
            if not found.places and not found.failures:
                self._clean.note(context, text)
        return found

    def find(self, text: str) -> list[Finding]:
        """Return findings in a text that may not stay."""
        found = self._detectors.find(text, self._note)
        return [finding for finding in found if not self._may_stay(text[finding.start : finding.end])]

    def _note(self, detector: str, error: Exception) -> None:
        self._failures[detector] = type(error).__name__

    def failed(self) -> dict[str, str]:
        """Return the detectors that failed since this was last asked, and how."""
        failures, self._failures = self._failures, {}
        return failures

    def _look(self, text: str, context: str) -> Found:
        shift = len(context)
        findings = [
            finding._replace(start=max(finding.start - shift, 0), end=finding.end - shift)
            for finding in self.find(context + blanked(text))
            if finding.end > shift
        ]
        spans = [Span(finding.start, finding.end, number) for number, finding in enumerate(findings)]
        found = parts(text, spans, to_the_end=self._whose) if spans else []
        return Found([Place(part, findings[part.number]) for part in found], self.failed())

    def _may_stay(self, value: str) -> bool:
        return bool(self._allowed) and any(
            pattern.matches(value.encode("utf-8", "replace")) for pattern in self._allowed
        )
