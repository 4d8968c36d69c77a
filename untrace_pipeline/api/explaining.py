"""Explanations: what a connector would do with a batch, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from untrace_pipeline.data import Batch

__all__ = ["Answer", "Asked", "Explaining", "Explanation"]


@dataclass(frozen=True, slots=True)
class Answer:
    """One question of a rule, or a group of questions, and its answer."""

    text: str
    holds: bool | None
    """``None``: there was no answer."""
    found: str | None = None
    """What the data said, cut short."""
    depth: int = 0
    """How deep it stands below other questions."""
    has_field: bool = False
    """Whether a field was asked for: then nothing found means that it is absent."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of one rule."""

    rule: str
    outcome: str
    """``taken``, ``matched``, ``not matched``, ``not asked``, ``disabled`` …"""
    why: str = ""
    answers: Sequence[Answer] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """What becomes of a group of items that goes one way, and why."""

    subject: str
    """Which items: ``trace 5b8aa5…``."""
    items: Sequence[str]
    """Their names."""
    rules: Sequence[str]
    """Rules that take them."""
    destinations: Sequence[str]
    outcome: str
    """In one line: ``rule premium → traces/a, traces/b``."""
    asked: Sequence[Asked] = field(default_factory=tuple)


@runtime_checkable
class Explaining(Protocol):
    """A connector that can say where a batch would go, without sending it."""

    def explain(self, batch: Batch) -> Sequence[Explanation]:
        """Return what would become of it. The batch is not changed; the connector has been started."""
