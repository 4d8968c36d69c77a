"""What the states of all components mean for probes: live, ready, status.

The status page and its HTTP codes are those of the Collector's ``healthcheckv2`` extension.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from untrace_pipeline.api.config import format_duration
from untrace_pipeline.api.status import WORST_FIRST, Status, StatusEvent

__all__ = ["Health", "HealthRules"]

Group = Mapping[str, StatusEvent]
EXTENSIONS, SERVICE, WORKERS = "extensions", "service", "workers"
"""Groups of :meth:`Host.statuses` that are no pipelines."""
_NO_PIPELINES = frozenset({EXTENSIONS, SERVICE, WORKERS})

_UNFINISHED = frozenset({Status.STARTING, Status.STOPPING, Status.STOPPED})
_ERRORS = frozenset({Status.RECOVERABLE_ERROR, Status.PERMANENT_ERROR, Status.FATAL_ERROR})
_OK, _FAILED, _UNAVAILABLE = 200, 500, 503


@dataclass(frozen=True, slots=True)
class HealthRules:
    """Which errors count as unhealthy, besides fatal ones."""

    permanent: bool = False
    recoverable: bool = False
    recovery_seconds: float = 300.0
    """How long a recoverable error may last before it counts."""


class Health:
    """Reads the states, and judges them. Every answer is an HTTP status and an object for JSON."""

    def __init__(
        self,
        statuses: Callable[[], Mapping[str, Group]],
        rules: HealthRules,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._statuses = statuses
        self._rules = rules
        self._clock = clock
        self._started = clock()
        self._up_since: float | None = None

    def live(self) -> tuple[int, dict[str, Any]]:
        """Return what the Collector's ``health_check`` answers: available once all pipelines have started.

        Not available while starting or stopping, and when every pipeline has died, so that a restart is due.
        """
        pipelines = self._pipelines().values()
        events = [event for pipeline in pipelines for event in pipeline.values()]
        dead = all(_has_died(pipeline) for pipeline in pipelines)
        if not events or dead or any(event.status in _UNFINISHED for event in events):
            self._up_since = None
            return _UNAVAILABLE, {"status": "Server not available", "upSince": "0001-01-01T00:00:00Z", "uptime": ""}
        if self._up_since is None:
            self._up_since = max(event.time for event in events)
        uptime = format_duration(round(max(0.0, self._clock() - self._up_since), 3))
        return _OK, {"status": "Server available", "upSince": _iso(self._up_since), "uptime": uptime}

    def ready(self) -> tuple[int, dict[str, Any]]:
        """Return 200, or 503 with the reasons: a pipeline starts, drains, has died, or can deliver nowhere.

        So is a worker process that has died and is not back, although the others go on.
        """
        pipelines = self._pipelines()
        reasons = [reason for name, group in pipelines.items() for reason in self._obstacles(name, group)]
        workers = self._statuses().get(WORKERS, {})
        reasons += [f"{one} is {_word(event)}" for one, event in workers.items() if event.status is not Status.OK]
        if reasons or not pipelines:
            return _UNAVAILABLE, {"status": "not ready", "reasons": reasons or ["no pipeline runs"]}
        return _OK, {"status": "ready"}

    def status(self, pipeline: str | None = None, *, verbose: bool = False) -> tuple[int, dict[str, Any]]:
        """Return the state of everything or of one pipeline; ``verbose`` lists pipelines and components."""
        groups = self._statuses()
        if pipeline is not None:
            group = groups.get(pipeline)
            if group is None or pipeline in _NO_PIPELINES:
                return 404, {"error": f"pipeline {pipeline} does not exist"}
            code, page = self._summary(group)
            return code, {**page, **({"components": self._components(group)} if verbose else {})}
        judged = {_title(name): group for name, group in groups.items() if name != SERVICE and group}
        everything = {f"{name} {one}": event for name, group in judged.items() for one, event in group.items()}
        code, page = self._summary(everything)
        page = {"start_time": _iso(self._started), **page}
        for one, event in groups.get(SERVICE, {}).items():
            page[one.removeprefix("service:")] = {"status": event.status, **_told(event)}
        if WORKERS in judged:
            page[WORKERS] = self._components(judged.pop(WORKERS))
        if verbose:
            page["components"] = {
                name: {**self._summary(group)[1], "components": self._components(group)}
                for name, group in judged.items()
            }
        return code, page

    def _pipelines(self) -> dict[str, Group]:
        return {name: group for name, group in self._statuses().items() if name not in _NO_PIPELINES}

    def _obstacles(self, name: str, group: Group) -> list[str]:
        found = [
            f"pipeline {name}: {one} is {_word(event)}"
            for one, event in group.items()
            if event.status in _UNFINISHED or event.status is Status.FATAL_ERROR
        ]
        exporters = {one: event for one, event in group.items() if one.startswith(("exporter:", "connector:"))}
        if not found and exporters and all(self._code(event) != _OK for event in exporters.values()):
            found = [f"pipeline {name}: {one} is {_word(event)}" for one, event in exporters.items()]
        return found

    def _summary(self, group: Group) -> tuple[int, dict[str, Any]]:
        """Return the worst state of a group. Among errors that may be recovered from, the oldest decides the code."""
        worst = min(group.values(), key=lambda event: WORST_FIRST.index(event.status), default=StatusEvent(Status.OK))
        code = self._code(worst)
        if code == _OK:
            code = max((self._code(event) for event in group.values()), default=_OK)
        return code, self._one(worst, healthy=code == _OK)

    def _components(self, group: Group) -> dict[str, dict[str, Any]]:
        return {one: self._one(event, healthy=self._code(event) == _OK) for one, event in group.items()}

    def _one(self, event: StatusEvent, *, healthy: bool) -> dict[str, Any]:
        return {"healthy": healthy, "status": event.status, **_told(event)}

    def _code(self, event: StatusEvent) -> int:
        match event.status:
            case Status.OK:
                return _OK
            case Status.PERMANENT_ERROR:
                return _FAILED if self._rules.permanent else _OK
            case Status.RECOVERABLE_ERROR:
                over = self._clock() - event.time >= self._rules.recovery_seconds
                return _FAILED if self._rules.recoverable and over else _OK
            case Status.FATAL_ERROR:
                return _FAILED
        return _UNAVAILABLE


def _title(group: str) -> str:
    return group if group in _NO_PIPELINES else f"pipeline:{group}"


def _has_died(pipeline: Group) -> bool:
    return any(event.status is Status.FATAL_ERROR for event in pipeline.values())


def _word(event: StatusEvent) -> str:
    word = {
        Status.STARTING: "starting",
        Status.STOPPING: "stopping",
        Status.STOPPED: "stopped",
        Status.FATAL_ERROR: "dead",
    }.get(event.status, "in error")
    return f"{word} ({event.message})" if event.message else word


def _told(event: StatusEvent) -> dict[str, Any]:
    key = "error" if event.status in _ERRORS else "message"
    return {"status_time": _iso(event.time), **({key: event.message} if event.message else {})}


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
