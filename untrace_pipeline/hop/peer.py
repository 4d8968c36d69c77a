"""The connection to one other worker: requests both ways, and who has said that nothing more will come."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias, cast

from untrace_pipeline.api.identity import PipelineId
from untrace_pipeline.data import Batch
from untrace_pipeline.errors import Code, ConsumeError, OversizeError, RetryableError
from untrace_pipeline.hop.bodies import decode_error, decode_request, encode_error, encode_request
from untrace_pipeline.hop.frames import MAX_BYTES, Decoder, Frame, FrameError, FrameKind, encode

__all__ = ["Peer", "Serve"]

Serve: TypeAlias = Callable[[PipelineId, Batch], Coroutine[Any, Any, None]]
"""Hands what the other worker sent to the pipeline. Raises :class:`ConsumeError`."""

ANSWER_SECONDS = 60.0
"""How long an answer is waited for. A queue that blocks may hold a request for long; a worker that hangs, for ever."""
RETRY_AFTER = 1.0
"""When senders may come back after a worker was not there: the first restart comes after a second."""

logger = logging.getLogger(__name__)


class Peer(asyncio.Protocol):
    """One end; made when the connection exists, and used until it is closed."""

    def __init__(self, index: int, serve: Serve) -> None:
        self.index = index
        self.leaving = False
        """Whether the other end has asked for no more requests."""
        self.changed = asyncio.Event()
        """Set when the other end said something that :meth:`has_finished` depends on."""
        self._serve = serve
        self._transport: asyncio.Transport | None = None
        self._decoder = Decoder()
        self._next_number = 0
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._served: dict[int, asyncio.Task[None]] = {}
        self._serving: Counter[PipelineId] = Counter()
        """Requests of the other end that are under way, by pipeline."""
        self._finished: set[str] = set()
        self._writable = asyncio.Event()
        self._writable.set()

    @property
    def closed(self) -> bool:
        """Whether the connection is gone."""
        return self._transport is None or self._transport.is_closing()

    def has_finished(self, pipeline: PipelineId) -> bool:
        """Return whether no request for a pipeline can come from the other end any more, and none is under way."""
        said = self.closed or "" in self._finished or str(pipeline) in self._finished
        return said and not self._serving[pipeline]

    async def request(self, pipeline: PipelineId, batch: Batch) -> None:
        """Send a part of a batch and wait until all that is behind has accepted it there.

        Raises the error that was raised there, or :class:`RetryableError` where no answer came.
        """
        if self.closed or self.leaving:
            raise self._gone()
        head, payload = encode_request(pipeline, batch)
        if len(head) + len(payload) > MAX_BYTES:
            raise OversizeError(f"{len(payload)} bytes, more than can be sent to another worker at once")
        number = self._next_number = (self._next_number + 1) % 2**32
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                self._send(Frame(FrameKind.REQUEST, number, head, payload))
                await self._writable.wait()
                await answer
        except TimeoutError as error:
            self._send(Frame(FrameKind.CANCEL, number))
            msg = f"worker {self.index} has not answered within {ANSWER_SECONDS:g} s"
            raise RetryableError(msg, retry_after=RETRY_AFTER, code=Code.DEADLINE_EXCEEDED) from error
        except asyncio.CancelledError:
            self._send(Frame(FrameKind.CANCEL, number))
            raise
        finally:
            del self._waiting[number]
            self._say_last_if_asked()

    def say_last(self, pipeline: PipelineId) -> None:
        """Tell the other end that no further request for a pipeline will come."""
        self._send(Frame(FrameKind.LAST, head=str(pipeline).encode()))

    def say_leaving(self) -> None:
        """Ask the other end for no further requests."""
        self._send(Frame(FrameKind.LEAVING))

    async def close(self) -> None:
        """Close the connection, after what was written, and end what is served for the other end."""
        if self._transport is not None:
            self._transport.close()
        tasks = list(self._served.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # --------------------------------------------------------------- protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        try:
            for frame in self._decoder.feed(data):
                self._take(frame)
        except FrameError as error:
            logger.error("worker %d is not understood and is disconnected: %s", self.index, error)  # noqa: TRY400
            assert self._transport is not None
            self._transport.abort()

    def connection_lost(self, _error: Exception | None) -> None:
        """The other worker has ended: what waits for it is refused, and what it waits for is cancelled."""
        self._writable.set()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(self._gone())
        for task in self._served.values():
            task.cancel()
        self.changed.set()

    def pause_writing(self) -> None:
        """The other end does not read as fast as we write."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """It does again."""
        self._writable.set()

    # --------------------------------------------------------------- internal

    def _take(self, frame: Frame) -> None:
        match frame.kind:
            case FrameKind.REQUEST:
                pipeline, batch = decode_request(frame.head, frame.payload)
                self._served[frame.number] = task = asyncio.create_task(self._work(frame.number, pipeline, batch))
                self._serving[pipeline] += 1
                task.add_done_callback(lambda _: self._done(frame.number, pipeline))
            case FrameKind.CANCEL:
                if (task_ := self._served.get(frame.number)) is not None:
                    task_.cancel()
            case FrameKind.ACCEPTED | FrameKind.REFUSED:
                self._take_answer(frame)
            case FrameKind.LAST:
                self._finished.add(frame.head.decode(errors="replace"))
                self.changed.set()
            case FrameKind.LEAVING:
                self.leaving = True
                self._say_last_if_asked()

    def _take_answer(self, frame: Frame) -> None:
        answer = self._waiting.get(frame.number)
        if answer is None or answer.done():
            return
        if frame.kind is FrameKind.ACCEPTED:
            answer.set_result(None)
        else:
            answer.set_exception(decode_error(frame.head))

    async def _work(self, number: int, pipeline: PipelineId, batch: Batch) -> None:
        try:
            await self._serve(pipeline, batch)
        except ConsumeError as error:
            self._send(Frame(FrameKind.REFUSED, number, encode_error(error)))
        else:
            self._send(Frame(FrameKind.ACCEPTED, number))

    def _done(self, number: int, pipeline: PipelineId) -> None:
        task = self._served.pop(number)
        self._serving[pipeline] -= 1
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("what worker %d sent could not be answered", self.index, exc_info=error)
        self.changed.set()

    def _say_last_if_asked(self) -> None:
        if self.leaving and not self._waiting:
            self._send(Frame(FrameKind.LAST))

    def _send(self, frame: Frame) -> None:
        if not self.closed:
            assert self._transport is not None
            self._transport.writelines(encode(frame))

    def _gone(self) -> RetryableError:
        what = "is being stopped" if self.leaving else "has ended"
        return RetryableError(f"worker {self.index}, where this belongs, {what}", retry_after=RETRY_AFTER)
