"""From calls that have ended to spans in the pipelines, off the path of the calls.

A call is never delayed and never fails because of what happens here: what cannot be taken is dropped and counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from untrace_pipeline.api import ConsumeError, Credentials, Intake, RetryableError, Settings
from untrace_pipeline.data import Batch, Context, Signal
from untrace_pipeline.data.compose import Scope, compose_span, join_spans
from untrace_pipeline.net.client import user_agent
from untrace_plugins.genai.providers.exchange import Capture, Exchange
from untrace_plugins.genai.providers.span import Spent, to_span, usage_of
from untrace_plugins.receivers.llm_proxy.call import Call
from untrace_plugins.receivers.llm_proxy.config import LlmProxyConfig
from untrace_plugins.receivers.llm_proxy.limits import Limits
from untrace_plugins.receivers.llm_proxy.meters import Meters

__all__ = ["CaptureQueue"]

SPANS_AT_ONCE, SPANS_AT_MOST = 16, 64
"""Spans of a batch, and where more calls wait. Few, because pipelines let nobody in between while they work on it; not
one by one, because then each call of a client would meet the span of the one before."""
BYTES_AT_ONCE: Final = 2 * 1024 * 1024
"""Bytes of their bodies, about."""
BATCHES_IN_HAND: Final = 16
"""Batches that the pipelines may have at once: one by one would be too slow where a ``batch`` processor gathers."""
CALLS_PER_TURN: Final = 200
"""For as many calls that wait, one more is read before the event loop is let go."""
LARGE_BYTES: Final = 128 * 1024
"""Bodies from here on are read in a thread, so that the calls of others go on meanwhile."""
FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 5.0


class CaptureQueue:
    """A bounded queue of calls, and the task that empties it."""

    def __init__(
        self, config: LlmProxyConfig, settings: Settings, next: Intake, limits: Limits, meters: Meters
    ) -> None:
        self._config = config
        self._queue = config.capture_queue
        self._logger = settings.logger
        self._next = next
        self._limits = limits
        self._meters = meters
        self._calls: deque[Call] = deque()
        self._bytes = 0
        self._taken = 0  # calls that have left the queue, and whose spans have no end yet
        self._hands = asyncio.Semaphore(BATCHES_IN_HAND)
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._resource = {"service.name": config.service_name}
        name, _, version = user_agent().partition("/")
        self._scope = Scope(f"{name}/llm_proxy", version)
        meters.watch_queue(lambda: len(self._calls), lambda: self._bytes, self._queue.max_calls)

    def put(self, call: Call) -> None:
        """Take a call that has ended. Never waits and never raises."""
        size = call.byte_size
        if len(self._calls) + self._taken >= self._queue.max_calls or self._bytes + size > self._queue.max_bytes:
            self._meters.lost("queue_full", 1)
            return
        self._bytes += size
        self._calls.append(call)
        self._look()

    async def run(self) -> None:
        """Empty the queue until :meth:`close`."""
        async with asyncio.TaskGroup() as handing_on:
            while not (self._closing and not self._calls):
                await self._wake.wait()
                self._wake.clear()
                for who, spans in await self._some_spans():
                    await self._hands.acquire()
                    handing_on.create_task(self._hand_on(who, spans))
                self._look()

    def _look(self) -> None:
        """Wake :meth:`run` where there is enough to do, or later."""
        if self._closing or len(self._calls) >= SPANS_AT_ONCE:
            self._wake.set()
        elif self._calls and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._queue.flush_interval, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self._wake.set()

    def close(self) -> None:
        """Let :meth:`run` end when the queue is empty, without waiting for more."""
        self._closing = True
        self._look()
        if self._timer is not None:
            self._timer.cancel()

    def abandon(self) -> None:
        """Count and log what :meth:`run` could not hand on before it was stopped."""
        lost = self._taken + len(self._calls)
        if lost:
            self._meters.lost("shutdown", lost)
            self._logger.error("%d calls have no span, because the daemon had to stop", lost)
        self._taken = 0
        self._calls.clear()

    # ------------------------------------------------------------------- spans

    async def _some_spans(self) -> list[tuple[Credentials, list[bytes]]]:
        """Return the spans of the next calls, by who made them.

        The event loop is let go after each, or after some where many wait: calls must not come faster than they go.
        """
        found: dict[str, tuple[Credentials, list[bytes]]] = {}
        count = total = 0
        most = min(len(self._calls), SPANS_AT_MOST)
        while count < most and total < BYTES_AT_ONCE:
            call = self._calls.popleft()
            self._taken += 1
            size = call.byte_size
            count, total = count + 1, total + size
            try:
                span = await self._span(call, size)
                found.setdefault(repr(call.who), (call.who, []))[1].append(span)
            except Exception:
                self._logger.exception("a call could not be made a span; it is missing in its trace")
                self._lose("unreadable", 1)
            finally:
                self._bytes -= size
            if count % (1 + len(self._calls) // CALLS_PER_TURN) == 0:
                await asyncio.sleep(0)
        return list(found.values())

    async def _span(self, call: Call, size: int) -> bytes:
        exchange = call.exchange()
        if size < LARGE_BYTES:
            span, spent = self._read(exchange, call.key)
        else:
            span, spent = await asyncio.to_thread(self._read, exchange, call.key)
        if spent is not None:
            self._limits.spend(call.key, spent, exchange.start_unix_nano)
        return span

    def _read(self, exchange: Exchange, key: str) -> tuple[bytes, Spent | None]:
        span = to_span(exchange, self._config.capture, estimate=self._config.estimate_usage)
        known = None if self._config.capture is Capture.NONE else span.attributes
        return compose_span(span), usage_of(exchange, known) if key else None

    # --------------------------------------------------------------- pipelines

    async def _hand_on(self, who: Credentials, spans: list[bytes]) -> None:
        """Offer spans until they are accepted, refused for good, or too old."""
        try:
            await self._offer(who, spans)
        finally:
            self._hands.release()

    async def _offer(self, who: Credentials, spans: list[bytes]) -> None:
        payload = join_spans(self._resource, self._scope, spans)
        deadline = asyncio.get_running_loop().time() + self._queue.max_elapsed_time
        pause = FIRST_PAUSE_SECONDS
        while True:
            context = Context(auth=who.attributes, tenant=who.tenant, transport="http")
            try:
                await self._next.consume(Batch(Signal.TRACES, payload, context))
            except RetryableError as error:
                delay = min(max(error.retry_after or 0.0, pause), LONGEST_PAUSE_SECONDS)
                if asyncio.get_running_loop().time() + delay > deadline:
                    self._give_up(len(spans), str(error))
                    return
                await asyncio.sleep(delay)
                pause *= 2
            except ConsumeError as error:
                self._give_up(len(spans), str(error))
                return
            else:
                self._taken -= len(spans)
                return

    def _lose(self, reason: str, spans: int) -> None:
        self._taken -= spans
        self._meters.lost(reason, spans)

    def _give_up(self, spans: int, why: str) -> None:
        self._lose("refused", spans)
        self._logger.error("%d spans of calls are lost, the pipelines refused them: %s", spans, why)
