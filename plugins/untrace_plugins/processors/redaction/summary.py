"""Attributes that say what was done, as the Collector adds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from untrace_pipeline.data import Value
from untrace_plugins.processors.redaction.config import Summary

__all__ = ["OWN_KEYS", "Changes", "Notes", "annotate"]

Changes = dict[str, Value]
"""New values by key of an attribute; ``None`` removes it."""

OWN_KEYS = (
    "redaction.redacted.keys",
    "redaction.redacted.count",
    "redaction.masked.keys",
    "redaction.masked.count",
    "redaction.ignored.count",
)
"""What a redaction before this one added is allowed; the Collector forgot the other names of the summary."""


@dataclass(slots=True)
class Notes:
    """Keys by what happened to them, for the summary."""

    redacted: list[str] = field(default_factory=list)
    masked: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


def annotate(level: Summary, notes: Notes, found: Mapping[str, Value], changes: Changes, prefix: str) -> None:
    """Add the attributes that sum up what was done to the changes; they add to those of an earlier redaction."""
    with_keys = level is Summary.DEBUG
    for name, keys in (("redacted", notes.redacted), ("masked", notes.masked), ("allowed", notes.allowed)):
        _sum_up(f"{prefix}{name}", keys, found, changes, with_keys=with_keys)
    _sum_up(f"{prefix}ignored", notes.ignored, found, changes, with_keys=False)


def _sum_up(name: str, keys: list[str], found: Mapping[str, Value], changes: Changes, *, with_keys: bool) -> None:
    if not keys:
        return
    if with_keys:
        before = _current(f"{name}.keys", found, changes)
        earlier = before.split(",") if isinstance(before, str) and before else []
        changes[f"{name}.keys"] = ",".join(sorted([*keys, *earlier]))
    count = _current(f"{name}.count", found, changes)
    earlier_count = count if isinstance(count, int) and not isinstance(count, bool) else 0
    changes[f"{name}.count"] = earlier_count + len(keys)


def _current(key: str, found: Mapping[str, Value], changes: Changes) -> Value:
    return changes[key] if key in changes else found.get(key)
