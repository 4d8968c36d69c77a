"""What both forms of the exporter share: a pool, and the resolver that keeps it up to date."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress

from untrace_pipeline.api import Host, Settings, StartError
from untrace_pipeline.data import Signal
from untrace_plugins.exporters.load_balancing.config import LoadBalancingConfig
from untrace_plugins.exporters.load_balancing.keys import Keys, keys_of
from untrace_plugins.exporters.load_balancing.resolvers import Report, Resolver, make_resolver

__all__ = ["Resolving", "finish", "routing_keys"]

FIRST_ANSWER_SECONDS = 5.0
"""How long the start waits for the first answer of a resolver; data that comes before it is refused, to come again."""


def routing_keys(config: LoadBalancingConfig, settings: Settings) -> dict[Signal, Keys]:
    """Return how each signal is routed. Raises :class:`StartError` for a signal that does not have the routing key."""
    for signal, why in config.excludes().items():
        if signal in settings.signals:
            raise StartError(f"cannot carry {signal}: {why}")
    return {signal: keys_of(config, signal) for signal in settings.signals}


class Resolving:
    """Runs the resolver."""

    def __init__(self, config: LoadBalancingConfig, settings: Settings) -> None:
        self._config = config.resolver
        self._name = f"exporter {settings.id} resolver"
        self._task: asyncio.Task[None] | None = None
        self._error: StartError | None = None

    async def start(self, host: Host, report: Report, told: asyncio.Event) -> None:
        """Begin to resolve, and wait for the first answer for a while. Raises :class:`StartError`."""
        self._task = host.spawn(self._run(make_resolver(self._config), report, told), name=self._name)
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_ANSWER_SECONDS):
                await told.wait()
        if self._error is not None:
            raise self._error

    async def stop(self) -> None:
        """End it. Safe twice and without start."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _run(self, resolver: Resolver, report: Report, told: asyncio.Event) -> None:
        try:
            await resolver.run(report)
        except StartError as error:
            self._error = error
            told.set()


async def finish(tasks: Collection[asyncio.Task[None]], *, cut_short: bool = False) -> None:
    """Wait for tasks, or let them begin and then cancel them; raise the first error. Cancelled, it cancels them."""
    tasks = list(tasks)
    try:
        if cut_short:
            await asyncio.sleep(0)
        elif tasks:
            await asyncio.wait(tasks)
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end
