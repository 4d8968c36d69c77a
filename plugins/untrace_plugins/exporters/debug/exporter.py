"""The exporter ``debug``."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable

from untrace_pipeline.api import Host, Settings, StartError
from untrace_pipeline.data import Batch
from untrace_pipeline.delivery import DELIVERED, Delivery, DeliveryConfig, Outcome, Request
from untrace_plugins.exporters.debug.config import DebugConfig, Verbosity
from untrace_plugins.exporters.debug.detailed import show_detailed
from untrace_plugins.exporters.debug.summary import show_basic, show_normal

__all__ = ["DebugExporter"]

_SHOW: dict[Verbosity, Callable[[Batch], str]] = {
    Verbosity.BASIC: show_basic,
    Verbosity.NORMAL: show_normal,
    Verbosity.DETAILED: show_detailed,
}


class DebugExporter:
    """Writes each request as text. What cannot be written is dropped and counted."""

    def __init__(self, config: DebugConfig, settings: Settings) -> None:
        self._config = config
        self._settings = settings
        self._show = _SHOW[config.verbosity]
        self._sampler = _Sampler(config.sampling_initial, config.sampling_thereafter)
        delivery = DeliveryConfig.model_validate({"timeout": 0, "retry_on_failure": {"enabled": False}})
        delivery = delivery.model_copy(update={"sending_queue": config.sending_queue})
        self._delivery = Delivery(delivery, self, settings)
        self.consume = self._delivery.consume
        self.admit = self._delivery.admit
        self.pending_items = self._delivery.pending_items

    @property
    def destination(self) -> str:
        """Where the text goes."""
        return "log" if self._config.use_internal_logger else ",".join(self._config.output_paths)

    async def start(self, host: Host) -> None:
        """Check that the outputs can be written."""
        for path in () if self._config.use_internal_logger else self._config.output_paths:
            try:
                await asyncio.to_thread(_append, path, "")
            except OSError as error:
                msg = f"exporter {self._settings.id}: cannot write to {path}: {error.strerror}"
                raise StartError(msg) from error
        await self._delivery.start(host)

    async def send(self, request: Request) -> Outcome:
        """Show one request, or pass it over."""
        if self._sampler.wants(time.monotonic()):
            await asyncio.to_thread(self._write, request.batch)
        return DELIVERED

    async def shutdown(self) -> None:
        """Show what is left."""
        await self._delivery.shutdown()

    def _write(self, batch: Batch) -> None:
        text = self._show(batch)
        if self._config.use_internal_logger:
            self._settings.logger.info("%s", text)
            return
        for path in self._config.output_paths:
            _append(path, text + "\n")


def _append(path: str, text: str) -> None:
    if path in {"stdout", "stderr"}:
        stream = sys.stdout if path == "stdout" else sys.stderr
        stream.write(text)
        stream.flush()
        return
    with open(path, "a", encoding="utf-8") as file:
        file.write(text)


class _Sampler:
    """The first ``initial`` of each second, then every ``thereafter``-th."""

    def __init__(self, initial: int, thereafter: int) -> None:
        self._initial = initial
        self._thereafter = thereafter
        self._second = 0
        self._count = 0

    def wants(self, now: float) -> bool:
        if int(now) != self._second:
            self._second = int(now)
            self._count = 0
        self._count += 1
        after = self._count - self._initial
        return after <= 0 or (self._thereafter > 0 and after % self._thereafter == 0)
