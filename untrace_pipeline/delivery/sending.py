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
        loop = asyncio.get_running_loop()
        backoff: Backoff | None = None
        attempts = 0
        pieces = [request]
        try:
            while pieces:
                attempts += 1
                try:
                    outcome = await self._attempt(pieces[-1])
                except Exception as error:  # noqa: BLE001  judged by classify
                    backoff = backoff or Backoff(self._retry, loop.time(), self._random)
                    await self._judge(error, pieces, backoff, attempts, failures)
                else:
                    self._delivered(pieces.pop(), outcome)
        except asyncio.CancelledError:
            unfinished = RetryableError("shutting down")
            failures.extend(Failure(piece, Reason.SHUTDOWN, unfinished, attempts) for piece in pieces)
            raise

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

    async def _judge(
        self, error: Exception, pieces: list[Request], backoff: Backoff, attempts: int, failures: list[Failure]
    ) -> None:
        """Wait for the next attempt, replace the last piece by its halves, or give it up."""
        piece = pieces[-1]
        known = as_consume_error(error)
        reason = Reason.PERMANENT
        match classify(error):
            case Verdict.RETRY:
                wish = known.retry_after if isinstance(known, RetryableError) else None
                delay = backoff.next(asyncio.get_running_loop().time(), wish)
                if delay is not None:
                    self._reports.retrying(piece, known, attempts, delay)
                    await self._pause(delay)
                    self._retries.add()
                    return
                reason = Reason.EXPIRED
            case Verdict.SPLIT:
                halves = _halves(piece)
                if halves:
                    pieces[-1:] = reversed(halves)
                    return
                reason = Reason.TOO_LARGE
            case Verdict.DROP if not isinstance(error, ConsumeError):
                self._reports.crashed(error)
        failures.append(Failure(pieces.pop(), reason, known, attempts))

    def _delivered(self, request: Request, outcome: Outcome) -> None:
        rejected = min(outcome.rejected, request.items)
        self._accounting.deliver(request.batch.signal, request.items, rejected)
        self._reports.delivered()
        if rejected or outcome.message:
            self._reports.partial(request, outcome)

    async def _pause(self, delay: float) -> None:
        if self._draining.is_set():
            await asyncio.sleep(min(delay, DRAIN_WAIT_SECONDS))
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


def _halves(request: Request) -> list[Request]:
    """Return two requests with half the items each, or nothing if it cannot be cut further."""
    if request.items <= 1:
        return []
    try:
        parts = request.batch.split(max_items=(request.items + 1) // 2)
    except DecodeError:
        return []
    return [Request(part, part.item_count) for part in parts]
