"""Which traces were decided lately, so that spans which come later follow."""

from __future__ import annotations

from untrace_plugins.sampling.trace import Verdict

__all__ = ["Decisions"]


class Decisions:
    """The latest decisions by trace id, kept and dropped traces apart; each use makes one young again."""

    def __init__(self, kept: int, dropped: int) -> None:
        """Remember that many of each."""
        self._limits = {True: kept, False: dropped}
        self._by_keep: dict[bool, dict[bytes, tuple[Verdict, float]]] = {True: {}, False: {}}

    def __len__(self) -> int:
        return sum(len(one) for one in self._by_keep.values())

    def put(self, trace_id: bytes, verdict: Verdict, time: float) -> None:
        """Remember a decision. Spans without a trace id have nothing in common: theirs is forgotten at once."""
        known = self._by_keep[verdict.keep]
        if trace_id:
            known[trace_id] = verdict, time
            if len(known) > self._limits[verdict.keep]:
                del known[next(iter(known))]

    def get(self, trace_id: bytes) -> tuple[Verdict, float] | None:
        """Return the decision about a trace and when it was made."""
        for known in self._by_keep.values():
            if trace_id in known:
                found = known[trace_id] = known.pop(trace_id)
                return found
        return None
