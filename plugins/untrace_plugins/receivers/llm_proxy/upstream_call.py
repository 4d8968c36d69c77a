"""One request to one upstream: what comes back is copied, and passed on as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic_ns

from untrace_pipeline.net.http_origin_connection import AnswerHead, CallError, Failure, OriginConnection
from untrace_plugins.receivers.llm_proxy.tee import Tee

__all__ = ["UpstreamCall"]


class UpstreamCall:
    """Listens to a connection. Its deadlines are seconds of the loop's clock."""

    __slots__ = (
        "_connection",
        "_deadline",
        "_held",
        "_idle",
        "_loop",
        "_paused",
        "_sink",
        "_timer",
        "_touched",
        "_waiter",
        "answered",
        "ended",
        "error",
        "head",
        "tee",
    )

    def __init__(self, tee: Tee | None, deadline: float, idle: float) -> None:
        """``tee`` copies the body; ``deadline`` is that of the whole call, ``idle`` the longest silence in a body."""
        self._loop = asyncio.get_running_loop()
        self._connection: OriginConnection | None = None
        self._deadline = deadline
        self._idle = idle
        self._touched = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._held: list[bytes] = []
        self._sink: Callable[[bytes], None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._paused = False
        self.tee = tee
        self.head: AnswerHead | None = None
        self.answered = 0
        """When the head came, on the monotonic clock in nanoseconds."""
        self.error: CallError | None = None
        self.ended = False
        """Whether the body is complete."""

    async def send(
        self, connection: OriginConnection, data: tuple[bytes, bytes], first_byte: float, *, head_only: bool
    ) -> None:
        """Send head and body, and wait for the head of the answer, or for :attr:`error`."""
        self._connection = connection
        limit = self._loop.time() + first_byte if first_byte else self._deadline
        self._timer = self._loop.call_at(min(limit, self._deadline), self._expire, "no answer in time")
        connection.send(*data, self, head_only=head_only)
        await self._wait()

    def pass_on(self, sink: Callable[[bytes], None]) -> None:
        """Give what came of the body, and what will come, to ``sink``."""
        held, self._held = self._held, []
        for piece in held:
            sink(piece)
        self._sink = sink

    async def finished(self) -> None:
        """Wait until the body is complete, or for :attr:`error`."""
        if not self.ended and self.error is None:
            self._watch_body()
            await self._wait()

    def pause(self) -> None:
        """The client is slow: read no more."""
        self._paused = True
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        """Read on."""
        self._paused = False
        self._touched = self._loop.time()
        if self._connection is not None:
            self._connection.resume()

    def abort(self) -> None:
        """Give the call up, unless it has ended."""
        self._settle()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()

    def release(self) -> None:
        """Forget the client: what came, and what will come, is thrown away."""
        self._held.clear()
        self._sink = _discard

    # ------------------------------------------------- called by the connection

    def on_head(self, head: AnswerHead) -> None:
        """The answer begins."""
        self.head = head
        self.answered = monotonic_ns()
        self._touched = self._loop.time()
        self._settle()
        self._wake()

    def on_piece(self, piece: bytes) -> None:
        """Copy a piece and pass it on."""
        self._touched = self._loop.time()
        if self.tee is not None:
            self.tee.add(piece, monotonic_ns())
        if self._sink is None:
            self._held.append(piece)
        else:
            self._sink(piece)

    def on_end(self) -> None:
        """The body is complete."""
        self.ended = True
        self._connection = None
        self._settle()
        self._wake()

    def on_failure(self, error: CallError) -> None:
        """There will be no more."""
        self.error = error
        self._connection = None
        self._settle()
        self._wake()

    # ------------------------------------------------------------------- time

    def _watch_body(self) -> None:
        """Look again when the body would have been silent for too long, counted from its last piece."""
        limit = self._touched + self._idle if self._idle else self._deadline
        self._timer = self._loop.call_at(min(limit, self._deadline), self._look)

    def _look(self) -> None:
        now = self._loop.time()
        if now >= self._deadline:
            self._expire("the answer was not complete in time")
        elif self._paused:
            self._touched = now
            self._watch_body()
        elif self._idle and now >= self._touched + self._idle:
            self._expire("the answer stopped in the middle")
        else:
            self._watch_body()

    def _expire(self, why: str) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()
        self.on_failure(CallError(Failure.TIMEOUT, why))

    def _settle(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _discard(_piece: bytes) -> None:
    """Nobody is there to read it."""
