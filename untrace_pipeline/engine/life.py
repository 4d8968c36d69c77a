"""The life of a daemon: start, run, reload on demand, drain, stop. What is started and stopped is the subclass's."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any

from untrace_pipeline.api.status import Status, StatusEvent
from untrace_pipeline.config.loader import Loaded
from untrace_pipeline.engine.watch import watch_files
from untrace_pipeline.errors import ConfigError, PluginError, StartError
from untrace_pipeline.telemetry.metrics import Metrics

__all__ = ["Life", "run_with_signals"]

logger = logging.getLogger(__name__)


async def run_with_signals(life: Life, *, watch: bool = False) -> int:
    """Run until SIGTERM or SIGINT, and return the exit code: 0, or 1 if the start failed.

    A second signal cuts draining short. SIGHUP reloads, and so does a change of a file with ``watch``.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, life.request_stop, number.name)
    loop.add_signal_handler(signal.SIGHUP, life.request_reload)
    try:
        return await life.run(watch=watch)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)


class Life(ABC):
    """Runs until it is asked to stop, and reloads whenever it is asked to.

    ``reload`` loads the configuration again; it may raise :class:`ConfigError`, and runs in a thread.
    """

    def __init__(self, loaded: Loaded, reload: Callable[[], Loaded]) -> None:
        self.metrics = Metrics()
        self._loaded = loaded
        self._reload = reload
        self._meter = self.metrics.meter()
        self._config_event = StatusEvent(Status.OK, "", time.time())
        self._reload_wanted = asyncio.Event()
        self._stop_wanted = asyncio.Event()
        self._stop_reason = ""

    # ------------------------------------------------------------- from outside

    def request_stop(self, reason: str) -> None:
        """Drain and stop; asked again, stop at once."""
        if self._stop_reason:
            self._hurry(reason)
        self._stop_reason = self._stop_reason or reason
        self._stop_wanted.set()

    def request_reload(self) -> None:
        """Load the configuration again and switch to it, or keep the running one."""
        self._reload_wanted.set()

    async def run(self, *, watch: bool = False) -> int:
        """Run until a stop is requested. Raises :class:`PluginError`."""
        try:
            if await self._unless_stopped(self._start()):
                await self._live(watch=watch)
        except StartError as error:
            logger.error("%s", error)  # noqa: TRY400  the message says it all
            return error.exit_code
        finally:
            await self._close()
        return 0

    # -------------------------------------------------------------- to be filled

    @abstractmethod
    async def _start(self) -> None:
        """Start everything; when this fails or is cancelled, nothing runs. Raises :class:`StartError`."""

    @abstractmethod
    def _beside(self) -> dict[str, Coroutine[Any, Any, None]]:
        """Return what runs beside, by name, from after the start until after the stop."""

    @abstractmethod
    async def _apply(self, loaded: Loaded) -> str:
        """Switch to another configuration, and return the outcome for the metric; when this fails, nothing changed."""

    @abstractmethod
    async def _stop(self) -> None:
        """Drain and stop; never raises for what a component does."""

    @abstractmethod
    def _hurry(self, reason: str) -> None:
        """Somebody who asked for a stop before does not want to wait."""

    @abstractmethod
    async def _close(self) -> None:
        """Close what was open all the time; called in the end, however it came."""

    # -------------------------------------------------------------------- life

    async def _live(self, *, watch: bool) -> None:
        work = self._beside() | ({"watch files": self._watch()} if watch else {})
        helpers = [asyncio.create_task(one, name=name) for name, one in work.items()]
        try:
            while await self._unless_stopped(self._reload_wanted.wait()):
                self._reload_wanted.clear()
                await self._unless_stopped(self._handle_reload())
        finally:
            await self._stop()
            for task in helpers:
                task.cancel()
            if helpers:
                await asyncio.wait(helpers)

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

    async def _watch(self) -> None:
        async for _ in watch_files(lambda: self._loaded.files):
            self.request_reload()

    # ------------------------------------------------------------------ reload

    async def _handle_reload(self) -> str:
        """Reload, or say why not, and return the outcome; whatever happens, the daemon goes on."""
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
        return outcome

    async def _try_reload(self) -> str:
        loaded = await asyncio.to_thread(self._reload)
        for warning in loaded.warnings:
            logger.warning("%s", warning)
        outcome = await self._apply(loaded)
        self._loaded = loaded
        return outcome
