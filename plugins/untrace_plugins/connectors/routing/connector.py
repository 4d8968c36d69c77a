"""The routing connector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from untrace_pipeline.api import Consumer, Host, PermanentError, PipelineId, Settings
from untrace_pipeline.conditions import Condition, Conditions, ErrorMode
from untrace_pipeline.data import Batch, Level, Signal
from untrace_plugins.connectors.delivering import Delivery
from untrace_plugins.connectors.routing.config import Action, RoutingConfig
from untrace_plugins.connectors.routing.fallback import Fallback

__all__ = ["RoutingConnector"]

Consumers: TypeAlias = tuple[Consumer, ...]
Part: TypeAlias = tuple[Consumers, Batch]


@dataclass(frozen=True, slots=True)
class _Route:
    condition: Condition
    asked: Conditions
    consumers: Consumers
    copies: bool


@dataclass(frozen=True, slots=True)
class _Table:
    """The routes of one signal; ``default`` may be empty."""

    routes: tuple[_Route, ...]
    default: Consumers


class RoutingConnector:
    """Finds the first matching route for every item of a request, and passes the parts on at the same time."""

    def __init__(self, config: RoutingConfig, settings: Settings, outputs: Mapping[PipelineId, Consumer]) -> None:
        self._tables = {signal: _Ways(config, settings, signal, outputs).table() for signal in settings.signals}
        self._delivery = Delivery(settings)
        self._mode = config.error_mode
        self._logger = settings.logger
        self._lost = {
            signal: settings.meter.counter("dropped_items", signal=signal, reason="no_route")
            for signal in settings.signals
        }

    async def start(self, host: Host) -> None:
        """Nothing to open."""

    async def shutdown(self) -> None:
        """Nothing to close."""

    async def consume(self, batch: Batch) -> None:
        """Route the batch.

        Raises what the pipelines raise (see ``delivering``), and :class:`PermanentError` where a condition has no
        answer and ``error_mode`` is ``propagate``.
        """
        if not batch.item_count:
            return
        parts, lost = self._parts(batch)
        deliveries = [
            (consumer, part if last else part.copy())
            for consumers, part in parts
            for consumer, last in _marking_last(consumers)
        ]
        if deliveries:
            await self._delivery.deliver(deliveries)
        if lost:  # counted once the rest is accepted: a batch that is refused comes again
            self._lost[batch.signal].add(lost)

    def _parts(self, batch: Batch) -> tuple[list[Part], int]:
        """Return what each group of pipelines gets, and how many items nobody gets."""
        table = self._tables[batch.signal]
        copied: list[Part] = []
        free = [True] * batch.item_count
        taken: list[int | None] = [None] * len(free)
        unseen = free
        for number, route in enumerate(table.routes):
            matched = [item and match for item, match in zip(free, self._matched(route, batch), strict=True)]
            if not any(matched):
                continue
            if route.copies:
                unseen = [item and not match for item, match in zip(unseen, matched, strict=True)]
                selected = batch.copy().select(matched)
                copied += [(route.consumers, selected)] if selected is not None else []
                continue
            taken = [number if match else owner for match, owner in zip(matched, taken, strict=True)]
            free = [item and not match for item, match in zip(free, matched, strict=True)]
            if not any(free):
                break
        if table.default:
            rest = len(table.routes)
            taken = [rest if left else owner for owner, left in zip(taken, free, strict=True)]
            lost = 0
        else:
            lost = sum(left and new for left, new in zip(free, unseen, strict=True))
        moved = [] if all(owner is None for owner in taken) else self._moved(batch, table, taken)
        return copied + moved, lost

    @staticmethod
    def _moved(batch: Batch, table: _Table, keys: Sequence[int | None]) -> list[Part]:
        consumers = [*[route.consumers for route in table.routes], table.default]
        return [(consumers[key], part) for key, part in batch.partition(keys).items() if isinstance(key, int)]

    def _matched(self, route: _Route, batch: Batch) -> list[bool]:
        """Return which items a route matches. Asks the request alone where that is enough."""
        condition = route.condition
        if not condition.fields:
            return [condition.holds(batch.context)] * batch.item_count
        mask, trouble = route.asked.any(batch)
        if trouble is not None:
            self._report(trouble)
        if condition.level >= Level.ITEM:
            return mask
        if all(mask) or not any(mask):
            return [mask[0]] * batch.item_count
        return [mask[owner] for owner in batch.parents(Level.ITEM, condition.level)]

    def _report(self, trouble: str) -> None:
        if self._mode is ErrorMode.PROPAGATE:
            msg = f"a condition has no answer: {trouble}"
            raise PermanentError(msg)
        if self._mode is ErrorMode.IGNORE:
            self._logger.warning("a condition has no answer and counts as not met: %s", trouble)


def _marking_last(consumers: Consumers) -> list[tuple[Consumer, bool]]:
    """The last consumer takes the handle itself, those before it get copies."""
    return [(consumer, place == len(consumers) - 1) for place, consumer in enumerate(consumers)]


class _Ways:
    """Finds the ways out of one signal: pipelines, alone or with a fallback."""

    def __init__(
        self, config: RoutingConfig, settings: Settings, signal: Signal, outputs: Mapping[PipelineId, Consumer]
    ) -> None:
        self._config = config
        self._settings = settings
        self._signal = signal
        self._outputs = outputs

    def table(self) -> _Table:
        """Return the routes that have pipelines of the signal."""
        routes = []
        for route in self._config.table:
            consumers = self._way(route.pipelines, route.fallback_pipelines or self._config.fallback_pipelines)
            if consumers:
                condition = route.compile(self._signal)
                asked = Conditions([condition], condition.level)
                routes.append(_Route(condition, asked, consumers, route.action is Action.COPY))
        return _Table(tuple(routes), self._way(self._config.default_pipelines, self._config.fallback_pipelines))

    def _way(self, pipelines: Sequence[str], fallback: Sequence[str]) -> Consumers:
        own, spare = self._consumers(pipelines), self._consumers(fallback)
        return (Fallback(self._signal, own, spare, self._settings),) if own and spare else own

    def _consumers(self, pipelines: Sequence[str]) -> Consumers:
        """Return the consumers of those pipelines that are of the signal."""
        ids = [PipelineId.parse(pipeline) for pipeline in dict.fromkeys(pipelines)]
        return tuple(self._outputs[one] for one in ids if one.signal is self._signal and one in self._outputs)
