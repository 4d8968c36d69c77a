"""Exporter ``debug``: shows what passes, on the console or in a file, as a person reads it.

Formatting and writing happen in a thread behind a bounded queue: a slow terminal never slows the event loop.
"""

from untrace_pipeline.api import Exporter, ExporterFactory, Settings, Stability
from untrace_plugins.exporters.debug.config import DebugConfig

__all__ = ["FACTORY"]


def _create(config: DebugConfig, settings: Settings) -> Exporter:
    from untrace_plugins.exporters.debug.exporter import DebugExporter  # noqa: PLC0415

    return DebugExporter(config, settings)


FACTORY = ExporterFactory(
    type_name="debug",
    config=DebugConfig,
    description="shows what passes, as a person reads it",
    stability=Stability.BETA,
    create=_create,
)
