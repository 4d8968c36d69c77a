"""Attempts of one request until every item of it has an outcome: timeout, retry, splitting."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress

from untrace_pipeline.api.component import Settings
from untrace_pipeline.api.telemetry import Counter
from untrace_pipeline.delivery.accounting import Accounting
from untrace_pipeline.delivery.config import DeliveryConfig
from untrace_pipeline.delivery.reports import Reports
from untrace_pipeline.delivery.request import (
    Failure,
    Outcome,
    Reason,
    Request,
    Sender,
    Verdict,
    as_consume_error,
    classify,
)
from untrace_pipeline.delivery.retry import Backoff
from untrace_pipeline.errors import Code, ConsumeError, DecodeError, RetryableError

__all__ = ["Sending"]

SMALL_BYTES = 64 * 1024
SMALL_REFUSALS = 8
"""After so many single items in a row, each so small, it is not their size that the destination refuses (a quota, say):
the rest of the request is given up instead of being asked for item by item."""

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
        self._sender = sender
        self._accounting = accounting
        self._reports = reports
        self._random = rng
        self._draining = asyncio.Event()
        self._meter = settings.meter
        self._retries = self._meter.counter("exporter_retries")
        self._latency = self._meter.histogram("destination_latency_seconds", destination=sender.destination)
        self._statuses: dict[Code, Counter] = {}
        self.attempts_under_way = 0

    def drain(self) -> None:
        """Stop waiting long between attempts."""
        self._draining.set()

    async def deliver(self, request: Request, failures: list[Failure]) -> None:
        """Send a request; what is given up is added to ``failures``, also when cancelled."""
        run = _Run([request], failures, asyncio.get_running_loop().time())
        try:
            while run.pieces:
                run.attempts += 1
                try:
                    outcome = await self._attempt(run.pieces[-1])
                except Exception as error:  # noqa: BLE001  judged by classify
                    await self._judge(error, run)
                else:
                    run.small_refusals = 0
                    self._delivered(run.pieces.pop(), outcome)
        finally:
            while run.pieces:  # cancelled
                run.give_up(Reason.SHUTDOWN, RetryableError("shutting down"))

    async def _attempt(self, request: Request) -> Outcome:
        started = time.perf_counter()
        code = Code.CANCELLED
        self.attempts_under_way += 1
        try:
            async with asyncio.timeout(self._timeout):
                outcome = await self._sender.send(request)
            code = Code.OK
        except Exception as error:
            code = as_consume_error(error).code
            raise
        finally:
            self.attempts_under_way -= 1
            self._latency.record(time.perf_counter() - started)
            self._status(code).add()
        return outcome

    async def _judge(self, error: Exception, run: _Run) -> None:
        """Wait for the next attempt, replace the last piece by its halves, or give it up."""
        known = as_consume_error(error)
        match classify(error):
            case Verdict.RETRY:
                await self._wait_or_give_up(known, run)
            case Verdict.SPLIT:
                _split_or_give_up(known, run)
            case Verdict.DROP:
                if not isinstance(error, ConsumeError):
                    self._reports.crashed(error)
                run.give_up(Reason.PERMANENT, known)

    async def _wait_or_give_up(self, error: ConsumeError, run: _Run) -> None:
        now = asyncio.get_running_loop().time()
        if run.backoff is None:
            run.backoff = Backoff(self._retry, run.started, self._random)
        wish = error.retry_after if isinstance(error, RetryableError) else None
        delay = run.backoff.next(now, wish)
        if delay is None:
            run.give_up(Reason.EXPIRED, error)
            return
        if self._draining.is_set():
            delay = min(delay, DRAIN_WAIT_SECONDS)
        self._reports.retrying(run.pieces[-1], error, run.attempts, delay)
        await self._pause(delay)
        self._retries.add()

    def _delivered(self, request: Request, outcome: Outcome) -> None:
        rejected = min(outcome.rejected, request.items)
        self._accounting.deliver(request.batch.signal, request.items, rejected)
        self._reports.delivered()
        if rejected or outcome.message:
            self._reports.partial(request, outcome)

    async def _pause(self, delay: float) -> None:
        if self._draining.is_set():
            await asyncio.sleep(delay)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._draining.wait()

    def _status(self, code: Code) -> Counter:
        counter = self._statuses.get(code)
        if counter is None:
            labels = {"destination": self._sender.destination, "status": code.name}
            counter = self._statuses[code] = self._meter.counter("destination_requests", **labels)
        return counter


class _Run:
    """One request on its way: the pieces that have no outcome yet, the next one last."""

    __slots__ = ("attempts", "backoff", "failures", "pieces", "small_refusals", "started")

    def __init__(self, pieces: list[Request], failures: list[Failure], started: float) -> None:
        self.pieces = pieces
        self.failures = failures
        self.started = started
        self.attempts = 0
        self.backoff: Backoff | None = None
        self.small_refusals = 0

    def give_up(self, reason: Reason, error: ConsumeError) -> None:
        """End the next piece."""
        self.failures.append(Failure(self.pieces.pop(), reason, error, self.attempts))


def _split_or_give_up(error: ConsumeError, run: _Run) -> None:
    piece = run.pieces[-1]
    halves = _halves(piece)
    if halves:
        run.pieces[-1:] = reversed(halves)
        return
    run.give_up(Reason.TOO_LARGE, error)
    if piece.batch.byte_size < SMALL_BYTES:
        run.small_refusals += 1
        while run.pieces and run.small_refusals >= SMALL_REFUSALS:
            run.give_up(Reason.PERMANENT, error)


def _halves(request: Request) -> list[Request]:
    """Return two requests with half the items each, or nothing if it cannot be cut further."""
    if request.items <= 1:
        return []
    try:
        parts = request.batch.split(max_items=(request.items + 1) // 2)
    except DecodeError:
        return []
    return [Request(part, part.item_count) for part in parts]
