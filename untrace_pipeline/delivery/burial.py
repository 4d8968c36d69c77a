"""Takes what is given up to the dead-letter queue, however long its storage needs."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

from untrace_pipeline.api.component import Host
from untrace_pipeline.api.identity import ComponentId
from untrace_pipeline.delivery.reports import Reports
from untrace_pipeline.delivery.request import Entry, Failure, Reason
from untrace_pipeline.delivery.storage import DeadLetter, DeadLetters, DeadLetterStorage
from untrace_pipeline.errors import ConsumeError, RetryableError, StartError

__all__ = ["Burial"]

RETRY_SECONDS = 5.0
"""Between attempts to write letters to a storage that fails: a full disk, usually."""
MESSAGE_LIMIT = 4096
"""Characters of a destination's answer that are kept."""


class Burial:
    """The dead-letter queue as one exporter sees it."""

    def __init__(self, exporter: ComponentId, destination: str, reports: Reports) -> None:
        self._exporter = str(exporter)
        self._destination = destination
        self._reports = reports
        self._letters: DeadLetters | None = None

    def start(self, host: Host, storage: str) -> None:
        """Find the storage. Raises :class:`StartError` if the extension keeps no dead letters."""
        extension = host.extension(storage)
        if not isinstance(extension, DeadLetterStorage):
            raise StartError(f"dead_letter_queue.storage: extension {storage} keeps no dead letters")
        self._letters = extension.dead_letters()

    async def bury(self, failures: Sequence[Failure], pause: Callable[[float], Awaitable[bool]]) -> None:
        """Make letters of failures, and mark them as buried.

        Tries until it succeeds, or until ``pause`` says that the time is over; then they are left as they are.
        """
        if self._letters is None:
            return
        letters = [self._letter(failure) for failure in failures]
        while True:
            try:
                await self._letters.bury(letters)
            except RetryableError as error:
                self._reports.not_buried(sum(letter.items for letter in letters), error)
                if await pause(RETRY_SECONDS):
                    return
            else:
                break
        for failure in failures:
            failure.buried = True

    async def overflow(self, entry: Entry, error: ConsumeError) -> bool:
        """Make a letter of an entry that the full queue did not take; return whether that succeeded at once."""
        failure = Failure(entry.request(), Reason.QUEUE_FULL, error, 0)
        if self._letters is None:
            return False
        await self.bury([failure], _never_again)
        return failure.buried

    def _letter(self, failure: Failure) -> DeadLetter:
        request = failure.request
        batch = request.original or request.batch
        context = batch.context
        return DeadLetter(
            exporter=self._exporter,
            destination=self._destination,
            reason=failure.reason,
            code=failure.error.code.name,
            message=(failure.error.detail or str(failure.error))[:MESSAGE_LIMIT],
            attempts=failure.attempts,
            failed_at=time.time(),
            received_at=context.received_at,
            signal=batch.signal,
            items=request.items,
            payload=batch.to_otlp(),
            tenant=context.tenant,
            metadata=context.metadata,
            key=request.key,
        )


async def _never_again(_delay: float) -> bool:
    return True
