"""Keys of attributes come again with every request: what was found out about them is remembered."""

from __future__ import annotations

from untrace_plugins.processors.redaction.config import RedactionConfig
from untrace_plugins.processors.redaction.confirm import Pattern
from untrace_plugins.processors.redaction.content.names import IDENTIFIERS

__all__ = ["KnownKeys"]

_KNOWN_KEYS = 10_000
"""How many keys are remembered; those beyond are looked at each time."""


class KnownKeys:
    """Which keys are ignored, and which are known to hold nothing."""

    def __init__(self, config: RedactionConfig) -> None:
        self._keys = config.ignored_keys
        self._patterns = [Pattern(text) for text in config.ignored_key_patterns]
        self._ignored: dict[str, bool] = {}
        self._clean: set[str] = set()

    def is_ignored(self, name: str) -> bool:
        """Whether an attribute, or a part of one (``attribute.key``), is not to be looked at."""
        known = self._ignored.get(name)
        if known is None:
            known = name in IDENTIFIERS or self._is_configured(name)
            if len(self._ignored) < _KNOWN_KEYS:
                self._ignored[name] = known
        return known

    def is_clean(self, key: str) -> bool:
        """Whether it is known that nothing is in a key itself."""
        return key in self._clean

    def note_clean(self, key: str) -> None:
        """Remember that nothing is in a key."""
        if len(self._clean) < _KNOWN_KEYS:
            self._clean.add(key)

    def _is_configured(self, name: str) -> bool:
        if any(name == key or name.startswith(f"{key}.") for key in self._keys):
            return True
        text = name.encode("utf-8", "replace")
        return any(pattern.matches(text) for pattern in self._patterns)
