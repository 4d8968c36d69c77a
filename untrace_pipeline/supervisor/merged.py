"""The states of all workers as those of one service."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from untrace_pipeline.api.status import WORST_FIRST, Status, StatusEvent
from untrace_pipeline.supervisor.slot import Slot

__all__ = ["SERVICE", "WORKERS", "merged_statuses"]

EXTENSIONS, SERVICE, WORKERS = "extensions", "service", "workers"
"""Groups of :meth:`Host.statuses` that are no pipelines."""

Group = dict[str, StatusEvent]


def merged_statuses(pipelines: Iterable[str], slots: Iterable[Slot]) -> dict[str, Group]:
    """Return the states of all components by pipeline, each as bad as it is in the worst worker, and those of workers.

    Workers that are not up stand in the group ``workers`` only; where none is up, they are all that pipelines have.
    """
    slots = list(slots)
    up = [slot for slot in slots if slot.up]
    groups: dict[str, Group] = {name: {} for name in [*pipelines, EXTENSIONS, SERVICE]}
    for slot in up:
        for name, group in slot.statuses.items():
            _add(groups.setdefault(name, {}), group, slot.index if len(slots) > 1 else None)
    if not up:
        for name in pipelines:
            groups[name] = {_name(slot): _absent(slot) for slot in slots}
    groups[WORKERS] = {_name(slot): slot.event for slot in slots}
    return groups


def _add(merged: Group, group: Mapping[str, StatusEvent], worker: int | None) -> None:
    for component, event in group.items():
        known = merged.get(component)
        if known is None or _rank(event) < _rank(known):
            merged[component] = event if worker is None or not event.message else _of(event, worker)


def _of(event: StatusEvent, worker: int) -> StatusEvent:
    """Return the event with the worker named; what all workers say alike, such as an endpoint, stays as it is."""
    return event if event.status is Status.OK else event._replace(message=f"worker {worker}: {event.message}")


def _rank(event: StatusEvent) -> int:
    return WORST_FIRST.index(event.status)


def _name(slot: Slot) -> str:
    return f"worker:{slot.index}"


def _absent(slot: Slot) -> StatusEvent:
    event = slot.event
    return event if event.status is not Status.OK else StatusEvent(Status.STARTING, event.message, time.time())
