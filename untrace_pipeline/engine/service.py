"""The service: the graph in this process, its logs and metrics, and how a reload exchanges it."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from untrace_pipeline import native
from untrace_pipeline.api.status import Status, StatusEvent
from untrace_pipeline.api.telemetry import Meter
from untrace_pipeline.api.workers import ALONE, Workers
from untrace_pipeline.config.loader import Loaded
from untrace_pipeline.config.model import RuntimeConfig, TelemetryConfig
from untrace_pipeline.engine import describe
from untrace_pipeline.engine.account import Account, Left
from untrace_pipeline.engine.build import Builder
from untrace_pipeline.engine.hops import Hops
from untrace_pipeline.engine.life import Life, run_with_signals
from untrace_pipeline.engine.memory import give_back, glibc_heap
from untrace_pipeline.engine.parts import worker_count
from untrace_pipeline.engine.running import Running, same
from untrace_pipeline.engine.unit import Graph
from untrace_pipeline.telemetry.exposition import Exposition, pages_of
from untrace_pipeline.telemetry.logs import configure_logs
from untrace_pipeline.telemetry.process import ProcessMetrics, seconds_since_start

__all__ = ["Service", "run_service"]

logger = logging.getLogger(__name__)


async def run_service(loaded: Loaded, reload: Callable[[], Loaded], *, watch: bool = False) -> int:
    """Run until SIGTERM or SIGINT, and return the exit code; see :func:`run_with_signals`."""
    return await run_with_signals(Service(loaded, reload), watch=watch)


class Service(Life):
    """The running graph, and what lies around it. For embedding: :func:`run_service` adds the signals."""

    def __init__(
        self,
        loaded: Loaded,
        reload: Callable[[], Loaded],
        *,
        workers: Workers = ALONE,
        hops: Callable[[Meter], Hops] | None = None,
    ) -> None:
        super().__init__(loaded, reload)
        self._workers = workers
        self._process = ProcessMetrics(self.metrics)
        self._exposition = Exposition(self.metrics)
        builder = Builder(self.metrics, self.statuses, workers=workers)
        self._running = Running(builder, self.metrics, loaded.spec, hops(self.metrics.meter()) if hops else None)
        self._runtime_event = StatusEvent(Status.STARTING, "", time.time())
        self.left = Left()
        """What could not be delivered; known after the stop."""

    @property
    def graph(self) -> Graph:
        """What runs now."""
        return self._running.graph

    # ------------------------------------------------------------- from outside

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

    async def _start(self) -> None:
        spec = self._loaded.spec
        resource = describe.resource(spec.telemetry)
        configure_logs(spec.telemetry.logs, resource)
        self._choose_runtime(spec.runtime)
        self._running.build()
        await self._exposition.change(pages_of(spec.telemetry.metrics), resource)
        await self._running.start()
        self._observe_pipelines()
        self._meter.gauge("config_last_reload_successful").set(1)
        gc.collect()
        gc.freeze()
        pages = self._exposition.addresses()
        logger.info("ready in %.2f s: %s", seconds_since_start(), describe.line(self.graph, pages))

    def _beside(self) -> dict[str, Coroutine[Any, Any, None]]:
        work = {"event loop lag": self._process.watch_loop()}
        if (heap := glibc_heap()) is not None:
            work["give memory back"] = give_back(heap)
        return work

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
        await self._running.stop(timeout)
        self.left = account.close("stopped", self.graph.units.values())

    def _hurry(self, reason: str) -> None:
        if self._running.hurry():
            logger.warning("%s again: stopping without waiting for what is left", reason)

    async def _close(self) -> None:
        await self._exposition.close()

    def _observe_pipelines(self) -> None:
        def ready(pipeline: str) -> float:
            return float(describe.is_ready(self.statuses().get(pipeline, {})))

        for pipeline in map(str, self.graph.spec.pipelines):
            self._meter.gauge("pipeline_ready", pipeline=pipeline).observe_with(partial(ready, pipeline))

    # ------------------------------------------------------------------ reload

    async def _apply(self, loaded: Loaded) -> str:
        self._check_runtime(loaded.spec.runtime)
        if (count := worker_count(loaded.spec)) != self._workers.count:
            logger.warning("service.workers: one process goes on, not %d; the change takes a restart", count)
        if same(loaded.spec, self.graph.spec):
            logger.info("reload: nothing has changed")
            return "unchanged"
        before = self.graph.spec.telemetry
        try:
            await self._show(loaded.spec.telemetry)
            summary = await self._running.exchange(loaded.spec)
        except BaseException:
            await self._show(before)
            raise
        self._meter.close()
        self._observe_pipelines()
        logger.info("reloaded: %s", summary)
        return "success"

    async def _show(self, telemetry: TelemetryConfig) -> None:
        """Serve metrics and write logs as configured. Raises :class:`StartError`."""
        resource = describe.resource(telemetry)
        await self._exposition.change(pages_of(telemetry.metrics), resource)
        configure_logs(telemetry.logs, resource)
