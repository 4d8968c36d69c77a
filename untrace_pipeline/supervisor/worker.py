"""A worker process: the service, on the orders of the supervisor."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any

from untrace_pipeline.api.telemetry import Meter
from untrace_pipeline.api.workers import Workers
from untrace_pipeline.config.loader import Loaded, load
from untrace_pipeline.engine.parts import worker_part
from untrace_pipeline.engine.service import Service
from untrace_pipeline.hop.hops import Hops
from untrace_pipeline.net.endpoint import share_ports
from untrace_pipeline.registry import Registry
from untrace_pipeline.supervisor.channel import Channel, Message
from untrace_pipeline.supervisor.introductions import take_introduction
from untrace_pipeline.supervisor.messages import Groups, Orders, groups_to, snapshot_to
from untrace_pipeline.telemetry.merge import totals

__all__ = ["Worker", "run_worker"]

STATES_SECONDS = 0.25
"""How often the states of components are compared with those that the supervisor knows."""
ORDER_SECONDS = 0.3
"""How long a signal waits for the order of the supervisor, which often gets the same one: systemd and terminals send it
to every process. Alone, it ends this process, and the supervisor starts another."""
FLUSH_SECONDS = 1.0

logger = logging.getLogger(__name__)


async def run_worker(control: int, introductions: int) -> int:
    """Run until the supervisor orders the end, or is gone; return the exit code.

    ``control`` and ``introductions`` are descriptors of sockets to the supervisor. Raises :class:`ConfigError`,
    :class:`PluginError`.
    """
    channel = await Channel.over(socket.socket(fileno=control))
    with socket.socket(fileno=introductions) as others:
        try:
            first = await channel.receive()
            return await _run(first, channel, others) if first is not None else 1
        finally:
            await channel.close()


async def _run(first: Message, channel: Channel, others: socket.socket) -> int:
    orders = Orders.from_json(first["orders"])
    workers = Workers(first["index"], orders.count, first["successor"])
    if workers.count > 1:
        share_ports()
    worker = Worker(workers, orders, channel, partial(_load, workers, Registry()))
    loop = asyncio.get_running_loop()
    loop.add_reader(others, worker.meet, others)
    try:
        return await worker.run_on_orders()
    finally:
        loop.remove_reader(others)


def _load(workers: Workers, registry: Registry, orders: Orders) -> Loaded:
    """Load what the supervisor has read, and take this worker's part. Its warnings the supervisor has told already."""
    loaded = load(orders.sources, orders.overrides, registry, contents=orders.contents)
    return replace(loaded, spec=worker_part(loaded.spec, workers), warnings=())


class Worker(Service):
    """A service that somebody else starts, reloads, asks and stops."""

    def __init__(self, workers: Workers, orders: Orders, channel: Channel, load: Callable[[Orders], Loaded]) -> None:
        self._hops: Hops
        super().__init__(
            load(orders), lambda: load(self._orders), workers=workers, hops=partial(self._make_hops, workers)
        )
        self._orders = orders
        self._channel = channel
        self._told: Groups = {}
        self._meetings: set[asyncio.Task[None]] = set()

    def _make_hops(self, workers: Workers, meter: Meter) -> Hops:
        self._hops = Hops(workers, meter)
        return self._hops

    async def run_on_orders(self) -> int:
        """Run, and obey; return the exit code."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, lambda: None)  # a reload is ordered, when it is this worker's turn
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._hear, number.name)
        orders = asyncio.create_task(self._obey(), name="obey")
        try:
            return await self.run()
        finally:
            orders.cancel()
            await asyncio.wait([orders])

    def _hear(self, name: str) -> None:
        """Somebody sent a signal; if it was for this process only, no order follows."""
        asyncio.get_running_loop().call_later(ORDER_SECONDS, self._begin_stop, name)

    # ------------------------------------------------------------------ orders

    def meet(self, introductions: socket.socket) -> None:
        """Take the connections to other workers that the supervisor hands over."""
        try:
            while (found := take_introduction(introductions)) is not None:
                task = asyncio.create_task(self._hops.connect(*found), name=f"meet worker {found[0]}")
                self._meetings.add(task)
                task.add_done_callback(self._meetings.discard)
        except (EOFError, OSError):  # the supervisor is gone, which its other socket tells too
            asyncio.get_running_loop().remove_reader(introductions)

    async def _obey(self) -> None:
        while (message := await self._channel.receive()) is not None:
            self._take(message)
        self._begin_stop("the supervisor is gone", everybody=True)

    def _take(self, message: Message) -> None:
        match message["kind"]:
            case "stop":
                self._begin_stop(message["reason"], everybody=message["everybody"])
            case "hurry":
                self.request_stop(message["reason"])
            case "reload":
                self._orders = Orders.from_json(message["orders"])
                self.request_reload()
            case "snapshot":
                self._tell_counts()
            case "totals":
                self._tell_totals()

    def _begin_stop(self, reason: str, *, everybody: bool = False) -> None:
        if self._stop_reason:
            return
        if not everybody:
            self._hops.leave()
        self.request_stop(reason)

    # -------------------------------------------------------------------- life

    async def _start(self) -> None:
        await super()._start()
        self._tell_states()
        self._tell_totals()  # what it found on a disk: whoever comes after it does not count that again
        self._channel.send("ready")

    def _beside(self) -> dict[str, Coroutine[Any, Any, None]]:
        return {**super()._beside(), "tell states": self._keep_telling()}

    async def _handle_reload(self) -> str:
        outcome = await super()._handle_reload()
        self._tell_states()
        error = self._config_event.message.removeprefix("reload failed: ")
        self._channel.send("reloaded", outcome=outcome, error=error)
        return outcome

    async def _stop(self) -> None:
        self._tell_states()
        await super()._stop()
        self._tell_counts()
        self._channel.send("left", lost=self.left.lost, held=self.left.held)

    async def _close(self) -> None:
        await super()._close()
        await self._hops.close()
        await self._channel.flush(FLUSH_SECONDS)

    # ------------------------------------------------------------------ telling

    async def _keep_telling(self) -> None:
        while True:
            await asyncio.sleep(STATES_SECONDS)
            self._tell_states()

    def _tell_states(self) -> None:
        states = self.statuses()
        if states != self._told:
            self._told = states
            self._channel.send("statuses", groups=groups_to(states))

    def _tell_counts(self) -> None:
        self._channel.send("snapshot", families=snapshot_to(self.metrics.snapshot()))

    def _tell_totals(self) -> None:
        self._channel.send("totals", families=snapshot_to(totals(self.metrics.snapshot(update=False))))
