"""The attributes processor."""

from __future__ import annotations

from untrace_pipeline.api import Settings, StartError
from untrace_pipeline.conditions import Condition, selected
from untrace_pipeline.data import Batch, Level, Signal
from untrace_pipeline.errors import ConditionError
from untrace_plugins.processors.attributes.actions import Workspace, compile_actions, keys_read
from untrace_plugins.processors.attributes.config import AttributesConfig

__all__ = ["AttributesProcessor"]


class AttributesProcessor:
    """Runs the actions on the items that are selected. A pure step."""

    def __init__(self, config: AttributesConfig, settings: Settings) -> None:
        self._steps = compile_actions(config.actions)
        self._keys = keys_read(config.actions)
        self._selected: dict[Signal, Condition] = {}
        if config.include is not None or config.exclude is not None:
            try:
                self._selected = {
                    signal: selected(config.include, config.exclude, signal) for signal in settings.signals
                }
            except ConditionError as error:
                msg = f"processor {settings.id}: {error}"
                raise StartError(msg) from error

    def process(self, batch: Batch) -> Batch | None:
        """Return the batch with its attributes edited; no item is ever dropped."""
        rows = None
        if batch.signal in self._selected:
            mask = self._selected[batch.signal].mask(batch)
            rows = [row for row, wanted in enumerate(mask) if wanted]
            if not rows:
                return batch
            if len(rows) == len(mask):
                rows = None
        space = Workspace(batch, Level.ITEM, rows, self._keys)
        if space.size:
            for step in self._steps:
                step(space)
            space.write()
        return batch
