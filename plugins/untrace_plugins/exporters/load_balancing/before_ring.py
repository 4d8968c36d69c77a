"""The exporter with one queue before the ring: each attempt goes where the ring of that moment says."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeAlias

from untrace_pipeline.api import ConsumeError, Host, OversizeError, RetryableError, Settings, worst
from untrace_pipeline.data import Batch
from untrace_pipeline.delivery import Delivery, Outcome, Request
from untrace_plugins.exporters.load_balancing.backend import Backend
from untrace_plugins.exporters.load_balancing.balancing import Resolving, finish, routing_keys
from untrace_plugins.exporters.load_balancing.config import LoadBalancingConfig
from untrace_plugins.exporters.load_balancing.pool import Pool

__all__ = ["BeforeRingExporter"]

Answer: TypeAlias = "tuple[Batch, Outcome | ConsumeError]"


class BeforeRingExporter:
    """One delivery whose sender is the ring."""

    def __init__(self, config: LoadBalancingConfig, settings: Settings) -> None:
        self._settings = settings
        self._resolving = Resolving(config, settings)
        otlp, may_repeat = config.protocol.otlp, config.may_repeat

        def make(endpoint: str) -> Backend:
            return Backend(endpoint, otlp, settings, may_repeat=may_repeat)

        self._pool = Pool(config.resolver.kind, routing_keys(config, settings), settings, make, self._part_with)
        self._partings: set[asyncio.Task[None]] = set()
        self._host: Host | None = None
        self.destination = str(config.resolver)
        """What the backends are found by."""
        self._delivery = Delivery(config, self, settings)
        self.consume = self._delivery.consume
        self.admit = self._delivery.admit
        self.pending_items = self._delivery.pending_items

    async def start(self, host: Host) -> None:
        """Find the backends, and begin to send. Raises :class:`StartError`."""
        self._host = host
        self._pool.start(host)
        await self._resolving.start(host, self._pool, self._pool.told)
        await self._delivery.start(host)

    async def send(self, request: Request) -> Outcome:
        """Make one attempt at each backend that owns a part; what one did not take is the rest of the outcome."""
        parts = self._pool.parts(request.batch)
        if len(parts) == 1:
            return await parts[0][0].send(request)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_attempt(backend, part)) for backend, part in parts]
        return _together([task.result() for task in tasks])

    async def shutdown(self) -> None:
        """Drain while the backends are still followed, then close everything."""
        cut_short = True
        try:
            await self._delivery.shutdown()
            cut_short = False
        finally:
            await self._resolving.stop()
            ends = [asyncio.create_task(backend.shutdown()) for backend in self._pool.backends.values()]
            await finish([*self._partings, *ends], cut_short=cut_short)

    def _part_with(self, backend: Backend) -> None:
        assert self._host is not None
        task = self._host.spawn(backend.shutdown(), name=f"exporter {self._settings.id}: closing {backend.endpoint}")
        self._partings.add(task)
        task.add_done_callback(self._partings.discard)


async def _attempt(backend: Backend, part: Batch) -> Answer:
    try:
        return part, await backend.send(Request(part, part.item_count))
    except ConsumeError as error:
        return part, error


def _together(answers: Sequence[Answer]) -> Outcome:
    """Return one outcome for all parts. Raises the worst error where nothing was taken."""
    outcomes = [answer for _, answer in answers if isinstance(answer, Outcome)]
    failed = [(part, answer) for part, answer in answers if isinstance(answer, ConsumeError)]
    if not outcomes:
        raise worst([error for _, error in failed])
    again = [(part, error) for part, error in failed if _comes_again(error)]
    never = [(part, error) for part, error in failed if not _comes_again(error)]
    messages = [outcome.message for outcome in outcomes if outcome.message] + [str(error) for _, error in never]
    rejected = sum(outcome.rejected for outcome in outcomes) + sum(part.item_count for part, _ in never)
    if not again:
        return Outcome(rejected, "; ".join(messages))
    cause = worst([error for _, error in again])
    if not isinstance(cause, RetryableError):  # too large: alone, it comes back as such and is split
        cause = RetryableError(str(cause), retry_after=0.0, code=cause.code)
    return Outcome(rejected, "; ".join(messages), Batch.merge([part for part, _ in again]), cause)


def _comes_again(error: ConsumeError) -> bool:
    return isinstance(error, RetryableError | OversizeError)
