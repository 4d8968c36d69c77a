"""The resource processor."""

from __future__ import annotations

from untrace_pipeline.data import Batch, Level
from untrace_plugins.processors.attributes.actions import Workspace, compile_actions, keys_read
from untrace_plugins.processors.resource.config import ResourceConfig

__all__ = ["ResourceProcessor"]


class ResourceProcessor:
    """Runs the actions on all resources. A pure step."""

    def __init__(self, config: ResourceConfig) -> None:
        self._steps = compile_actions(config.attributes)
        self._keys = keys_read(config.attributes)

    def process(self, batch: Batch) -> Batch | None:
        """Return the batch with its resources edited; no item is ever dropped."""
        space = Workspace(batch, Level.RESOURCE, None, self._keys)
        if space.size:
            for step in self._steps:
                step(space)
            space.write()
        return batch
