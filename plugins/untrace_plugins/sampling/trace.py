"""A trace that waits for its decision, and the decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from untrace_pipeline.data import Context
from untrace_pipeline.delivery.storage import Record
from untrace_plugins.sampling.thresholds import ALWAYS

__all__ = ["NOT_SAMPLED", "SHUTDOWN", "TOO_LARGE", "Fragment", "Trace", "Verdict"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided about a trace; spans that come later follow it."""

    keep: bool
    threshold: int = ALWAYS
    """The consistent-sampling threshold of the chance that it had, :data:`ALWAYS` where it was certain."""
    policy: str = ""
    """Name of the policy that kept it."""
    reason: str = "sampled"
    """What its spans count as where they are dropped."""


NOT_SAMPLED = Verdict(keep=False)
TOO_LARGE = Verdict(keep=False, reason="too_large")
SHUTDOWN = Verdict(keep=False, reason="shutdown")


@dataclass(slots=True, eq=False)
class Fragment:
    """The spans of one trace in one request."""

    payload: bytes
    """A serialized request; empty while it is on disk only."""
    size: int
    """Bytes of the payload."""
    items: int
    sender: Context
    """What is kept of the request's context; equal ones are the same object."""
    record: Record | None = None
    """Its place in a journal, if there is one."""
    waiting: bool = True
    """Whether its trace is undecided."""


class Trace:
    """Spans with one trace id, and what is known about them so far."""

    __slots__ = (
        "arrived",
        "decided",
        "fragments",
        "hits",
        "id",
        "items",
        "root_arrived",
        "size",
        "slot",
        "states",
        "touched",
    )

    def __init__(self, id: bytes, arrived: float, states: list[Any], fragments: list[Fragment]) -> None:
        """``arrived`` is the loop time of the first span; ``states`` one per fold of the survey."""
        self.id = id
        self.arrived = arrived
        self.states = states
        self.fragments = fragments
        self.touched = arrived
        """Loop time of the latest span."""
        self.root_arrived: float | None = None
        """Loop time of the first root span."""
        self.hits = 0
        """Bits of the survey's questions that a span has answered with yes."""
        self.items = 0
        self.size = 0
        """Bytes of all fragments."""
        self.slot: int | None = None
        """Where the schedule has it."""
        self.decided = False
        for fragment in fragments:
            self.items += fragment.items
            self.size += fragment.size

    def add(self, fragment: Fragment, now: float) -> None:
        """Add spans that came later."""
        self.fragments.append(fragment)
        self.items += fragment.items
        self.size += fragment.size
        self.touched = now
