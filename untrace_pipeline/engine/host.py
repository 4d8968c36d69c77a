"""The host of one component: extensions, its state, and tasks that belong to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from untrace_pipeline.api.component import Extension
from untrace_pipeline.api.config import ConfigModel
from untrace_pipeline.api.consumer import Consumer
from untrace_pipeline.api.identity import PipelineId
from untrace_pipeline.api.status import Status, StatusEvent
from untrace_pipeline.api.workers import ALONE, Workers
from untrace_pipeline.config.option_files import read_options
from untrace_pipeline.engine.status import StatusCell
from untrace_pipeline.errors import StartError

if TYPE_CHECKING:
    from untrace_pipeline.engine.ways import Ways

__all__ = ["ComponentHost", "Statuses"]

Statuses = Callable[[], Mapping[str, Mapping[str, StatusEvent]]]
"""Answers :meth:`Host.statuses` for the whole service."""
M = TypeVar("M", bound=ConfigModel)


class ComponentHost:
    """Implements :class:`~untrace_pipeline.api.Host`; a reload exchanges ``extensions``, and leads ``ways`` anew."""

    def __init__(
        self, status: StatusCell, logger: logging.Logger, statuses: Statuses, workers: Workers = ALONE
    ) -> None:
        self.extensions: Mapping[str, Extension] = {}
        self.ways: Ways | None = None
        self.workers = workers
        self._status = status
        self._logger = logger
        self._statuses = statuses
        self._tasks: set[asyncio.Task[None]] = set()

    def extension(self, id: str) -> Extension:
        """Return a running extension. Raises :class:`StartError` that names those there are."""
        try:
            return self.extensions[id]
        except KeyError:
            msg = f"extension {id} is not in service.extensions; there: {', '.join(self.extensions) or 'none'}"
            raise StartError(msg) from None

    async def through(self, processors: Sequence[str], output: PipelineId) -> Consumer:
        """Return the way to an output that leads through processors first. Raises :class:`StartError`."""
        if self.ways is None:
            msg = f"the component does not lead to {output}: only connectors have outputs"
            raise StartError(msg)
        return await self.ways.find(processors, output)

    def read_options(self, path: str, model: type[M]) -> M:
        """Read a file of options. Raises :class:`ConfigError`."""
        return read_options(path, model)

    def report(self, status: Status, message: str = "") -> None:
        """Take over the component's state."""
        self._status.report(status, message)

    def spawn(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Run a task; if it fails, the component is in :attr:`Status.FATAL_ERROR`."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def statuses(self) -> Mapping[str, Mapping[str, StatusEvent]]:
        """Return the state of every component of the service."""
        return self._statuses()

    def cancel_tasks(self) -> None:
        """Cancel what the component left behind."""
        for task in self._tasks:
            self._logger.debug("task %s was left behind and is cancelled", task.get_name())
            task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        self._logger.error("task %s failed and does not come back", task.get_name(), exc_info=error)
        self._status.report(Status.FATAL_ERROR, f"task {task.get_name()} failed: {type(error).__name__}")
