"""The resource detection processor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

import aiohttp

from untrace_pipeline.api import Host, Settings
from untrace_pipeline.data import Batch, Field, Level, Value, attribute
from untrace_plugins.processors.resource_detection.attributes import DetectorName
from untrace_plugins.processors.resource_detection.config import ResourceDetectionConfig
from untrace_plugins.processors.resource_detection.detectors import DETECTORS
from untrace_plugins.processors.resource_detection.machine_facts import Facts, NotHereError

__all__ = ["ResourceDetection"]


class ResourceDetection:
    """Writes what was detected onto resources. A pure step once it has started."""

    def __init__(
        self,
        config: ResourceDetectionConfig,
        settings: Settings,
        facts: Callable[[aiohttp.ClientSession], Facts] = Facts,
    ) -> None:
        """``facts`` makes what detectors look at, from a session: tests give another machine."""
        self._config = config
        self._logger = settings.logger
        self._meter = settings.meter
        self._facts = facts
        self._found: dict[DetectorName, Mapping[str, Value]] = {}
        self._attributes: list[tuple[Field, Value]] = []
        self._refreshing: asyncio.Task[None] | None = None

    async def start(self, host: Host) -> None:
        """Look, for as long as ``timeout`` at most; what fails is told, and keeps nobody from starting."""
        await self.detect()
        if self._config.refresh_interval:
            self._refreshing = host.spawn(self._refresh(), name="resource detection")

    async def shutdown(self) -> None:
        """Look no longer."""
        refreshing, self._refreshing = self._refreshing, None
        if refreshing is not None:
            refreshing.cancel()
            with suppress(asyncio.CancelledError):
                await refreshing

    def process(self, batch: Batch) -> Batch | None:
        """Return the batch with its resources completed; no item is ever dropped."""
        count = batch.row_count(Level.RESOURCE) if self._attributes else 0
        if not count:
            return batch
        if self._config.override:
            for field, value in self._attributes:
                batch.set(field, [value] * count)
            return batch
        columns = batch.columns([field for field, _ in self._attributes], Level.RESOURCE)
        for (field, value), column in zip(self._attributes, columns, strict=True):
            rows = [row for row, own in enumerate(column) if own is None]
            if rows:
                batch.set(field, [value] * len(rows), rows)
        return batch

    async def detect(self) -> None:
        """Let all detectors look at the same time, and take over what they find."""
        timeout = aiohttp.ClientTimeout(total=self._config.timeout)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            facts = self._facts(session)
            await asyncio.gather(*[self._look(detector, facts) for detector in dict.fromkeys(self._config.detectors)])
        merged: dict[str, Value] = {}
        for detector in self._config.detectors:
            for name, value in self._found.get(detector, {}).items():
                merged.setdefault(name, value)
        self._attributes = [(attribute(name, Level.RESOURCE), value) for name, value in merged.items()]
        self._logger.info("detected: %s", ", ".join(merged) or "nothing")

    async def _look(self, detector: DetectorName, facts: Facts) -> None:
        config = self._config.of(detector)
        try:
            async with asyncio.timeout(self._config.timeout):
                found = await DETECTORS[detector](facts, config)
        except NotHereError as error:
            self._count(detector, "nothing")
            self._logger.info("detector %s finds nothing: %s", detector, error)
            return
        except TimeoutError:
            self._count(detector, "failed")
            self._logger.warning("detector %s took longer than %g s", detector, self._config.timeout)
            return
        except Exception as error:  # noqa: BLE001  whatever is strange about a machine, the daemon starts
            self._count(detector, "failed")
            self._logger.warning("detector %s failed: %s: %s", detector, type(error).__name__, error)
            return
        self._count(detector, "found")
        allowed = self._config.attributes
        self._found[detector] = {
            name: value
            for name, value in found.items()
            if value is not None and config.wants(detector, name) and (not allowed or name in allowed)
        }

    def _count(self, detector: DetectorName, outcome: str) -> None:
        self._meter.counter("processor_resource_detection_runs", detector=detector.value, outcome=outcome).add()

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(self._config.refresh_interval)
            await self.detect()
