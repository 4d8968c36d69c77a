"""The failover connector."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from untrace_pipeline.api import (
    ConsumeError,
    Consumer,
    Host,
    PermanentError,
    PipelineId,
    Settings,
    Status,
    format_duration,
)
from untrace_pipeline.data import Batch, Signal
from untrace_plugins.connectors.alternatives import Group, Refusal, first_to_accept
from untrace_plugins.connectors.failover.config import FailoverConfig
from untrace_plugins.connectors.failover.standing import Standing

__all__ = ["FailoverConnector"]


class FailoverConnector:
    """Offers each batch to the levels of its signal, and remembers which of them works."""

    def __init__(self, config: FailoverConfig, settings: Settings, outputs: Mapping[PipelineId, Consumer]) -> None:
        self._settings = settings
        self._interval = config.retry_interval
        self._host: Host | None = None
        self._trouble: dict[Signal, str] = {}
        self._refused: set[Signal] = set()
        self._standings: dict[Signal, Standing] = {}
        for signal in sorted(settings.signals):
            levels = _levels(config.priority_levels, signal, outputs)
            if levels:
                self._standings[signal] = Standing(levels, config.retry_interval)
                settings.meter.gauge("connector_failover_level", signal=signal).set(1)

    async def start(self, host: Host) -> None:
        """Nothing to open."""
        self._host = host

    async def shutdown(self) -> None:
        """Nothing to close."""

    async def consume(self, batch: Batch) -> None:
        """Offer the batch to one level after the other until one accepts. Raises the worst refusal if none does."""
        signal, standing = batch.signal, self._standings.get(batch.signal)
        if standing is None:
            msg = f"connector {self._settings.id}: no level has a pipeline of {signal}"
            raise PermanentError(msg)
        turn = standing.turn(asyncio.get_running_loop().time())
        try:
            taker, refusals = await first_to_accept(turn.groups, batch)
        except ConsumeError as error:
            self._nobody(signal, error)
            raise
        before = standing.level
        if standing.accepted(turn, taker, refusals, asyncio.get_running_loop().time()):
            self._switched(signal, standing, before, refusals)
        elif signal in self._refused:
            self._settled(signal, standing)

    # ---------------------------------------------------------------- telling

    def _switched(self, signal: Signal, standing: Standing, before: int, refusals: Sequence[Refusal]) -> None:
        meter, level = self._settings.meter, standing.level + 1
        meter.gauge("connector_failover_level", signal=signal).set(level)
        meter.counter("connector_failover_switches", signal=signal, level=str(level)).add()
        if standing.level > before:
            because = "; ".join(str(refusal) for refusal in refusals)
            again = f"better levels are tried again every {format_duration(self._interval)}"
            self._settings.logger.warning("%s; %s", f"{_where(signal, standing)} now: {because}", again)
        elif standing.level:
            self._settings.logger.warning("%s now, which is not the first yet", _where(signal, standing))
        self._settled(signal, standing)

    def _settled(self, signal: Signal, standing: Standing) -> None:
        """A level accepts: report which."""
        self._refused.discard(signal)
        self._trouble.pop(signal, None)
        where = _where(signal, standing)
        if standing.level:
            self._trouble[signal] = where
        self._report(f"{where} again")

    def _nobody(self, signal: Signal, error: ConsumeError) -> None:
        """No level accepts: log it once, until one does."""
        self._trouble[signal] = text = f"no level accepts {signal} ({error.code.name}: {error})"
        if signal not in self._refused:
            self._refused.add(signal)
            self._settings.logger.warning("%s; the sender is told", text)
        self._report("")

    def _report(self, relief: str) -> None:
        if self._host is not None:
            trouble = "; ".join(self._trouble[one] for one in sorted(self._trouble))
            self._host.report(Status.RECOVERABLE_ERROR if trouble else Status.OK, trouble or relief)


def _where(signal: Signal, standing: Standing) -> str:
    return f"{signal} go to level {standing.level + 1} ({standing.current.name})"


def _levels(
    priorities: Sequence[Sequence[str]], signal: Signal, outputs: Mapping[PipelineId, Consumer]
) -> tuple[Group, ...]:
    """Return the levels that have pipelines of a signal, best first."""
    groups = []
    for names in priorities:
        pipelines = [one for name in dict.fromkeys(names) if (one := PipelineId.parse(name)).signal is signal]
        consumers = [outputs[one] for one in pipelines if one in outputs]
        if consumers:
            groups.append(Group(", ".join(str(one) for one in pipelines), consumers))
    return tuple(groups)
