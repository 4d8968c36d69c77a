"""Gives every item its end, and every entry whose last part this was its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from untrace_pipeline.api.component import Settings
from untrace_pipeline.api.telemetry import Counter
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.delivery.accounting import Accounting
from untrace_pipeline.delivery.config import DeliveryConfig, Oversize
from untrace_pipeline.delivery.queue import Keeper, Queue
from untrace_pipeline.delivery.reports import Reports
from untrace_pipeline.delivery.request import Entry, Failure, Reason, Request, Result, State
from untrace_pipeline.errors import ConsumeError, PermanentError

__all__ = ["Ending"]


class Ending:
    """Judges what attempts have left: kept, buried, lost, or handed back to the callers who wait."""

    def __init__(self, config: DeliveryConfig, settings: Settings, accounting: Accounting, reports: Reports) -> None:
        self._buriable = _buriable(config)
        self._settings = settings
        self._accounting = accounting
        self._reports = reports
        self._processed: dict[tuple[str, str], Counter] = {}

    def to_bury(self, request: Request, result: Result) -> list[Failure]:
        """Return the failures that the dead-letter queue should take: what would be lost otherwise."""
        if not self._buriable:
            return []
        return [f for f in result.failures if f.reason in self._buriable and _is_lost(f, request, result)]

    def settle(self, request: Request, result: Result, queue: Queue | None, keeper: Keeper | None) -> None:
        """Count the ends of a request, and finish the entries whose last part it was.

        ``keeper`` takes what has no end, where there is one.
        """
        tally = result.tally()
        pieces: list[Batch] = []
        if result.failures:
            self._judge(request, result, tally, pieces, keeps=keeper is not None)
        entries = request.entries
        if len(entries) == 1:
            entry = entries[0]
            entry.parts -= 1
            if entry.parts or entry.ended or pieces:
                _add(entry.ended, tally)
                entry.left += pieces
                if entry.parts:
                    return
                tally, pieces = entry.ended, entry.left
            entry.ended = tally
        if pieces and keeper is not None:
            if tally:
                tally[State.MOVED] = sum(piece.item_count for piece in pieces)
                _share(tally, entries)
            keeper.keep(entries, pieces if tally else [])
            return
        if len(entries) > 1:
            _share(tally, entries)
        for entry in entries:
            if queue is not None:
                queue.done(entry)
            self._finish(entry)

    def end_whole(self, entry: Entry, reason: Reason, error: ConsumeError) -> None:
        """End an entry that was never sent, and is under way in the books."""
        signal = entry.batch.signal
        if entry.result is None:
            self._accounting.drop(signal, entry.items, reason)
            entry.ended[reason.value] = entry.items
        else:
            self._accounting.refuse(signal, entry.items)
            entry.ended[State.REFUSED] = entry.items
        entry.error = error
        self._finish(entry)

    def tell_refused(self, entry: Entry) -> None:
        """The caller hears that its batch was refused, or has gone; what was taken all the same may come again."""
        self._accounting.decide(entry.items, refused=entry.ended.get(State.REFUSED, 0))

    def _judge(
        self, request: Request, result: Result, tally: dict[str, int], pieces: list[Batch], *, keeps: bool
    ) -> None:
        """Count the failures; add what became of their items to ``tally``, and what is to be kept to ``pieces``."""
        signal = request.batch.signal
        for failure in result.failures:
            items, piece = failure.request.items, failure.request
            lost = _is_lost(failure, request, result)
            if keeps and (
                failure.reason is Reason.SHUTDOWN or (failure.reason in self._buriable and not failure.buried)
            ):
                self._accounting.keep(items)
                pieces.append(piece.original or piece.batch)
                continue
            if failure.buried:
                self._accounting.bury(signal, items, failure.reason)
                state = State.DEAD_LETTERED
            elif lost:
                self._accounting.drop(signal, items, failure.reason)
                state = failure.reason.value
            else:
                self._accounting.refuse(signal, items)
                state = State.REFUSED
            tally[state] = tally.get(state, 0) + items
            self._remember(failure, request, lost=lost)

    def _remember(self, failure: Failure, request: Request, *, lost: bool) -> None:
        for entry in request.entries:
            if entry.result is None or not lost:
                entry.error = entry.error or failure.error
        if failure.reason is not Reason.SHUTDOWN:
            self._reports.given_up(failure, lost=lost)

    def _finish(self, entry: Entry) -> None:
        result, error = entry.result, entry.error
        if result is not None and result.cancelled():
            self.tell_refused(entry)
        elif result is not None and not result.done():
            if error is None:
                result.set_result(None)
            else:
                result.set_exception(error)
        if entry.batch.signal is Signal.TRACES and (error is None or result is None):
            self._count_ended(entry.batch.context.tenant or "", error)

    def _count_ended(self, tenant: str, error: ConsumeError | None) -> None:
        status = "delivered" if error is None else "rejected" if isinstance(error, PermanentError) else "dropped"
        key = (tenant, status)
        counter = self._processed.get(key)
        if counter is None:
            labels = {"customer_id": key[0], "destination": str(self._settings.id), "status": key[1]}
            counter = self._processed[key] = self._settings.meter.counter("traces_processed", **labels)
        counter.add()


def _buriable(config: DeliveryConfig) -> frozenset[Reason]:
    """Return the reasons for which the dead-letter queue takes what is given up."""
    if config.dead_letter_queue is None:
        return frozenset()
    too_large = () if config.oversize is Oversize.DROP else (Reason.TOO_LARGE,)
    return frozenset((Reason.PERMANENT, Reason.EXPIRED, *too_large))


def _is_lost(failure: Failure, request: Request, result: Result) -> bool:
    """Return whether nobody else has the items of a failure: no caller waits to get them back.

    An item that is too large among others that were taken is lost in any case: sending all again would not help.
    """
    if all(entry.result is None for entry in request.entries):
        return True
    return failure.reason is Reason.TOO_LARGE and sum(f.request.items for f in result.failures) < request.items


def _add(ended: dict[str, int], tally: Mapping[str, int]) -> None:
    for state, items in tally.items():
        ended[state] = ended.get(state, 0) + items


def _share(tally: Mapping[str, int], entries: Sequence[Entry]) -> None:
    """Give each entry of a merged request its part of the ends: which item ended how is not known, the sums are."""
    if len(entries) == 1:  # has the tally itself
        return
    states = list(tally.items())
    for entry in entries:
        room = entry.items
        while room and states:
            state, items = states.pop()
            used = min(room, items)
            entry.ended[state] = entry.ended.get(state, 0) + used
            room -= used
            if items > used:
                states.append((state, items - used))
