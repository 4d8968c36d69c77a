"""Counts what becomes of every item, so that the sum can be checked at any time."""

from __future__ import annotations

from collections import Counter as Tally

from untrace_pipeline.api.component import Settings
from untrace_pipeline.api.telemetry import Counter
from untrace_pipeline.data import Signal
from untrace_pipeline.delivery.request import Reason

__all__ = ["Accounting"]


class Accounting:
    """Where the items of one exporter are. Every item that was enqueued is in exactly one place::

        enqueued = queued + in_flight + sent + rejected + dropped (by reason) + refused

    ``refused``: handed back to a caller who waited for the outcome and was told. All numbers are items.
    """

    def __init__(self, settings: Settings) -> None:
        self.enqueued = 0
        self.queued = 0
        self.in_flight = 0
        self.sent = 0
        self.rejected = 0
        self.refused = 0
        self.dropped: Tally[Reason] = Tally()
        self._meter = settings.meter
        self._sent = self._counters(settings, "sent")
        self._failed = self._counters(settings, "send_failed")
        self._rejected = self._counters(settings, "rejected")
        self._enqueue_failed = self._counters(settings, "enqueue_failed")

    @property
    def pending(self) -> int:
        """Items without an outcome yet."""
        return self.queued + self.in_flight

    @property
    def balance(self) -> int:
        """Items that are nowhere (> 0) or in two places (< 0); always 0."""
        ended = self.sent + self.rejected + self.refused + self.dropped.total()
        return self.enqueued - self.pending - ended

    def enqueue(self, items: int) -> None:
        """Items came in; they wait."""
        self.enqueued += items
        self.queued += items

    def take(self, items: int) -> None:
        """Items that waited are under way."""
        self.queued -= items
        self.in_flight += items

    def not_enqueued(self, signal: Signal, items: int) -> None:
        """Items did not come in: the queue was full, or is smaller than the batch, and whoever sent them was told."""
        self._enqueue_failed[signal].add(items)

    def deliver(self, signal: Signal, items: int, rejected: int) -> None:
        """The destination answered: it took the items, but for those that it rejected."""
        self.in_flight -= items
        self.sent += items - rejected
        self._sent[signal].add(items - rejected)
        if rejected:
            self.rejected += rejected
            self._rejected[signal].add(rejected)

    def refuse(self, signal: Signal, items: int) -> None:
        """Items under way go back to the caller."""
        self.in_flight -= items
        self.refused += items
        self._failed[signal].add(items)

    def drop(self, signal: Signal, items: int, reason: Reason) -> None:
        """Items under way are given up; items that wait are taken first."""
        self.in_flight -= items
        self.dropped[reason] += items
        if reason is not Reason.QUEUE_FULL:
            self._failed[signal].add(items)
        self._meter.counter("dropped_items", signal=signal, reason=reason).add(items)

    def _counters(self, settings: Settings, what: str) -> dict[Signal, Counter]:
        return {s: settings.meter.counter(f"exporter_{what}_{s.item}") for s in settings.signals}
