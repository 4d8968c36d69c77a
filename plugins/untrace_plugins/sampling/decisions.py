"""Which traces were decided lately, so that spans which come later follow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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

    def put(self, decided: Iterable[tuple[bytes, Verdict]], time: float) -> None:
        """Remember decisions. Spans without a trace id have nothing in common: theirs are forgotten at once."""
        for trace_id, verdict in decided:
            if trace_id:
                self._by_keep[verdict.keep][trace_id] = verdict, time
        for keep, known in self._by_keep.items():
            while len(known) > self._limits[keep]:
                del known[next(iter(known))]

    def get(self, trace_id: bytes) -> Verdict | None:
        """Return the decision about a trace."""
        found = self.find({trace_id: None}).get(trace_id)
        return found[0] if found is not None else None

    def find(self, trace_ids: Mapping[bytes, object]) -> dict[bytes, tuple[Verdict, float]]:
        """Return the decisions about some traces, and when they were made."""
        found: dict[bytes, tuple[Verdict, float]] = {}
        for known in self._by_keep.values():
            for trace_id in known.keys() & trace_ids.keys():
                found[trace_id] = known[trace_id] = known.pop(trace_id)
        return found
