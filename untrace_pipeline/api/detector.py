"""Detectors of personal data and secrets: plugins that say where in a text something is that must not leave."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import NamedTuple, Protocol, runtime_checkable

from untrace_pipeline.errors import PluginError

__all__ = ["DETECTOR_GROUP", "Detector", "Finding", "installed_detectors", "load_detector"]

DETECTOR_GROUP = "untrace_pipeline.detectors"
"""Entry-point group; an entry names an object that is a :class:`Detector`, and is called as that detector is."""


class Finding(NamedTuple):
    """Something found in a text."""

    start: int
    """Offset of its first code point."""
    end: int
    """Offset behind its last code point; larger than ``start``."""
    type: str
    """What it is, in upper case: ``EMAIL``, ``CREDIT_CARD`` … Replacements are named after it."""
    detector: str
    """Name of the detector that found it. Policies are chosen by it."""


@runtime_checkable
class Detector(Protocol):
    """Finds one kind of data.

    It has no state that a call changes, does no I/O, and takes time that grows linearly with the text whatever the text
    is: patterns are RE2's or scanned by hand. Importing it is cheap; what is heavy it loads when it is first asked.
    """

    name: str
    """As written in the configuration: ``email``."""

    prefilter: Sequence[str]
    """Patterns in RE2's syntax, at least one of which matches in every text in which something is found.

    They decide what a text without findings costs: all are looked for in one pass over raw bytes. The rarer they match
    the better; assertions (``^``, ``$``, ``\\b``) in them hold for nothing. A pattern that matches the empty string, or
    ``(?s:.)``, means: look at every text.
    """

    def find(self, text: str) -> Iterable[Finding]:
        """Return what is in the text, in any order; findings may overlap.

        The text was made readable before: JSON escapes, ``%40``, ``&#64;``, full width and invisible characters are
        what they stand for. Texts have any length. The whole text is given, so context may be looked at.
        """
        ...


def installed_detectors() -> list[str]:
    """Return the names of the installed detectors, sorted. Nothing is imported."""
    return sorted(_points())


def load_detector(name: str) -> Detector:
    """Import and return an installed detector.

    Raises ``KeyError`` if there is none of that name, and :class:`PluginError` if it cannot be imported, is no
    detector, or calls itself something else.
    """
    point = _points()[name]
    try:
        detector = point.load()
    except Exception as error:
        msg = f"detector {name} cannot be loaded from {point.value}: {type(error).__name__}: {error}"
        raise PluginError(msg) from error
    if not isinstance(detector, Detector) or detector.name != name:
        msg = f"detector {name}: {point.value} is no detector of that name"
        raise PluginError(msg)
    return detector


@cache
def _points() -> dict[str, EntryPoint]:
    """Return the entry points by name; the environment is read once."""
    return {point.name: point for point in entry_points(group=DETECTOR_GROUP)}
