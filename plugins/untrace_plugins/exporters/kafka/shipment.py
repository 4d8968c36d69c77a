"""The messages of one request on their way, over as many attempts as it takes. Pure: knows no broker, only answers.

An attempt that ends early, because its time is up or because some messages failed, leaves the others where they are:
the next attempt sends again only what failed, and waits for what is still under way. So a retry repeats nothing that
a broker has, or may yet get.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from enum import Enum, auto

from untrace_pipeline.data import Batch
from untrace_pipeline.delivery import DELIVERED, Outcome
from untrace_pipeline.errors import ConsumeError, OversizeError, RetryableError
from untrace_plugins.exporters.kafka.messages import Message

__all__ = ["HandOver", "Parcel", "Shipment"]


class State(Enum):
    """Where a message is."""

    WAITING = auto()
    UNDER_WAY = auto()
    DELIVERED = auto()
    FAILED = auto()


class Parcel:
    """One message of a shipment."""

    __slots__ = ("_shipment", "alone", "error", "message", "state")

    def __init__(self, message: Message, shipment: Shipment) -> None:
        self.message = message
        self.state = State.WAITING
        self.error: ConsumeError | None = None
        self.alone = False
        """Send it in a batch of its own: brokers judge batches, and this one was in a batch that was too large."""
        self._shipment = shipment

    def settle(self, error: ConsumeError | None) -> None:
        """Take the answer of a broker, or of the library."""
        self.state = State.FAILED if error else State.DELIVERED
        self.error = error
        self._shipment.settled()


HandOver = Callable[[Parcel], Awaitable[None]]
"""Gives a parcel to the library, waiting for room; the parcel is settled later, or at once."""


class Shipment:
    """All messages of one request."""

    def __init__(self, messages: Iterable[Message]) -> None:
        self.parcels = [Parcel(message, self) for message in messages]
        self._under_way = 0
        self._all_settled: asyncio.Future[None] | None = None

    async def attempt(self, hand_over: HandOver) -> Outcome:
        """Send what is not delivered, and wait for everything that is under way.

        Raises what ended the attempt: :class:`RetryableError`, or where nothing was taken :class:`OversizeError` or
        :class:`PermanentError`. What is too large for a broker while others were taken is the rest of the outcome, so
        that only that is cut and sent again. Cancelled, it can be tried again.
        """
        self._wait_again(lambda error: isinstance(error, RetryableError))
        while True:
            for parcel in self.parcels:
                if parcel.state is State.WAITING:
                    parcel.state = State.UNDER_WAY
                    self._under_way += 1
                    await self._handed_over(parcel, hand_over)
            await self._settled()
            if not self._single_out():
                return self._outcome()

    def settled(self) -> None:
        """One parcel has its answer."""
        self._under_way -= 1
        waiter = self._all_settled
        if not self._under_way and waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def _handed_over(self, parcel: Parcel, hand_over: HandOver) -> None:
        try:
            await hand_over(parcel)
        except BaseException:  # cancelled while it waited for room: nobody has it
            parcel.state = State.WAITING
            self._under_way -= 1
            raise

    async def _settled(self) -> None:
        if self._under_way:
            self._all_settled = asyncio.get_running_loop().create_future()
            await self._all_settled

    def _wait_again(self, wanted: Callable[[ConsumeError | None], bool]) -> list[Parcel]:
        again = [parcel for parcel in self.parcels if parcel.state is State.FAILED and wanted(parcel.error)]
        for parcel in again:
            parcel.state = State.WAITING
        return again

    def _single_out(self) -> bool:
        """Let those that were too large try alone; return whether there are any."""
        crowd = [parcel for parcel in self.parcels if not parcel.alone and isinstance(parcel.error, OversizeError)]
        for parcel in crowd:
            parcel.alone, parcel.state, parcel.error = True, State.WAITING, None
        return bool(crowd)

    def _outcome(self) -> Outcome:
        """Tell what became of the request, once all have their answer: what may pass first, then what can be cut."""
        failed = [(parcel.message, parcel.error) for parcel in self.parcels if parcel.error is not None]
        if not failed:
            return DELIVERED
        for _, error in failed:
            if isinstance(error, RetryableError):
                raise error
        large = [(message, error) for message, error in failed if isinstance(error, OversizeError)]
        if len(failed) == len(self.parcels):
            raise (large or failed)[0][1]
        refused = [(message, error) for message, error in failed if not isinstance(error, OversizeError)]
        rejected = sum(message.items for message, _ in refused)
        words = str(refused[0][1]) if refused else ""
        if not large:
            return Outcome(rejected, words)
        cause = RetryableError(str(large[0][1]), retry_after=0.0, code=large[0][1].code)
        return Outcome(rejected, words, Batch.merge([message.part for message, _ in large]), cause)
