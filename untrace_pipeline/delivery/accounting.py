"""Counts what becomes of every item, so that the sum can be checked at any time."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Mapping

from untrace_pipeline.api.component import Settings
from untrace_pipeline.api.telemetry import Counter
from untrace_pipeline.data import Signal
from untrace_pipeline.delivery.request import Reason, State
from untrace_pipeline.delivery.storage import Recovery

__all__ = ["Accounting"]


class Accounting:
    """Where the items of one exporter are. Every item that was enqueued is in exactly one place::

        enqueued = pending + delivered + rejected + dead_lettered + dropped (by reason) + refused + left

    ``refused``: handed back to a caller who waited for the outcome and was told. ``left``: on a disk, for whoever opens
    that queue next. All numbers are items. The ledger shows the same states, and beside them what was accepted:
    see :mod:`untrace_pipeline.telemetry.ledger`.
    """

    def __init__(self, settings: Settings) -> None:
        self.enqueued = 0
        self.queued = 0
        self.in_flight = 0
        self.left = 0
        self.undecided = 0
        """Items whose callers wait to hear what became of them, and that were not handed back."""
        self.ended: Tally[str] = Tally()
        self._meter = settings.meter
        self._sent = self._counters(settings, "sent")
        self._failed = self._counters(settings, "send_failed")
        self._rejected = self._counters(settings, "rejected")
        self._enqueue_failed = self._counters(settings, "enqueue_failed")
        self._states: dict[str, Counter] = {}
        self._meter.gauge("exporter_pending_items", state="queued").observe_with(lambda: self.queued)
        self._meter.gauge("exporter_pending_items", state="in_flight").observe_with(lambda: self.in_flight)
        self._meter.gauge("exporter_pending_items", state="undecided").observe_with(lambda: self.undecided)

    @property
    def pending(self) -> int:
        """Items without an outcome yet."""
        return self.queued + self.in_flight

    @property
    def dropped(self) -> Mapping[Reason, int]:
        """Items that were lost here, by reason."""
        return Tally({reason: self.ended[reason] for reason in Reason if self.ended[reason]})

    @property
    def balance(self) -> int:
        """Items that are nowhere (> 0) or in two places (< 0); always 0."""
        return self.enqueued - self.pending - self.left - self.ended.total()

    def recover(self, recovery: Recovery | None, held: int, *, counted: bool = False) -> None:
        """Take over what a queue on disk holds, and what became of the rest in earlier processes.

        ``counted``: another process of this service has told the rest, and what it left is accepted here once more.
        """
        if recovery is not None and counted:
            self._state("accepted").add(held)
        elif recovery is not None:
            self._state("accepted").add(recovery.appended - recovery.ended.get(State.MOVED, 0))
            for state, items in recovery.ended.items():
                if state != State.MOVED:
                    self._state(state).add(items)
        self.enqueued += held
        self.queued += held

    def damage(self, items: int) -> None:
        """Items that waited on a disk cannot be read any more; their signal was in what is lost."""
        self.take(items)
        self._end(Reason.DAMAGED, items)
        self._meter.counter("dropped_items", signal="unknown", reason=Reason.DAMAGED).add(items)

    def enqueue(self, items: int) -> None:
        """Items came in; they wait."""
        self.enqueued += items
        self.queued += items

    def take(self, items: int) -> None:
        """Items that waited are under way."""
        self.queued -= items
        self.in_flight += items

    def keep(self, items: int) -> None:
        """Items under way wait again."""
        self.in_flight -= items
        self.queued += items

    def leave(self) -> None:
        """What waits lies on a disk, and is nobody's until the queue is opened again."""
        self.left += self.queued
        self.queued = 0

    def decide(self, items: int, *, refused: int | None = None) -> None:
        """A caller who waited is told: accepted, or refused, with so many of its items handed back.

        Of a batch that is refused, the destination may have taken a part: that comes again.
        """
        self.undecided -= items - (refused or 0)
        if refused is not None:
            self.unacknowledged(items - refused)

    def unacknowledged(self, items: int) -> None:
        """Items were taken although their sender was not told so: it may send them again."""
        if items:
            self._state("unacknowledged").add(items)

    def not_enqueued(self, signal: Signal, items: int) -> None:
        """Items did not come in: the queue was full, or is smaller than the batch, and whoever sent them was told."""
        self._enqueue_failed[signal].add(items)

    def deliver(self, signal: Signal, items: int, rejected: int) -> None:
        """The destination answered: it took the items, but for those that it rejected."""
        self._end(State.DELIVERED, items - rejected)
        self._sent[signal].add(items - rejected)
        if rejected:
            self._end(State.REJECTED, rejected)
            self._rejected[signal].add(rejected)

    def refuse(self, signal: Signal, items: int) -> None:
        """Items under way go back to the caller who waits."""
        self.in_flight -= items
        self.undecided -= items
        self.ended[State.REFUSED] += items
        self._failed[signal].add(items)

    def bury(self, signal: Signal, items: int, reason: Reason) -> None:
        """Items under way lie in the dead-letter queue."""
        self._end(State.DEAD_LETTERED, items)
        if reason is not Reason.QUEUE_FULL:
            self._failed[signal].add(items)
        self._meter.counter("exporter_dead_lettered_items", signal=signal, reason=reason).add(items)

    def drop(self, signal: Signal, items: int, reason: Reason) -> None:
        """Items under way are given up; items that wait are taken first."""
        self._end(reason, items)
        if reason is not Reason.QUEUE_FULL:
            self._failed[signal].add(items)
        self._meter.counter("dropped_items", signal=signal, reason=reason).add(items)

    def filter(self, signal: Signal, items: int) -> None:
        """Items under way are left out: the destination has no use for them."""
        self._end(Reason.FILTERED, items)
        self._meter.counter("dropped_items", signal=signal, reason=Reason.FILTERED).add(items)

    def _end(self, state: str, items: int) -> None:
        self.in_flight -= items
        self.ended[state] += items
        self._state(state).add(items)

    def _state(self, state: str) -> Counter:
        counter = self._states.get(state)
        if counter is None:
            counter = self._states[state] = self._meter.counter("ledger_items", state=state)
        return counter

    def _counters(self, settings: Settings, what: str) -> dict[Signal, Counter]:
        return {s: settings.meter.counter(f"exporter_{what}_{s.item}") for s in settings.signals}
