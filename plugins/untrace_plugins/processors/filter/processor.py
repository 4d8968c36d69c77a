"""The filter processor."""

from __future__ import annotations

from collections.abc import Sequence

from untrace_pipeline.api import PermanentError, Settings
from untrace_pipeline.conditions import (
    Condition,
    Conditions,
    ConditionSource,
    ErrorMode,
    MatchProperties,
    compile_condition,
    group_level,
    selected,
)
from untrace_pipeline.data import Batch, Level, Signal
from untrace_plugins.processors.filter.config import FilterConfig

__all__ = ["FilterProcessor"]


class _Stage:
    """Conditions over one level; rows that satisfy any of them go."""

    def __init__(self, sources: Sequence[ConditionSource], signal: Signal, level: Level, mode: ErrorMode) -> None:
        self.level = level
        self.mode = mode
        self.conditions = Conditions([compile_condition(source, signal, level) for source in sources], level)


class FilterProcessor:
    """Drops rows level by level, from the outside in, so that what is gone is not asked any more. A pure step."""

    def __init__(self, config: FilterConfig, settings: Settings) -> None:
        self._logger = settings.logger
        self._stages = {signal: _stages(config, signal) for signal in settings.signals}
        kept = {signal: _kept(config, signal) for signal in settings.signals}
        self._kept = {signal: condition for signal, condition in kept.items() if condition is not None}

    def process(self, batch: Batch) -> Batch | None:
        """Return what is left, or ``None``. Raises :class:`PermanentError` where ``error_mode`` is ``propagate``."""
        kept = self._kept.get(batch.signal)
        if kept is not None:
            batch.keep(kept.mask(batch))
        for stage in self._stages.get(batch.signal, ()):
            drop, trouble = stage.conditions.any(batch)
            if trouble is not None:
                self._report(trouble, stage.mode)
            if any(drop):
                batch.keep([not gone for gone in drop], stage.level)
        return batch if batch.item_count else None

    def _report(self, trouble: str, mode: ErrorMode) -> None:
        if mode is ErrorMode.PROPAGATE:
            msg = f"a condition has no answer: {trouble}"
            raise PermanentError(msg)
        if mode is ErrorMode.IGNORE:
            self._logger.warning("a condition has no answer and is passed over: %s", trouble)


def _stages(config: FilterConfig, signal: Signal) -> list[_Stage]:
    groups = config.groups()[signal]
    if groups:
        return [
            _Stage(
                group.conditions,
                signal,
                group_level(group.conditions, group.context, signal),
                group.error_mode or config.error_mode,
            )
            for group in groups
        ]
    by_level: dict[Signal, list[tuple[list[ConditionSource], Level]]] = {
        Signal.TRACES: [
            (config.traces.resource, Level.RESOURCE),
            (config.traces.span, Level.ITEM),
            (config.traces.spanevent, Level.EVENT),
        ],
        Signal.METRICS: [
            (config.metrics.resource, Level.RESOURCE),
            (config.metrics.metric, Level.METRIC),
            (config.metrics.datapoint, Level.ITEM),
        ],
        Signal.LOGS: [(config.logs.resource, Level.RESOURCE), (config.logs.log_record, Level.ITEM)],
    }
    return [_Stage(sources, signal, level, config.error_mode) for sources, level in by_level[signal] if sources]


def _kept(config: FilterConfig, signal: Signal) -> Condition | None:
    """Return what ``include`` and ``exclude`` keep, if they are used."""
    include: MatchProperties | None
    exclude: MatchProperties | None
    if signal is Signal.TRACES:
        include, exclude = config.spans.include, config.spans.exclude
    else:
        older = config.metrics if signal is Signal.METRICS else config.logs
        include = older.include.properties() if older.include is not None else None
        exclude = older.exclude.properties() if older.exclude is not None else None
    return selected(include, exclude, signal) if include is not None or exclude is not None else None
