"""All hops of one worker: which parts of a batch belong to whom, and the ways there and from there."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from time import perf_counter
from zlib import crc32

from untrace_pipeline.api.consumer import Consumer
from untrace_pipeline.api.fanout import consume_all
from untrace_pipeline.api.identity import PipelineId
from untrace_pipeline.api.telemetry import Meter
from untrace_pipeline.api.workers import Workers
from untrace_pipeline.data import Batch, Field, Level
from untrace_pipeline.engine.fanout import Drop
from untrace_pipeline.errors import ConsumeError, PermanentError, QueueFullError, RetryableError
from untrace_pipeline.hop.budget import Budget
from untrace_pipeline.hop.peer import RETRY_AFTER, Peer

__all__ = ["Hop", "Hops", "owner_of"]

BUDGET_BYTES = 32 * 1024 * 1024
"""Per pipeline and worker. Each pipeline has its own, so that one that waits for another never waits for itself."""
PEER_SECONDS = 1.0
"""How long a request waits for a worker that is not connected yet: the first requests after the start do."""
_TRACE_ID = Field(Level.ITEM, "trace_id")


def owner_of(trace_id: bytes, workers: int) -> int:
    """Return the worker that a trace belongs to. Depends on nothing else, so all workers agree.

    A checksum, because some SDKs make ids whose last bytes are not random.
    """
    return crc32(trace_id) % workers


class Hops:
    """Implements :class:`~untrace_pipeline.engine.hops.Hops` for a worker; the supervisor connects it to the others."""

    def __init__(self, workers: Workers, meter: Meter) -> None:
        self.workers = workers
        self._meter = meter
        self._peers: dict[int, Peer] = {}
        self._arrived = asyncio.Event()
        self._places: Mapping[PipelineId, Consumer] = {}
        self._leaving = False
        self._budgets: dict[tuple[PipelineId, int], Budget] = {}

    # ------------------------------------------------------------- for the engine

    def before(self, pipeline: PipelineId, next: Consumer, overflow: Drop) -> Consumer:
        """Return the hop before a processor of a pipeline."""
        return Hop(self, pipeline, next, overflow, self._meter) if self.workers.count > 1 else next

    def to_first(self, pipeline: PipelineId, next: Consumer) -> Consumer:
        """Return the way to exporters that run in worker 0 only."""
        return Away(self, 0, pipeline, self._meter) if self.workers.index else next

    def lead(self, places: Mapping[PipelineId, Consumer]) -> None:
        """Lead what other workers send to these processors from now on."""
        self._places = dict(places)

    async def finish(self, pipeline: PipelineId) -> None:
        """Say that no further request for a pipeline will come from here, and wait until the others have said so.

        What comes in spite of that, because the caller did not wait any longer, is refused.
        """
        peers = list(self._peers.values())
        for peer in peers:
            peer.say_last(pipeline)
        try:
            for peer in peers:
                while not peer.has_finished(pipeline):
                    peer.changed.clear()
                    await peer.changed.wait()
        finally:
            self._places = {one: place for one, place in self._places.items() if one != pipeline}

    # ------------------------------------------------------------- for the worker

    async def connect(self, index: int, end: socket.socket) -> None:
        """Take the connection to another worker, in place of the one before, if there was one."""
        end.setblocking(False)
        old = self._peers.pop(index, None)
        loop = asyncio.get_running_loop()
        _, peer = await loop.create_unix_connection(lambda: Peer(index, self._serve), sock=end)
        self._peers[index] = peer
        if self._leaving:
            peer.say_leaving()
        self._arrived.set()
        self._arrived = asyncio.Event()
        if old is not None:
            await old.close()

    def leave(self) -> None:
        """Ask the others, and who is introduced later, for no further requests: this worker stops and they do not."""
        self._leaving = True
        for peer in self._peers.values():
            peer.say_leaving()

    async def close(self) -> None:
        """Close all connections."""
        self._places = {}
        for peer in self._peers.values():
            await peer.close()

    # --------------------------------------------------------------- for hops

    async def send(self, worker: int, pipeline: PipelineId, batch: Batch) -> None:
        """Send a part of a batch to another worker. Raises what was raised there, or :class:`RetryableError`."""
        peer = await self._peer(worker)
        size = batch.byte_size
        budget = self._budgets.setdefault((pipeline, worker), Budget(BUDGET_BYTES))
        await budget.take(size)
        try:
            await peer.request(pipeline, batch)
        finally:
            budget.give(size)

    async def _peer(self, worker: int) -> Peer:
        try:
            async with asyncio.timeout(PEER_SECONDS):
                while (peer := self._peers.get(worker)) is None or peer.closed:
                    await self._arrived.wait()
        except TimeoutError:
            msg = f"worker {worker}, where this belongs, does not run"
            raise RetryableError(msg, retry_after=RETRY_AFTER) from None
        return peer

    async def _serve(self, pipeline: PipelineId, batch: Batch) -> None:
        place = self._places.get(pipeline)
        if place is None:
            msg = f"worker {self.workers.index} does not have the pipeline {pipeline} yet, or not any more"
            raise RetryableError(msg, retry_after=RETRY_AFTER)
        self._meter.counter("hop_items", pipeline=str(pipeline), way="received").add(batch.item_count)
        await place.consume(batch)


class Hop:
    """Before one processor: passes on what belongs here, and sends the rest to where it belongs."""

    def __init__(self, hops: Hops, pipeline: PipelineId, next: Consumer, overflow: Drop, meter: Meter) -> None:
        self._workers = hops.workers
        self._next = next
        self._overflow = overflow
        self._kept = meter.counter("hop_items", pipeline=str(pipeline), way="kept")
        self._away = [Away(hops, worker, pipeline, meter) for worker in range(self._workers.count)]

    async def consume(self, batch: Batch) -> None:
        """Return when every part was accepted, here or there; by the rule of :func:`consume_all` where some were."""
        owners = self._owners(batch)
        here = owners.count(self._workers.index)
        self._kept.add(here)
        if here == len(owners):
            await self._next.consume(batch)
            return

        def dropped(error: QueueFullError, _items: int) -> None:
            for destination, refused in sorted(error.refused.items()):
                self._overflow(destination, batch.signal, refused)

        parts = _cut(batch, owners)
        ways: list[Consumer] = [*self._away]
        ways[self._workers.index] = self._next
        await consume_all([(ways[owner], part) for owner, part in parts.items()], dropped)

    def _owners(self, batch: Batch) -> list[int]:
        count, own = self._workers.count, self._workers.index
        known: dict[object, int] = {b"": own, None: own}
        found = []
        for trace_id in batch.column(_TRACE_ID):
            owner = known.get(trace_id)
            if owner is None:
                assert isinstance(trace_id, bytes)
                owner = known[trace_id] = owner_of(trace_id, count)
            found.append(owner)
        return found


class Away:
    """The way to one other worker."""

    def __init__(self, hops: Hops, worker: int, pipeline: PipelineId, meter: Meter) -> None:
        self._hops = hops
        self._worker = worker
        self._pipeline = pipeline
        self._sent = meter.counter("hop_items", pipeline=str(pipeline), way="sent")
        self._latency = meter.histogram("processing_latency_seconds", stage="hop")

    async def consume(self, batch: Batch) -> None:
        """Return when the other worker's pipeline has accepted it. Raises :class:`ConsumeError`."""
        started = perf_counter()
        await self._hops.send(self._worker, self._pipeline, batch)
        self._sent.add(batch.item_count)
        self._latency.record(perf_counter() - started)


def _cut(batch: Batch, owners: list[int]) -> dict[int, Batch]:
    try:
        return {owner: part for owner, part in batch.partition(owners).items() if isinstance(owner, int)}
    except ConsumeError:
        raise
    except ValueError as error:  # an edit that a field cannot hold
        raise PermanentError(f"the batch cannot be cut by trace id: {error}") from error
