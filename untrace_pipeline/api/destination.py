"""What an exporter tells of its destination, to people and to ``untrace-pipeline destinations``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

__all__ = ["About", "ProbeResult", "Probing"]


@dataclass(frozen=True, slots=True)
class About:
    """A destination in words."""

    title: str
    """Its name as its maker writes it: ``Arize Phoenix``."""
    category: str
    """``LLM platforms``, ``observability``, ``stores`` …"""
    docs: str = ""
    """Address of the maker's page about sending to it."""
    minimal: Mapping[str, Any] = field(default_factory=dict)
    """The least options that work, with placeholders."""
    options: Sequence[str] = ()
    """Names of the options that are its own; the others are common to many."""
    facts: Sequence[tuple[str, str]] = ()
    """What is good to know, as title and text: where it goes, what is sent, limits."""
    look: str = ""
    """Where sent data shows."""
    notes: Sequence[str] = ()
    """What is surprising about it."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a destination answered to a question that changes nothing there."""

    what: str
    """``health``, ``credentials``, or ``connection``: somebody listens."""
    ok: bool
    message: str
    """What it said; never a secret."""


@runtime_checkable
class Probing(Protocol):
    """An exporter that can ask its destination whether it would take data."""

    async def probe(self) -> Sequence[ProbeResult]:
        """Ask, each question with a limit in time. The exporter is started. Raises nothing for a failure there.

        Where nothing can be asked, the answer is empty: then it is only looked whether somebody listens.
        """
