"""Traces that wait for their decision: what is known of them, when they are due, how much room they take."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping

from untrace_plugins.sampling.books import Books
from untrace_plugins.sampling.config import DecideOn, HoldingConfig
from untrace_plugins.sampling.schedule import Schedule
from untrace_plugins.sampling.spans import Spans
from untrace_plugins.sampling.survey import Survey
from untrace_plugins.sampling.trace import Fragment, Trace

__all__ = ["Pending"]


_FEW = 1000
"""Fragments that are not worth to be looked for."""


class Pending:
    """All undecided traces by id, the oldest first."""

    def __init__(
        self, config: HoldingConfig, survey: Survey, books: Books, due: Callable[[list[Trace]], None], *, spills: bool
    ) -> None:
        """``due`` is given traces that are to be decided; ``spills``: fragments are on disk, too."""
        self._config = config
        self._survey = survey
        self._books = books
        self._spills = spills
        self._resident: deque[Fragment] = deque()
        """Fragments with their payload in memory, the oldest first, if there is a disk to leave it to; and others of
        traces that were decided, as long as they are fewer."""
        self._gone = 0
        """About how many those are."""
        self._schedule = Schedule(config.interval, self._due, due)
        self._roots = config.decide_on is DecideOn.ROOT_END or config.decision_wait_after_root_received > 0
        self.traces: dict[bytes, Trace] = {}
        self.memory = 0
        """Bytes of payloads in memory."""
        books.watch(lambda: len(self.traces), lambda: self.memory)

    def add(self, spans: Spans, fragments: Mapping[bytes, Fragment]) -> dict[bytes, Trace]:
        """Add fragments of a request to their traces; return these."""
        now = asyncio.get_running_loop().time()
        answers = self._survey.ask(spans.batch)
        known, rows = self.traces, spans.rows
        new: list[Trace] = []
        touched: dict[bytes, Trace] = {}
        for trace_id, fragment in fragments.items():
            trace = known.get(trace_id)
            if trace is None:
                trace = known[trace_id] = Trace(trace_id, now, self._survey.begin(), [fragment])
                new.append(trace)
            else:
                trace.add(fragment, now)
            answers.tell(trace, rows[trace_id])
            self.memory += len(fragment.payload)
            touched[trace_id] = trace
        if new:
            self._books.new_traces.add(len(new))
            self._schedule.put(new)
        if self._roots:
            self._note_roots(spans, touched, now)
        if self._spills:
            self._resident.extend(fragments.values())
        return touched

    def _note_roots(self, spans: Spans, traces: Mapping[bytes, Trace], now: float) -> None:
        for trace_id in spans.roots():
            trace = traces.get(trace_id)
            if trace is not None and trace.root_arrived is None:
                trace.root_arrived = now
                self._schedule.put([trace])

    def remove(self, traces: Iterable[Trace]) -> None:
        """Take traces out: they are decided."""
        for trace in traces:
            del self.traces[trace.id]
            self._schedule.remove(trace)
            trace.decided = True
            for fragment in trace.fragments:
                fragment.waiting = False
                self.memory -= len(fragment.payload)
            self._gone += len(trace.fragments)
        if self._gone > max(len(self._resident) // 2, _FEW):
            self._resident = deque(fragment for fragment in self._resident if fragment.waiting)
            self._gone = 0

    def close(self) -> None:
        """Let nothing be due any more."""
        self._schedule.close()

    # ------------------------------------------------------------------- time

    def _due(self, trace: Trace) -> float:
        config, root = self._config, trace.root_arrived
        if config.decide_on is DecideOn.WAIT:
            due = trace.arrived + config.decision_wait
            return due if root is None else min(due, root + config.decision_wait_after_root_received)
        if root is not None and config.decide_on is DecideOn.ROOT_END:
            return root + config.decision_wait_after_root_received
        return min(trace.touched + config.idle_time, trace.arrived + config.maximum_trace_age)

    # ------------------------------------------------------------------- room

    def full(self) -> bool:
        """Return whether nothing more should come in."""
        return len(self.traces) >= self._config.num_traces or (
            not self._spills and self.memory >= self._config.memory_limit
        )

    def overflow(self) -> list[Trace]:
        """Return the oldest traces, so many that the others keep to the limits; leave payloads to the disk before."""
        if self._spills:
            self._spill()
        elif self.memory <= self._config.memory_limit and len(self.traces) <= self._config.num_traces:
            return []
        early: list[Trace] = []
        memory, count = self.memory, len(self.traces)
        for trace in self.traces.values():
            if count <= self._config.num_traces and (self._spills or memory <= self._config.memory_limit):
                break
            early.append(trace)
            memory, count = memory - trace.size, count - 1
        return early

    def _spill(self) -> None:
        resident = self._resident
        while resident and self.memory > self._config.memory_limit:
            fragment = resident.popleft()
            if fragment.waiting:
                self.memory -= len(fragment.payload)
                fragment.payload = b""
                self._books.spilled.add()
