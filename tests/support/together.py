"""A plugin for worker processes: a processor that needs whole traces, in an environment that finds it."""

from __future__ import annotations

from pathlib import Path

from untrace_pipeline.api import Affinity, ComponentConfig, Consumer, Host, ProcessorFactory, Settings
from untrace_pipeline.data import Batch, attribute

__all__ = ["FACTORY", "install"]


class Together:
    """Notes on each span which worker saw it, and passes it on."""

    def __init__(self, config: ComponentConfig, settings: Settings, next: Consumer) -> None:
        self._next = next
        self._worker = -1

    async def start(self, host: Host) -> None:
        """Learn which worker this is."""
        self._worker = host.workers.index

    async def shutdown(self) -> None:
        """Do nothing."""

    async def consume(self, batch: Batch) -> None:
        """Pass on."""
        batch.set(attribute("seen.by"), [self._worker] * batch.item_count)
        await self._next.consume(batch)


FACTORY = ProcessorFactory(
    type_name="together",
    config=ComponentConfig,
    create=Together,
    description="needs whole traces",
    affinity=Affinity.TRACE_ID,
)


def install(directory: Path) -> dict[str, str]:
    """Make a package of it in a directory, and return the environment in which the daemon finds it."""
    package = directory / "together-1.0.dist-info"
    package.mkdir(parents=True, exist_ok=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: together\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(
        "[untrace_pipeline.processors]\ntogether = tests.support.together:FACTORY\n"
    )
    root = Path(__file__).resolve().parents[2]
    return {"PYTHONPATH": f"{directory}:{root}"}
