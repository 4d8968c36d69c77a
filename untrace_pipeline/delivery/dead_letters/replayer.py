"""Sends dead letters again: each of those that are there when it begins, once, and removes what was accepted."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from untrace_pipeline.api.consumer import Consumer
from untrace_pipeline.data import Batch
from untrace_pipeline.delivery.dead_letters.claims import Replay
from untrace_pipeline.delivery.dead_letters.letter import Amount, FiledLetter, LetterFilter
from untrace_pipeline.delivery.dead_letters.store import DeadLetterStore
from untrace_pipeline.delivery.request import Reason, as_consume_error
from untrace_pipeline.errors import Code, ConsumeError, OversizeError, PermanentError, RetryableError

__all__ = ["Progress", "Replayer"]

WAIT_SECONDS = 1.0
"""Between looks at what another replay has claimed, and between attempts to write to a store that is busy or full."""
AHEAD = 4
"""Letters that are claimed at once, for each that is sent at once."""
PATIENCE = 30
"""Attempts to write to the store, before the replay is given up."""
KINDS = 20
"""Errors that are told apart."""
FAILURES_IN_A_ROW = 8
"""After so many letters that the destination could not take, and none that it took, it is left alone."""

NOTHING = Amount()

T = TypeVar("T")


@dataclass(slots=True)
class Progress:
    """What became of the letters so far."""

    delivered: Amount = NOTHING
    failed: Amount = NOTHING
    """They stay, with what was said this time."""
    gone: int = 0
    """Letters that somebody removed after they were claimed."""
    errors: dict[str, int] = field(default_factory=dict)
    """Letters that failed, by what was said; the first few kinds."""
    unavailable: bool = False
    """Whether it ended early, because the destination took nothing."""
    waiting: int = 0
    """Letters that another replay is sending, while this one waits for the end of that."""

    @property
    def done(self) -> Amount:
        """Return what has been tried."""
        return self.delivered + self.failed


class Replayer:
    """One run over some letters; several may run at once, here and in other processes.

    A letter is claimed, handed to the consumer that ``target`` names, and removed once that has accepted it; if it
    refuses, the letter stays with the new reason. A crash at any moment loses nothing, and sends again at most what was
    under way: the same bytes, so that idempotency keys are equal.
    """

    def __init__(
        self,
        store: DeadLetterStore,
        target: Callable[[FiledLetter], Consumer],
        *,
        concurrency: int = 4,
        rate: float = 0.0,
        limit: int = 0,
    ) -> None:
        """``rate`` bounds items per second (0 = no bound), ``limit`` letters."""
        self._store = store
        self._target = target
        self._concurrency = concurrency
        self._rate = rate
        self._left = limit or float("inf")
        self._claimed: deque[FiledLetter] = deque()
        self._claiming = asyncio.Lock()
        self._after = 0
        self._free_at = 0.0
        self._failures = 0
        self._stopping = asyncio.Event()
        self.progress = Progress()

    def stop(self) -> None:
        """Begin with no further letter; :meth:`run` returns when those under way have ended."""
        self._stopping.set()

    async def run(self, chosen: LetterFilter) -> Progress:
        """Send what there is. Raises :class:`ConsumeError` where the store fails for good, or has no key.

        Cancelled, letters under way stay in the store, whether they have arrived or not.
        """
        async with self._store.lend(chosen) as run:
            workers = [asyncio.create_task(self._work(run)) for _ in range(self._concurrency)]
            try:
                await asyncio.gather(*workers)
            finally:
                for task in workers:
                    task.cancel()
                await asyncio.gather(*workers, return_exceptions=True)
        return self.progress

    async def _work(self, run: Replay) -> None:
        while (letter := await self._next(run)) is not None:
            await self._pace(letter.items)
            if self._stopping.is_set():
                return
            await self._send(letter)

    # ---------------------------------------------------------------- letters

    async def _next(self, run: Replay) -> FiledLetter | None:
        async with self._claiming:
            while not self._claimed and not self._stopping.is_set() and self._left > 0:
                if not await self._claim(run):
                    return None
            if not self._claimed or self._stopping.is_set():
                return None
            return self._claimed.popleft()

    async def _claim(self, run: Replay) -> bool:
        """Claim some letters, or wait for those that another replay has; return whether to go on."""
        limit = int(min(self._concurrency * AHEAD, self._left))
        letters = await _persistently(lambda: self._store.claim(run, after=self._after, limit=limit))
        self._claimed.extend(letters)
        self._left -= len(letters)
        if letters:
            self._after = letters[-1].id
        elif self._after:
            self._after = 0  # some may have come back from a replay that died
        else:
            self.progress.waiting = await self._store.claimed_by_others(run)
            if not self.progress.waiting:
                return False
            await self._sleep(WAIT_SECONDS)
        return True

    async def _send(self, letter: FiledLetter) -> None:
        try:
            payload = await _persistently(lambda: self._store.payload(letter))
        except PermanentError as error:
            if error.code is not Code.DATA_LOSS:
                raise
            await self._failed(letter, error, Reason.DAMAGED)
            return
        if payload is None:
            self.progress.gone += 1
            return
        try:
            await self._target(letter).consume(Batch(letter.signal, payload, letter.context))
        except Exception as error:  # noqa: BLE001  an exporter must raise nothing else, but losing count would be worse
            known = as_consume_error(error)
            await self._failed(letter, known, _reason(known))
            return
        await self._delivered(letter)

    async def _delivered(self, letter: FiledLetter) -> None:
        """Remove a letter, also when the replay is cancelled in this moment: it would be sent again."""
        removal = asyncio.create_task(_persistently(lambda: self._store.remove([letter.id])))
        try:
            await asyncio.shield(removal)
        finally:
            await removal
            self._failures = 0
            self.progress.delivered += _amount(letter)

    async def _failed(self, letter: FiledLetter, error: ConsumeError, reason: Reason) -> None:
        self._count(letter, error)
        await _persistently(lambda: self._store.keep(letter, reason=reason, error=error))
        self._failures = self._failures + 1 if isinstance(error, RetryableError) else 0
        if self._failures >= FAILURES_IN_A_ROW:
            self.progress.unavailable = True
            self.stop()

    def _count(self, letter: FiledLetter, error: ConsumeError) -> None:
        self.progress.failed += _amount(letter)
        errors, text = self.progress.errors, f"{error.code.name}: {error}"
        if text not in errors and len(errors) >= KINDS:
            text = "others"
        errors[text] = errors.get(text, 0) + 1

    # ------------------------------------------------------------------- time

    async def _pace(self, items: int) -> None:
        if not self._rate:
            return
        now = asyncio.get_running_loop().time()
        start = max(now, self._free_at)
        self._free_at = start + items / self._rate
        if start > now:
            await self._sleep(start - now)

    async def _sleep(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()


async def _persistently(work: Callable[[], Awaitable[T]]) -> T:
    """Do something with the store, again where that is busy or full. Raises :class:`ConsumeError` after a while."""
    for _ in range(PATIENCE):
        with suppress(RetryableError):
            return await work()
        await asyncio.sleep(WAIT_SECONDS)
    return await work()


def _amount(letter: FiledLetter) -> Amount:
    return Amount(1, letter.items, letter.bytes)


def _reason(error: ConsumeError) -> Reason:
    if isinstance(error, RetryableError):
        return Reason.EXPIRED
    return Reason.TOO_LARGE if isinstance(error, OversizeError) else Reason.PERMANENT
