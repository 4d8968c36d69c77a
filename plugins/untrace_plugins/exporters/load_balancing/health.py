"""One state for an exporter that has many destinations."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from untrace_pipeline.api import (
    ConfigModel,
    Consumer,
    Extension,
    Host,
    PipelineId,
    Status,
    StatusEvent,
    Workers,
)

__all__ = ["Health", "PartHost"]

M = TypeVar("M", bound=ConfigModel)

SHOWN = 3
"""Messages that are shown at once."""
_BADNESS = {Status.OK: 0, Status.RECOVERABLE_ERROR: 1, Status.PERMANENT_ERROR: 2}


class Health:
    """What the parts of an exporter report; the worst of it is reported to the host."""

    def __init__(self) -> None:
        self._host: Host | None = None
        self._parts: dict[str, StatusEvent] = {}

    def start(self, host: Host) -> None:
        """Know the host from now on."""
        self._host = host

    def report(self, part: str, status: Status, message: str) -> None:
        """A part is in this state now."""
        self._parts[part] = StatusEvent(status, message)
        self._tell(message)

    def forget(self, part: str) -> None:
        """A part is gone, and what was wrong with it no longer matters."""
        if self._parts.pop(part, StatusEvent(Status.OK)).status is not Status.OK:
            self._tell("the others work")

    def _tell(self, relief: str) -> None:
        if self._host is None:
            return
        worst = max((one.status for one in self._parts.values()), key=lambda one: _BADNESS[one], default=Status.OK)
        if worst is Status.OK:
            self._host.report(Status.OK, relief)
            return
        messages = [one.message for one in self._parts.values() if one.status is worst]
        more = f"; and {len(messages) - SHOWN} more" if len(messages) > SHOWN else ""
        self._host.report(worst, "; ".join(messages[:SHOWN]) + more)


class PartHost:
    """The host as one part of a component sees it."""

    def __init__(self, host: Host, health: Health, part: str) -> None:
        self._host = host
        self._health = health
        self._part = part

    @property
    def workers(self) -> Workers:
        """As the component."""
        return self._host.workers

    def extension(self, id: str) -> Extension:
        """As the component."""
        return self._host.extension(id)

    async def through(self, processors: Sequence[str], output: PipelineId) -> Consumer:
        """As the component."""
        return await self._host.through(processors, output)

    def read_options(self, path: str, model: type[M]) -> M:
        """As the component."""
        return self._host.read_options(path, model)

    def report(self, status: Status, message: str = "") -> None:
        """Report the state of the part."""
        self._health.report(self._part, status, message)

    def spawn(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """As the component."""
        return self._host.spawn(work, name=name)

    def statuses(self) -> Mapping[str, Mapping[str, StatusEvent]]:
        """As the component."""
        return self._host.statuses()
