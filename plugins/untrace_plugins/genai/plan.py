"""What the keys of a span say about reading it, found once for all spans that have the same.

Most spans of the convention's own instrumentations are in the form already, or but for a word. There each attribute
speaks for itself, and only what differs is written down.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from untrace_pipeline.data.fields import Value
from untrace_plugins.genai import names
from untrace_plugins.genai.dialects import OTEL_GENAI, Dialect, spoken
from untrace_plugins.genai.dialects.otel import CANONICAL, VERSIONS
from untrace_plugins.genai.reading import UNREADABLE, numbered
from untrace_plugins.genai.values import Convert, boolean, integer, json_text, text

__all__ = ["Plan", "plan"]

_TYPES: Final[Mapping[Convert, type]] = {text: str, json_text: str, boolean: bool, integer: int}
"""Converters that leave everything alone that has a type; integers are within 64 bits, as the protocol has them."""
_MOST_PLANS: Final = 512
_MOST_KEYS: Final = 256
_MOST_CHARACTERS: Final = 16_384
"""What is remembered: a few megabytes, and never more than some 25, whatever keys strangers make up."""
_PLANS: Final[dict[tuple[tuple[str, ...], tuple[Dialect, ...]], Plan]] = {}
_COUNTED: Final = frozenset({*names.USAGE, names.USAGE_COST})
_PARTS: Final = (names.USAGE_CACHE_READ, names.USAGE_CACHE_CREATION)


class Plan:
    """How spans with certain keys are read."""

    __slots__ = ("_alone", "_converts", "_operations", "_parts", "_types", "dialects", "numbered", "order", "renamed")

    def __init__(self, keys: tuple[str, ...], among: tuple[Dialect, ...]) -> None:
        self.dialects = spoken(keys, among)
        """The dialects that they speak."""
        self.order = sorted(self.dialects, key=lambda dialect: dialect is not OTEL_GENAI)
        """The same as they are read: the convention first, then as they are listed."""
        self.numbered = numbered(keys)
        self.renamed = [
            (key, *table[key]) for table in VERSIONS.values() for key in filter(frozenset(keys).__contains__, table)
        ]
        """Old names of the convention among the keys, their names of today, and how values are converted."""
        self._alone = (
            self.dialects == (OTEL_GENAI,)
            and names.OPERATION in keys
            and _COUNTED.isdisjoint(canonical for _, canonical, _ in self.renamed)
        )
        converts = {key: CANONICAL[key] for key in keys if key in CANONICAL}
        self._types = [(key, _TYPES[convert]) for key, convert in converts.items() if convert in _TYPES]
        self._converts = [(key, convert) for key, convert in converts.items() if convert not in _TYPES]
        self._operations = names.OPERATIONS if converts.keys().isdisjoint(names.USAGE) else names.LLM_CALLS
        self._parts = [key for key in _PARTS if key in converts and names.USAGE_INPUT in converts]

    def differences(self, attributes: Mapping[str, Any]) -> dict[str, Value] | None:
        """Return what is not in the form, as it is in it; ``None`` if these values need more than a word for a word.

        That is so where another dialect, an old name of a count or no operation is among the keys, and where a value
        makes no sense or is to be seen together with others.
        """
        if not self._alone or not self._is_plain(attributes):
            return None
        changes: dict[str, Value] = {}
        try:
            for key, convert in self._converts:
                value = attributes[key]
                found = convert(value)
                if found is None:
                    return None
                if found is not value and (found != value or type(found) is not type(value)):
                    changes[key] = found
            for key, canonical, convert in self.renamed:
                found = convert(attributes[key])
                if found is None or attributes.get(canonical) == "":
                    return None
                if attributes.get(canonical) is None:
                    changes.setdefault(canonical, found)
        except UNREADABLE:
            return None
        return changes

    def _is_plain(self, attributes: Mapping[str, Any]) -> bool:
        """Return whether types, operation and counts are as they should be."""
        for key, kind in self._types:
            if attributes[key].__class__ is not kind:
                return False
        called = attributes[names.OPERATION]
        return (
            isinstance(called, str)
            and called in self._operations
            and attributes.get(names.USAGE_COST) != 0
            and not (self._parts and 0 <= attributes[names.USAGE_INPUT] < sum(attributes[key] for key in self._parts))
        )


def plan(keys: tuple[str, ...], among: tuple[Dialect, ...]) -> Plan:
    """Return the plan for spans with these attributes; spans of one instrumentation mostly have the same."""
    found = _PLANS.get((keys, among))
    if found is None:
        found = Plan(keys, among)
        if len(keys) <= _MOST_KEYS and sum(map(len, keys)) <= _MOST_CHARACTERS:
            if len(_PLANS) >= _MOST_PLANS:
                _PLANS.clear()
            _PLANS[keys, among] = found
    return found
