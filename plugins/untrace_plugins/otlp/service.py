"""What the receiver does with a request, whichever transport brought it.

The seam is narrow on purpose: a transport hands over bytes and a context and gets an :class:`Answer` back, so that
another transport can stand in its place.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from untrace_pipeline.api import Code, ConsumeError, Intake, RetryableError
from untrace_pipeline.data import Batch, Context, Signal
from untrace_pipeline.net.refusal import DEFAULT_DELAY_SECONDS

__all__ = ["OK", "Answer", "Encoding", "NativeLimitError", "OtlpService"]

MOST_REMARKS = 50
"""Of a dry run that are told; a request with more is no question."""


class NativeLimitError(Exception):
    """The native transport cannot do what the configuration asks for; says what."""


class Encoding(StrEnum):
    """Forms of an OTLP request; the value is the media type."""

    PROTOBUF = "application/x-protobuf"
    JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """How a request ended."""

    code: Code = Code.OK
    message: str = ""
    """Why not; of a success, what is said about it."""
    retry_after: float | None = None
    """Seconds after which the same request may succeed; ``None`` if it never will."""
    partly: bool = False
    """Whether some destination has it all the same."""


OK = Answer()
_INTERNAL = Answer(Code.UNAVAILABLE, "internal error, see the log of the receiver", DEFAULT_DELAY_SECONDS)
_UNEXPECTED = "a request of %s failed unexpectedly; the client may send it again"


class OtlpService:
    """Takes requests of the signals that have a pipeline. Safe for any number of calls at a time."""

    def __init__(self, id: str, signals: Collection[Signal], next: Intake, logger: logging.Logger) -> None:
        self._id = id
        self._next = next
        self._logger = logger
        self._unserved = {signal: _unserved(id, signal) for signal in Signal if signal not in signals}

    def is_served(self, signal: Signal) -> bool:
        """Whether a pipeline takes the signal."""
        return signal not in self._unserved

    def refusal(self, signal: Signal, byte_size: int, requests: int = 1) -> Answer | None:
        """Ask before the body is read (0 = unknown size): the answer if the request would be refused anyway.

        ``requests``: how many would be, all for the same reason.
        """
        if signal in self._unserved:
            return self._unserved[signal]
        try:
            self._next.admit(byte_size)
        except ConsumeError as error:
            for _ in range(requests - 1):  # whoever admits counts those that are refused
                with suppress(ConsumeError):
                    self._next.admit(byte_size)
            return _refused(error)
        return None

    async def export(self, signal: Signal, encoding: Encoding, body: bytes, context: Context) -> Answer:
        """Check the request, hand it on, and say how it ended. Never raises, except ``CancelledError``."""
        try:
            if encoding is Encoding.PROTOBUF:
                batch = Batch(signal, body, context)
                batch.validate()
            else:
                batch = Batch.from_json(signal, body, context)
        except ConsumeError as error:
            return _refused(error)
        except Exception:
            self._logger.exception(_UNEXPECTED, signal)
            return _INTERNAL
        return await self.take(batch)

    async def take(self, batch: Batch) -> Answer:
        """Hand a valid request on, and say how it ended. Never raises, except ``CancelledError``."""
        try:
            if batch.item_count:
                await self._next.consume(batch)
        except ConsumeError as error:
            return _refused(error)
        except Exception:
            self._logger.exception(_UNEXPECTED, batch.signal)
            return _INTERNAL
        return _remarked(batch.context.remarks) if batch.context.remarks else OK


def _remarked(remarks: Sequence[str]) -> Answer:
    """Return what is told to who asked for a dry run."""
    more = f"; and {len(remarks) - MOST_REMARKS} more" if len(remarks) > MOST_REMARKS else ""
    return Answer(message=f"dry run, nothing was sent: {'; '.join(remarks[:MOST_REMARKS])}{more}")


def _unserved(id: str, signal: Signal) -> Answer:
    return Answer(Code.UNIMPLEMENTED, f"no {signal} pipeline names receiver {id}")


def _refused(error: ConsumeError) -> Answer:
    if not isinstance(error, RetryableError):
        return Answer(error.code, str(error), partly=error.partly_accepted)
    delay = DEFAULT_DELAY_SECONDS if error.retry_after is None else error.retry_after
    return Answer(error.code, str(error), delay, error.partly_accepted)
