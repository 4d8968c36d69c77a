"""When traces are due: many of them, each with a time that may change, and one timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from untrace_plugins.sampling.trace import Trace

__all__ = ["Schedule"]


class Schedule:
    """Slots of equal length; a trace lies in the slot of the time at which it is looked at next."""

    def __init__(self, interval: float, due: Callable[[Trace], float], fire: Callable[[list[Trace]], None]) -> None:
        """``due`` returns when a trace is due by now; ``fire`` takes those that are."""
        self._interval = interval
        self._due = due
        self._fire = fire
        self._slots: dict[int, dict[Trace, None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def put(self, traces: Sequence[Trace]) -> None:
        """Let traces that are due at the same time be looked at then; no more when they were to be before."""
        slot = int(self._due(traces[0]) / self._interval) + 1
        found = self._slots.get(slot)
        if found is None:
            found = self._slots[slot] = {}
            if self._timer is None or slot * self._interval < self._timer.when():
                self._arm()
        for trace in traces:
            if trace.slot is not None:
                self.remove(trace)
            trace.slot = slot
            found[trace] = None

    def remove(self, trace: Trace) -> None:
        """Forget a trace."""
        if trace.slot is not None:
            self._slots[trace.slot].pop(trace, None)
            trace.slot = None

    def close(self) -> None:
        """Fire no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self) -> None:
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
        slot = max(min(self._slots), int(loop.time() / self._interval) + 1)
        self._timer = loop.call_at(slot * self._interval, self._tick)

    def _tick(self) -> None:
        now = asyncio.get_running_loop().time()
        self._timer = None
        ripe: list[Trace] = []
        for slot in [slot for slot in self._slots if slot * self._interval <= now + _SLACK]:
            for trace in self._slots.pop(slot):
                trace.slot = None
                if self._due(trace) <= now + _SLACK:
                    ripe.append(trace)
                else:
                    self.put([trace])
        if ripe:
            self._fire(ripe)
        if self._slots and self._timer is None:
            self._arm()


_SLACK = 0.001
"""Seconds by which a timer may fire early: event loops round to milliseconds."""
