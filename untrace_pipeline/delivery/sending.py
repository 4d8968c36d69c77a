"""Attempts of one request until every item of it has an outcome: breaker, timeout, retry, splitting, shortening."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property

from untrace_pipeline.api.component import Settings
from untrace_pipeline.api.telemetry import Counter
from untrace_pipeline.delivery.accounting import Accounting
from untrace_pipeline.delivery.breaker import Breaker, Circuit
from untrace_pipeline.delivery.config import DeliveryConfig, Oversize, WhenOpen
from untrace_pipeline.delivery.reports import Reports
from untrace_pipeline.delivery.request import (
    Failure,
    Outcome,
    Paced,
    Preparing,
    Reason,
    Request,
    Result,
    Sender,
    Verdict,
    as_consume_error,
    classify,
)
from untrace_pipeline.delivery.retry import LONGEST_WISH_SECONDS, Backoff
from untrace_pipeline.delivery.truncate import shorten
from untrace_pipeline.errors import Code, ConsumeError, RetryableError

__all__ = ["Sending"]

SMALL_BYTES = 64 * 1024
SMALL_REFUSALS = 8
"""After so many single items in a row, each so small, it is not their size that the destination refuses (a quota, say):
the rest of the request is given up instead of being asked for item by item."""

SHORTEN_BYTES = 8 * 1024
"""Smaller single items are not shortened: whoever refuses them does not do so for their size."""

RETRY_AFTER_SECONDS = 1.0
"""When senders may come back at the earliest while the circuit is open."""

DRAIN_WAIT_SECONDS = 1.0
"""Longest wait between attempts while shutting down: the time that is left is better used for trying."""


class Sending:
    """Makes attempts. What succeeds is counted here, what fails is handed back to be judged."""

    def __init__(
        self,
        config: DeliveryConfig,
        sender: Sender,
        settings: Settings,
        accounting: Accounting,
        reports: Reports,
        rng: random.Random,
    ) -> None:
        self._retry = config.retry_on_failure
        self._timeout = config.timeout or None
        self._shortens = config.oversize is Oversize.TRUNCATE
        self._refuses_when_open = config.circuit_breaker.when_open is WhenOpen.REFUSE
        self._sender = sender
        self._preparing = sender if isinstance(sender, Preparing) else None
        self._paced = sender if isinstance(sender, Paced) else None
        self._accounting = accounting
        self._reports = reports
        self._random = rng
        self._draining = asyncio.Event()
        self._keeps = False
        self._meter = settings.meter
        self._retries = self._meter.counter("exporter_retries")
        self._shortened = self._meter.counter("exporter_truncated_items")
        self._paced_waits = self._meter.counter("exporter_paced_waits")
        self._latency = self._meter.histogram("destination_latency_seconds", destination=sender.destination)
        self._statuses: dict[Code, Counter] = {}
        self._breaker = Breaker(config.circuit_breaker, self._circuit_changed)
        self._meter.gauge("exporter_circuit_state").observe_with(lambda: self._breaker.state)
        self.attempts_under_way = 0

    @cached_property
    def _now(self) -> Callable[[], float]:
        return asyncio.get_running_loop().time

    def check(self) -> None:
        """Raise :class:`RetryableError` while the circuit is open, where the configuration wants that."""
        breaker = self._breaker
        if self._refuses_when_open and breaker.spares():
            wait = max(breaker.opens_at - self._now(), RETRY_AFTER_SECONDS)
            raise RetryableError(f"{self._sender.destination}: circuit is open", retry_after=wait)

    def drain(self, *, keep: bool = False) -> None:
        """Stop waiting long between attempts; with ``keep``, begin no further ones: what is left will be kept."""
        self._keeps = keep
        self._draining.set()
        self._breaker.close()

    async def pause(self, delay: float) -> bool:
        """Wait, but no longer than draining allows; return whether the time is over for good, because we keep."""
        if not self._draining.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._draining.wait()
        elif not self._keeps:
            await asyncio.sleep(min(delay, DRAIN_WAIT_SECONDS))
        return self._ends()

    async def deliver(self, request: Request, result: Result) -> None:
        """Send a request; every item is in ``result`` then, also when cancelled."""
        run = _Run([request], result, self._now())
        try:
            while run.pieces:
                if self._preparing is not None and not run.pieces[-1].prepared:
                    await self._prepare(self._preparing, run)
                    continue
                if self._paced is not None:
                    await self._wait_for_turn(self._paced)
                probe = False
                if self._breaker.state is not Circuit.CLOSED:
                    probe = await self._breaker.permit()
                if self._keeps and self._ends():
                    break
                run.attempts += 1
                try:
                    outcome = await self._attempt(run.pieces[-1], probe=probe)
                except Exception as error:  # noqa: BLE001  judged by classify
                    await self._judge(error, run)
                else:
                    run.small_refusals = 0
                    self._delivered(run.pieces.pop(), outcome, run)
                    if outcome.rest is not None:
                        run.pieces.append(Request(outcome.rest, outcome.rest.item_count, prepared=True))
                        await self._wait_or_give_up(outcome.cause or RetryableError("not all was taken"), run)
        finally:
            while run.pieces:  # cancelled, or kept
                run.give_up(Reason.SHUTDOWN, RetryableError("shutting down"))

    async def _prepare(self, sender: Preparing, run: _Run) -> None:
        """Replace the last piece by what the destination takes."""
        piece = run.pieces[-1]
        try:
            prepared = await sender.prepare(piece)
        except Exception as error:  # noqa: BLE001  judged by classify
            await self._judge(error, run)
            return
        run.pieces[-1:] = reversed(prepared.requests)
        for one in prepared.refused:
            refused = Request(one.batch, one.batch.item_count, prepared=True)
            run.result.failures.append(Failure(refused, Reason.PERMANENT, one.error, 0))
        if prepared.filtered:
            run.result.filtered += prepared.filtered
            self._accounting.filter(piece.batch.signal, prepared.filtered)

    async def _wait_for_turn(self, sender: Paced) -> None:
        while (delay := sender.wait_seconds()) > 0:
            self._paced_waits.add()
            if await self.pause(delay) or self._draining.is_set():
                return

    def _ends(self) -> bool:
        return self._keeps and self._draining.is_set()

    async def _attempt(self, request: Request, *, probe: bool) -> Outcome:
        started = time.perf_counter()
        code, failed, wish = Code.CANCELLED, None, 0.0
        self.attempts_under_way += 1
        try:
            async with asyncio.timeout(self._timeout):
                outcome = await self._sender.send(request)
            code, failed = Code.OK, False
        except Exception as error:
            known = as_consume_error(error)
            code, failed = known.code, classify(error) is Verdict.RETRY
            wish = min(getattr(known, "retry_after", None) or 0.0, LONGEST_WISH_SECONDS)
            raise
        finally:
            self.attempts_under_way -= 1
            self._latency.record(time.perf_counter() - started)
            self._status(code).add()
            self._breaker.record(self._now(), failed=failed, probe=probe, wish=wish)
        return outcome

    async def _judge(self, error: Exception, run: _Run) -> None:
        """Wait for the next attempt, replace the last piece by its halves, or give it up."""
        known = as_consume_error(error)
        match classify(error):
            case Verdict.RETRY:
                await self._wait_or_give_up(known, run)
            case Verdict.SPLIT:
                self._make_smaller(known, run)
            case Verdict.DROP:
                if not isinstance(error, ConsumeError):
                    self._reports.crashed(error)
                run.give_up(Reason.PERMANENT, known)

    async def _wait_or_give_up(self, error: ConsumeError, run: _Run) -> None:
        now = self._now()
        if run.backoff is None:
            run.backoff = Backoff(self._retry, run.started, self._random)
        wish = error.retry_after if isinstance(error, RetryableError) else None
        delay = run.backoff.next(now, wish)
        if delay is None:
            run.give_up(Reason.EXPIRED, error)
            return
        self._reports.retrying(run.pieces[-1], error, run.attempts, delay)
        if not await self.pause(delay):
            self._retries.add()

    def _make_smaller(self, error: ConsumeError, run: _Run) -> None:
        """Replace the last piece by its halves, or a single item by a shorter form of it; or give it up."""
        piece = run.pieces[-1]
        if halves := piece.halves():
            run.pieces[-1:] = reversed(halves)
            return
        shorter = shorten(piece.batch, piece.batch.byte_size // 2) if self._shortens and _is_large(piece) else None
        if shorter is not None:
            original = piece.original or piece.batch
            run.pieces[-1] = Request(shorter, piece.items, original=original, shortened=True, prepared=piece.prepared)
            return
        run.give_up(Reason.TOO_LARGE, error)
        if piece.batch.byte_size < SMALL_BYTES:
            run.small_refusals += 1
            while run.pieces and run.small_refusals >= SMALL_REFUSALS:
                run.give_up(Reason.PERMANENT, error)

    def _delivered(self, request: Request, outcome: Outcome, run: _Run) -> None:
        items, result = request.items, run.result
        if outcome.rest is not None:
            items -= outcome.rest.item_count
        for part in outcome.refused:
            refused = Request(part.batch, part.batch.item_count, original=request.original)
            reason = Reason.TOO_LARGE if classify(part.error) is Verdict.SPLIT else Reason.PERMANENT
            result.failures.append(Failure(refused, reason, part.error, run.attempts))
            items -= refused.items
        rejected = min(outcome.rejected, items)
        result.delivered += items - rejected
        result.rejected += rejected
        if request.shortened:
            self._shortened.add(items)
            self._reports.shortened(request)
        self._accounting.deliver(request.batch.signal, items, rejected)
        if outcome.rest is None:
            self._reports.delivered()
        if rejected or outcome.message:
            self._reports.partial(request, outcome)

    def _circuit_changed(self, state: Circuit, why: str) -> None:
        self._meter.counter("exporter_circuit_changes", state=state.name.lower()).add()
        self._reports.circuit(state, why)

    def _status(self, code: Code) -> Counter:
        counter = self._statuses.get(code)
        if counter is None:
            labels = {"destination": self._sender.destination, "status": code.name}
            counter = self._statuses[code] = self._meter.counter("destination_requests", **labels)
        return counter


class _Run:
    """One request on its way: the pieces that have no outcome yet, the next one last."""

    __slots__ = ("attempts", "backoff", "pieces", "result", "small_refusals", "started")

    def __init__(self, pieces: list[Request], result: Result, started: float) -> None:
        self.pieces = pieces
        self.result = result
        self.started = started
        self.attempts = 0
        self.backoff: Backoff | None = None
        self.small_refusals = 0

    def give_up(self, reason: Reason, error: ConsumeError) -> None:
        """End the next piece."""
        self.result.failures.append(Failure(self.pieces.pop(), reason, error, self.attempts))


def _is_large(request: Request) -> bool:
    return request.batch.byte_size >= SHORTEN_BYTES
