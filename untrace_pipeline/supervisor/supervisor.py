"""The supervisor: the life of a service whose pipelines run in worker processes."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from untrace_pipeline.api.status import StatusEvent
from untrace_pipeline.config.loader import Loaded
from untrace_pipeline.config.model import ServiceSpec, TelemetryConfig
from untrace_pipeline.engine import describe
from untrace_pipeline.engine.build import Builder
from untrace_pipeline.engine.life import Life, run_with_signals
from untrace_pipeline.engine.parts import supervisor_part, worker_count
from untrace_pipeline.engine.running import Running, same
from untrace_pipeline.supervisor.fleet import Fleet
from untrace_pipeline.supervisor.merged import SERVICE, WORKERS, merged_statuses
from untrace_pipeline.supervisor.messages import Orders
from untrace_pipeline.supervisor.process import spawn
from untrace_pipeline.supervisor.slot import Launch
from untrace_pipeline.telemetry.exposition import Exposition, pages_of
from untrace_pipeline.telemetry.logs import configure_logs
from untrace_pipeline.telemetry.metrics import Snapshot
from untrace_pipeline.telemetry.process import ProcessMetrics, seconds_since_start

__all__ = ["Supervisor", "run_supervisor"]

CLOSE_SECONDS = 2.0
"""How long the supervisor's own extensions may take to close, after the last worker has ended."""

logger = logging.getLogger(__name__)


async def run_supervisor(
    loaded: Loaded,
    reload: Callable[[], Loaded],
    sources: Sequence[str],
    overrides: Sequence[str],
    *,
    watch: bool = False,
) -> int:
    """Run workers until SIGTERM or SIGINT, and return the exit code; see :func:`run_with_signals`.

    ``sources`` and ``overrides`` are what ``loaded`` was loaded from.
    """
    return await run_with_signals(Supervisor(loaded, reload, sources, overrides), watch=watch)


class Supervisor(Life):
    """Looks after the workers, and answers for them: metrics, health, and whatever else stands for the service."""

    def __init__(
        self,
        loaded: Loaded,
        reload: Callable[[], Loaded],
        sources: Sequence[str],
        overrides: Sequence[str],
        launch: Launch = spawn,
    ) -> None:
        super().__init__(loaded, reload)
        self._sources, self._overrides = tuple(sources), tuple(overrides)
        self._process = ProcessMetrics(self.metrics)
        self._exposition = Exposition(self.metrics, self.collect)
        self._running = Running(Builder(self.metrics, self.statuses), self.metrics, supervisor_part(loaded.spec))
        self._fleet = Fleet(launch, self.metrics.meter())

    # ------------------------------------------------------------- from outside

    def statuses(self) -> Mapping[str, Mapping[str, StatusEvent]]:
        """Return the state of every component as it is in the worst worker, and of the workers."""
        groups = merged_statuses(map(str, self._loaded.spec.pipelines), self._fleet.slots)
        own = describe.statuses(self._running.graph)["extensions"]
        service = {"service:config": self._config_event}
        runtime = {name: event for name, event in groups[SERVICE].items() if name not in service}
        return {**groups, "extensions": {**groups["extensions"], **own}, SERVICE: {**service, **runtime}}

    async def collect(self) -> Snapshot:
        """Return the metrics of the whole service."""
        return await self._fleet.collect(self.metrics.snapshot())

    def metrics_addresses(self) -> list[str]:
        """Return where ``/metrics`` is served."""
        return self._exposition.addresses()

    # -------------------------------------------------------------------- life

    async def _start(self) -> None:
        spec = self._loaded.spec
        resource = describe.resource(spec.telemetry)
        configure_logs(spec.telemetry.logs, resource)
        self._running.build()
        await self._exposition.change(pages_of(spec.telemetry.metrics), resource)
        await self._running.start()
        try:
            await self._fleet.start(self._orders(self._loaded))
        except BaseException:
            await self._running.stop(CLOSE_SECONDS)
            raise
        self._observe_pipelines(spec)
        self._meter.gauge("config_last_reload_successful").set(1)
        gc.collect()
        gc.freeze()
        shape = describe.line(replace(self._running.graph, spec=spec), self._exposition.addresses())
        logger.info("ready in %.2f s: %d workers; %s", seconds_since_start(), len(self._fleet.slots), shape)

    def _beside(self) -> dict[str, Coroutine[Any, Any, None]]:
        return {"event loop lag": self._process.watch_loop(), "collect": self._fleet.keep_collecting()}

    async def _stop(self) -> None:
        started = time.monotonic()
        reason = self._stop_reason or "stopping"
        logger.info("%s: workers drain for at most %g s", reason, self._loaded.spec.shutdown_timeout)
        left = await self._fleet.stop(reason)
        await self._running.stop(CLOSE_SECONDS)
        left.tell(f"all workers stopped in {time.monotonic() - started:.2f} s", await self.collect())

    def _hurry(self, reason: str) -> None:
        logger.warning("%s again: stopping without waiting for what is left", reason)
        self._fleet.hurry(reason)

    async def _close(self) -> None:
        await self._exposition.close()

    def _orders(self, loaded: Loaded) -> Orders:
        spec = loaded.spec
        return Orders(worker_count(spec), self._sources, self._overrides, loaded.contents, spec.shutdown_timeout)

    def _observe_pipelines(self, spec: ServiceSpec) -> None:
        def ready(pipeline: str) -> float:
            groups = self.statuses()
            return float(all(describe.is_ready(groups.get(name, {})) for name in (pipeline, WORKERS)))

        for pipeline in map(str, spec.pipelines):
            self._meter.gauge("pipeline_ready", pipeline=pipeline).observe_with(partial(ready, pipeline))

    # ------------------------------------------------------------------ reload

    async def _apply(self, loaded: Loaded) -> str:
        spec, before = loaded.spec, self._loaded.spec
        orders = self._orders(loaded)
        if same(spec, before) and orders.count == len(self._fleet.slots):
            logger.info("reload: nothing has changed")
            return "unchanged"
        try:
            await self._show(spec.telemetry)
            await self._running.exchange(supervisor_part(spec))
            await self._fleet.change(orders)
        except BaseException:
            await self._show(before.telemetry)
            await self._running.exchange(supervisor_part(before))
            raise
        self._meter.close()
        self._observe_pipelines(spec)
        logger.info("reloaded: %d workers, one after the other", len(self._fleet.slots))
        return "success"

    async def _show(self, telemetry: TelemetryConfig) -> None:
        """Serve metrics and write logs as configured. Raises :class:`StartError`."""
        resource = describe.resource(telemetry)
        await self._exposition.change(pages_of(telemetry.metrics), resource)
        configure_logs(telemetry.logs, resource)
