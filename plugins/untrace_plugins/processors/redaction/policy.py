"""What happens to one map of attributes or one log body: the rules of the Collector's redaction processor.

Each function takes values and returns what changes; nothing given is altered.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping

from untrace_pipeline.data import Searcher, Value
from untrace_plugins.processors.redaction.config import HashFunction, RedactionConfig, Summary
from untrace_plugins.processors.redaction.confirm import Pattern
from untrace_plugins.processors.redaction.mask import STARS, make_mask
from untrace_plugins.processors.redaction.summary import OWN_KEYS, Changes, Notes, annotate
from untrace_plugins.processors.redaction.text import as_string
from untrace_plugins.scanning.scanner import Candidates, Scanner

__all__ = ["Policy"]

_NONE: Candidates = {}
_KNOWN_KEYS = 10_000
"""How many keys are remembered with their fate; keys beyond it are decided on each time."""


class _Fate(enum.Enum):
    IGNORE = enum.auto()
    REMOVE = enum.auto()
    MASK = enum.auto()
    CHECK = enum.auto()


class Policy:
    """The configured rules. ``scanner`` finds candidates for ``value_patterns(config)``, in that order.

    ``searcher``, where there is one, is made of the blocked values and replaces what they match; ``finder``, of the
    same patterns as the scanner, says where they do match.
    """

    def __init__(
        self,
        config: RedactionConfig,
        scanner: Scanner,
        searcher: Searcher | None = None,
        finder: Searcher | None = None,
    ) -> None:
        self._config = config
        self._scanner = scanner
        self._searcher = searcher
        self._finder = finder if searcher is not None else None
        self._mask = make_mask(config)
        self._stars = STARS if config.hash_function is HashFunction.NONE else None
        self._blocked = [Pattern(text) for text in config.blocked_values]
        self._allowed = [Pattern(text) for text in config.allowed_values]
        # After a pattern masked something, can one behind it match what it could not match before? Not if none of their
        # matches contains a star: then each lies between masks, where the first scan found it.
        settled = [config.hash_function is HashFunction.NONE and pattern.stops_at("*") for pattern in self._blocked]
        self._rescan = [not all(settled[number + 1 :]) for number in range(len(settled))]
        self._blocked_keys = [Pattern(text) for text in config.blocked_key_patterns]
        self._ignored_keys = [Pattern(text) for text in config.ignored_key_patterns]
        self._fates: dict[str, _Fate] = {}
        self._kept = {*config.allowed_keys, *OWN_KEYS}
        self._summary = config.summary is not Summary.SILENT

    def attributes(self, found: Mapping[str, Value], notes: Notes) -> Changes:
        """Return what changes in a map of attributes, summary included; ``notes`` tells what was done."""
        keys: list[str] = []
        texts: list[bytes] = []
        masked_keys: list[int] = []
        for key, value in found.items():
            fate = self._fates.get(key) or self._fate(key)
            if fate is _Fate.IGNORE:
                notes.ignored.append(key)
            elif fate is _Fate.REMOVE:
                notes.redacted.append(key)
            else:
                if fate is _Fate.MASK:
                    masked_keys.append(len(keys))
                keys.append(key)
                texts.append(value.encode("utf-8", "replace") if value.__class__ is str else self._text(value))
        changes: Changes = dict.fromkeys(notes.redacted)
        self._check(keys, texts, masked_keys, notes, changes)
        if self._summary:
            annotate(self._config.summary, notes, found, changes, "redaction.")
        return changes

    def text(self, key: str | None, text: bytes, candidates: Candidates = _NONE) -> str | None:
        """Return the new value of a string attribute, or of a log body (no key), or ``None`` if it stays as it is.

        For policies without blocked keys and without a summary. ``candidates`` are not needed with a searcher.
        """
        if key is not None and (self._fates.get(key) or self._fate(key)) is _Fate.IGNORE:
            return None
        if self._allowed and self._is_allowed(text):
            return None
        new = self._masked(text, candidates)
        return None if new == text else new.decode()

    def body(self, value: Value) -> tuple[Value, Notes]:
        """Return the body of a log record as it should be (the same object if nothing changes), and what was done."""
        notes = Notes()
        if isinstance(value, dict):
            return self._map(value, "", notes), notes
        if isinstance(value, list):
            return self._list(value, "", notes), notes
        changed = self._leaf(value, "body", notes)
        if notes.allowed:
            return value, Notes()  # the Collector leaves no summary then
        return changed, notes

    # ------------------------------------------------------------------- keys

    def _fate(self, key: str) -> _Fate:
        config, text = self._config, _utf8(key)
        if key in config.ignored_keys or any(pattern.matches(text) for pattern in self._ignored_keys):
            fate = _Fate.IGNORE
        elif not config.keeps_all_keys and key not in self._kept:
            fate = _Fate.REMOVE
        elif any(pattern.matches(text) for pattern in self._blocked_keys):
            fate = _Fate.MASK
        else:
            fate = _Fate.CHECK
        if len(self._fates) < _KNOWN_KEYS:
            self._fates[key] = fate
        return fate

    # ----------------------------------------------------------------- values

    def _text(self, value: Value) -> bytes:
        if isinstance(value, str):
            return _utf8(value)
        return _utf8(as_string(value)) if self._config.redact_all_types else b""

    def _check(
        self, keys: list[str], texts: list[bytes], masked_keys: list[int], notes: Notes, changes: Changes
    ) -> None:
        """Mask values whose key is blocked, and what is blocked in the others."""
        candidates: Mapping[int, Candidates] = {}
        whole = set(masked_keys)
        places: Iterable[int]
        if self._finder is not None:
            matches = self._finder.matches
            places = [place for place, text in enumerate(texts) if place in whole or matches(text)]
        else:
            candidates = self._scanner.candidates_in(texts)
            places = range(len(texts)) if self._scanner.unscanned else sorted({*candidates, *whole})
        for place in places:
            key, text = keys[place], texts[place]
            if self._is_allowed(text):
                notes.allowed.append(key)
            elif place in whole:
                notes.masked.append(key)
                changes[key] = self._each_line(text).decode()
            else:
                new = self._masked(text, candidates.get(place, _NONE))
                if new != text:
                    notes.masked.append(key)
                    changes[key] = new.decode()

    def _each_line(self, text: bytes) -> bytes:
        """Mask a value as a whole: the Collector replaces what ``.*`` matches, which is each line on its own."""
        return b"\n".join([self._mask(line) for line in text.split(b"\n")])

    def _is_allowed(self, text: bytes) -> bool:
        return any(pattern.matches(text) for pattern in self._allowed)

    def _masked(self, text: bytes, candidates: Candidates) -> bytes:
        """Apply the patterns one after the other; each sees what those before it left."""
        if self._searcher is not None:
            return self._searcher.replace(text, self._stars or self._mask)
        unscanned = self._scanner.unscanned
        growth = 0
        for number, pattern in enumerate(self._blocked):
            if number in candidates or number in unscanned:
                until = candidates.get(number)
                new = pattern.replace(text, self._mask, None if until is None else until + growth)
                if new is text:
                    continue
                if self._rescan[number]:
                    candidates, growth = self._scanner.candidates(new), 0
                else:
                    growth += max(0, len(new) - len(text))
                text = new
        return text

    # ----------------------------------------------------------------- bodies

    def _map(self, value: dict[str, Value], path: str, notes: Notes) -> Value:
        """Return a map within a body, itself if nothing changes."""
        new: dict[str, Value] = {}
        for key, inner in value.items():
            place = f"{path}.{key}" if path else key
            fate = self._fates.get(key) or self._fate(key)
            if fate is _Fate.IGNORE:
                notes.ignored.append(place)
                new[key] = inner
            elif fate is _Fate.REMOVE:
                notes.redacted.append(place)
            elif fate is _Fate.MASK:
                notes.masked.append(place)
                text = _utf8(inner) if isinstance(inner, str) else b""
                new[key] = self._each_line(text).decode()
            else:
                new[key] = self._nested(inner, place, notes)
        unchanged = len(new) == len(value) and all(new[key] is inner for key, inner in value.items())
        return value if unchanged else new

    def _list(self, value: list[Value], path: str, notes: Notes) -> Value:
        places = (f"{path}.[{i}]" if path else f"[{i}]" for i in range(len(value)))
        new = [self._nested(inner, place, notes) for inner, place in zip(value, places, strict=True)]
        return value if all(a is b for a, b in zip(new, value, strict=True)) else new

    def _nested(self, value: Value, path: str, notes: Notes) -> Value:
        if isinstance(value, dict):
            return self._map(value, path, notes)
        if isinstance(value, list):
            return self._list(value, path, notes)
        return self._leaf(value, path, notes)

    def _leaf(self, value: Value, path: str, notes: Notes) -> Value:
        """Return a value within a body; whatever its type, its text is checked."""
        text = _utf8(as_string(value))
        candidates = _NONE
        if self._finder is not None:
            if not self._finder.matches(text):
                return value
        else:
            candidates = self._scanner.candidates(text)
            if not candidates and not self._scanner.unscanned:
                return value
        if self._is_allowed(text):
            notes.allowed.append(path)
            return value
        new = self._masked(text, candidates)
        if new == text:
            return value
        notes.masked.append(path)
        return new.decode()


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")
