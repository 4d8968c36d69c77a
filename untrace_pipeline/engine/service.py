"""The service: start, ready, reload on demand, drain, stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import time
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from untrace_pipeline import native
from untrace_pipeline.api.status import Status, StatusEvent
from untrace_pipeline.config.loader import Loaded
from untrace_pipeline.config.model import RuntimeConfig, ServiceSpec, TelemetryConfig
from untrace_pipeline.data.signal import Signal
from untrace_pipeline.engine import describe
from untrace_pipeline.engine.account import Account
from untrace_pipeline.engine.build import Builder
from untrace_pipeline.engine.graph import predecessors
from untrace_pipeline.engine.lifecycle import Deadline, start_all, stop_all
from untrace_pipeline.engine.memory import give_back, glibc_heap
from untrace_pipeline.engine.reload import Exchange
from untrace_pipeline.engine.unit import Graph
from untrace_pipeline.engine.watch import watch_files
from untrace_pipeline.engine.wiring import Wiring
from untrace_pipeline.errors import ConfigError, PluginError, StartError
from untrace_pipeline.telemetry.exposition import Exposition, pages_of
from untrace_pipeline.telemetry.logs import configure_logs
from untrace_pipeline.telemetry.metrics import Metrics
from untrace_pipeline.telemetry.process import ProcessMetrics, seconds_since_start

__all__ = ["Service", "run_service"]

logger = logging.getLogger(__name__)


async def run_service(loaded: Loaded, reload: Callable[[], Loaded], *, watch: bool = False) -> int:
    """Run until SIGTERM or SIGINT, and return the exit code: 0, or 1 if the service could not start.

    A second signal cuts draining short. SIGHUP reloads, and so does a change of a file with ``watch``. ``reload`` loads
    the configuration again; it may raise :class:`ConfigError`, and runs in a thread.
    """
    service = Service(loaded, reload)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, service.request_stop, number.name)
    loop.add_signal_handler(signal.SIGHUP, service.request_reload)
    try:
        return await service.run(watch=watch)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)


class Service:
    """The running graph, and what lies around it. For embedding: :func:`run_service` adds the signals."""

    def __init__(self, loaded: Loaded, reload: Callable[[], Loaded]) -> None:
        self._loaded = loaded
        self._reload = reload
        self.metrics = Metrics()
        self._meter = self.metrics.meter()
        self._process = ProcessMetrics(self.metrics)
        self._builder = Builder(self.metrics, self.statuses)
        self._exposition = Exposition(self.metrics)
        self.graph = Graph(loaded.spec, {})
        self._running = False
        self._config_event = StatusEvent(Status.OK, "", time.time())
        self._runtime_event = StatusEvent(Status.STARTING, "", time.time())
        self._reload_wanted = asyncio.Event()
        self._stop_wanted = asyncio.Event()
        self._stop_reason = ""
        self._deadline: Deadline | None = None
        self._drains: dict[asyncio.Task[None], Deadline] = {}

    # ------------------------------------------------------------- from outside

    def request_stop(self, reason: str) -> None:
        """Drain and stop; asked again, stop at once."""
        if self._stop_reason and self._deadline is not None:
            logger.warning("%s again: stopping without waiting for what is left", reason)
            for deadline in (self._deadline, *self._drains.values()):
                deadline.expire()
        self._stop_reason = self._stop_reason or reason
        self._stop_wanted.set()

    def request_reload(self) -> None:
        """Load the configuration again and switch to it, or keep the running one."""
        self._reload_wanted.set()

    def is_ready(self) -> bool:
        """Return whether every pipeline has started and none has stopped or died."""
        pipelines = [group for name, group in describe.statuses(self.graph).items() if name != "extensions"]
        return bool(self.graph.units) and all(describe.is_ready(pipeline) for pipeline in pipelines)

    def metrics_addresses(self) -> list[str]:
        """Return where ``/metrics`` is served."""
        return self._exposition.addresses()

    def statuses(self) -> Mapping[str, Mapping[str, StatusEvent]]:
        """Return the state of every component by pipeline, and the groups ``extensions`` and ``service``."""
        service = {"service:config": self._config_event, "service:runtime": self._runtime_event}
        return {**describe.statuses(self.graph), "service": service}

    # -------------------------------------------------------------------- life

    async def run(self, *, watch: bool = False) -> int:
        """Run until a stop is requested. Raises :class:`PluginError`."""
        try:
            if not await self._unless_stopped(self._start()):
                return 0
        except StartError as error:
            logger.error("%s", error)  # noqa: TRY400  the message says it all
            return 1
        finally:
            if not self._running:
                await self._exposition.close()
        helpers = [asyncio.create_task(self._process.watch_loop(), name="event loop lag")]
        if (heap := glibc_heap()) is not None:
            helpers.append(asyncio.create_task(give_back(heap), name="give memory back"))
        if watch:
            helpers.append(asyncio.create_task(self._watch(), name="watch files"))
        try:
            while await self._unless_stopped(self._reload_wanted.wait()):
                self._reload_wanted.clear()
                await self._unless_stopped(self._handle_reload())
        finally:
            await self._stop()
            for task in helpers:
                task.cancel()
            await asyncio.wait(helpers)
            await self._exposition.close()
        return 0

    async def _unless_stopped(self, work: Coroutine[Any, Any, object]) -> bool:
        """Do something, and return whether it was done: a stop request cancels it."""
        task = asyncio.create_task(work)
        stop = asyncio.create_task(self._stop_wanted.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
        if task.cancelled():
            return False
        task.result()
        return True

    async def _start(self) -> None:
        spec = self._loaded.spec
        resource = describe.resource(spec.telemetry)
        configure_logs(spec.telemetry.logs, resource)
        self._choose_runtime(spec.runtime)
        self.graph = self._builder.build(spec)
        Wiring(self.graph, self._drop).apply(self.graph.units.values())
        await self._exposition.change(pages_of(spec.telemetry.metrics), resource)
        await start_all(self.graph.units.values())
        self._running = True
        self._observe_pipelines()
        self._meter.gauge("config_last_reload_successful").set(1)
        gc.collect()
        gc.freeze()
        pages = self._exposition.addresses()
        logger.info("ready in %.2f s: %s", seconds_since_start(), describe.line(self.graph, pages))

    def _choose_runtime(self, config: RuntimeConfig) -> None:
        """Choose what is native, once for the process, and tell. Raises :class:`PluginError`."""
        self._check_runtime(config)
        meter = self.metrics.meter()  # not the one that a reload closes
        for part, choice in native.choices().items():
            meter.gauge("runtime_info", part=part, implementation=choice.name, reason=choice.reason).set(1)
        self._runtime_event = StatusEvent(Status.OK, native.summary(), time.time())
        logger.info("runtime: %s", native.summary())

    @staticmethod
    def _check_runtime(config: RuntimeConfig) -> None:
        for part in native.configure({part: getattr(config, part) for part in native.Part}):
            made = native.choices()[part].name
            logger.warning("%s: this process goes on with %s; the change takes a restart", part.option, made)

    async def _stop(self) -> None:
        timeout = self.graph.spec.shutdown_timeout
        account = Account(self.metrics)
        logger.info("%s: draining for at most %g s", self._stop_reason or "stopping", timeout)
        self._deadline = Deadline(timeout)
        for deadline in self._drains.values():
            deadline.shorten(timeout)
        feeds = predecessors(self.graph.spec.pipelines.values())
        await stop_all(list(self.graph.units.values()), feeds, self._deadline)
        if self._drains:
            await asyncio.wait(self._drains)
        self._deadline.close()
        account.close("stopped", self.graph.units.values())

    def _drop(self, component: str, signal: Signal, items: int) -> None:
        kind, _, name = component.partition(":")
        labels = {"kind": kind, "component": name, "signal": signal, "reason": "queue_full"}
        self._meter.counter("dropped_items", **labels).add(items)
        what = signal.item.replace("_", " ")
        logger.error("%s %s: the queue is full, %d %s are lost here; others took them", kind, name, items, what)

    def _observe_pipelines(self) -> None:
        def ready(pipeline: str) -> float:
            return float(describe.is_ready(self.statuses().get(pipeline, {})))

        for pipeline in map(str, self.graph.spec.pipelines):
            self._meter.gauge("pipeline_ready", pipeline=pipeline).observe_with(partial(ready, pipeline))

    # ------------------------------------------------------------------ reload

    async def _watch(self) -> None:
        async for _ in watch_files(lambda: self._loaded.files):
            self.request_reload()

    async def _handle_reload(self) -> None:
        """Reload, or say why not; whatever happens, the daemon goes on."""
        try:
            outcome = await self._try_reload()
        except (ConfigError, PluginError, StartError) as error:
            outcome = "failure"
            logger.error("reload failed, the running configuration stays:\n%s", error)  # noqa: TRY400
            self._config_event = StatusEvent(Status.RECOVERABLE_ERROR, f"reload failed: {error}", time.time())
        except Exception as error:
            outcome = "failure"
            logger.exception("reload failed, the running configuration stays")
            self._config_event = StatusEvent(Status.RECOVERABLE_ERROR, f"reload failed: {error!r}", time.time())
        else:
            self._config_event = StatusEvent(Status.OK, "", time.time())
        self._meter.counter("config_reloads", outcome=outcome).add()
        self._meter.gauge("config_last_reload_successful").set(outcome != "failure")

    async def _try_reload(self) -> str:
        loaded = await asyncio.to_thread(self._reload)
        for warning in loaded.warnings:
            logger.warning("%s", warning)
        self._check_runtime(loaded.spec.runtime)
        if _same(loaded.spec, self.graph.spec):
            self._loaded = loaded
            logger.info("reload: nothing has changed")
            return "unchanged"
        telemetry, before = loaded.spec.telemetry, self.graph.spec.telemetry
        try:
            await self._show(telemetry)
            exchange = Exchange(self._builder, self.graph, loaded.spec, self._drop)
            await exchange.switch()
        except BaseException:
            await self._show(before)
            raise
        self.graph, self._loaded = exchange.new, loaded
        self._meter.close()
        self._observe_pipelines()
        logger.info("reloaded: %s", exchange.summary())
        self._in_background(exchange)
        return "success"

    async def _show(self, telemetry: TelemetryConfig) -> None:
        """Serve metrics and write logs as configured. Raises :class:`StartError`."""
        resource = describe.resource(telemetry)
        await self._exposition.change(pages_of(telemetry.metrics), resource)
        configure_logs(telemetry.logs, resource)

    def _in_background(self, exchange: Exchange) -> None:
        deadline = Deadline(self.graph.spec.shutdown_timeout)

        async def drain() -> None:
            account = Account(self.metrics)
            gone = await exchange.drain(deadline)
            deadline.close()
            if gone:
                account.close("old components stopped", gone)

        self._track(drain(), deadline)

    def _track(self, work: Coroutine[Any, Any, None], deadline: Deadline) -> None:
        task = asyncio.create_task(work, name="drain after reload")
        self._drains[task] = deadline
        task.add_done_callback(lambda done: self._drains.pop(done, None))


def _same(one: ServiceSpec, other: ServiceSpec) -> bool:
    parts = ("components", "pipelines", "extensions", "telemetry", "shutdown_timeout")
    return all(getattr(one, part) == getattr(other, part) for part in parts)
