"""What becomes of the items of a processor that holds traces: its metrics, its account, and those behind it."""

from __future__ import annotations

from collections.abc import Callable

from untrace_pipeline.api import Counter, Outlet, Settings
from untrace_pipeline.delivery.storage import Recovery

__all__ = ["MOVED", "PASSED", "Books"]

MOVED, PASSED = "moved", "passed"
"""States of items in journals and in the ledger: written anew elsewhere, and taken by what comes next."""
_P = "processor_tail_sampling_"


class Books:
    """Every accepted item is in exactly one place: passed, dropped for a reason, or held."""

    def __init__(self, settings: Settings, next: Outlet) -> None:
        self._meter = meter = settings.meter
        self._next = next
        self._states: dict[str, Counter] = {}
        self.held = 0
        """Items that are undecided, or decided and not taken by what comes next."""
        meter.gauge("processor_pending_items").observe_with(lambda: self.held)
        self._decisions = {
            keep: meter.counter(f"{_P}global_count_traces_sampled", sampled=str(keep).lower(), decision=word)
            for keep, word in ((True, "sampled"), (False, "not_sampled"))
        }
        self._late = {
            keep: meter.counter(f"{_P}early_releases_from_cache_decision", sampled=str(keep).lower())
            for keep in (True, False)
        }
        self.new_traces = meter.counter(f"{_P}new_trace_id_received")
        self.late_age = meter.histogram(f"{_P}sampling_late_span_age")
        self.tick_latency = meter.histogram(f"{_P}sampling_decision_timer_latency")
        self.too_large = meter.counter(f"{_P}traces_dropped_too_large")
        self.too_early = meter.counter(f"{_P}sampling_traces_decided_early")
        self.spilled = meter.counter(f"{_P}spilled_fragments")

    def watch(self, traces: Callable[[], float], memory: Callable[[], float]) -> None:
        """Show how many traces wait, and how many bytes of them are in memory."""
        self._meter.gauge(f"{_P}sampling_traces_on_memory").observe_with(traces)
        self._meter.gauge(f"{_P}pending_bytes").observe_with(memory)

    def recover(self, recovery: Recovery | None, held: int, *, counted: bool) -> None:
        """Take over what a journal has seen in earlier processes; ``counted``: another one of this service told it."""
        if recovery is not None and counted:
            self._state("accepted").add(held)
        elif recovery is not None:
            self._state("accepted").add(recovery.appended - recovery.ended.get(MOVED, 0))
            for state, items in recovery.ended.items():
                if state != MOVED:
                    self._state(state).add(items)
        self.held += held

    def accept(self, items: int) -> None:
        """Items are held now."""
        self._state("accepted").add(items)
        self.held += items

    def unacknowledged(self, items: int) -> None:
        """Items are held although their sender was told to come again."""
        self._state("unacknowledged").add(items)
        self.held += items

    def decide(self, *, kept: int, dropped: int) -> None:
        """Count traces that were decided."""
        self._decisions[True].add(kept)
        self._decisions[False].add(dropped)

    def late(self, items: int, age: float, *, keep: bool) -> None:
        """Count items that came after the decision, so many seconds."""
        self._late[keep].add(items)
        self.late_age.record(age)

    def ended(self, state: str, items: int) -> None:
        """Items are held no longer: what comes next has them (``passed``), or they end here for that reason."""
        self.held -= items
        self._state(state).add(items)
        if state != PASSED:
            self._next.dropped(state, items)

    def _state(self, state: str) -> Counter:
        counter = self._states.get(state)
        if counter is None:
            counter = self._states[state] = self._meter.counter("ledger_items", state=state)
        return counter
