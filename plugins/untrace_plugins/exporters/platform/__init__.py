"""Exporters of platforms that take OTLP over HTTP: one for each file of ``untrace_plugins.destinations.platforms``.

A user writes the type of the platform and its key. The rest is in its file: where it is, which headers it wants, which
form its LLM spans have, what it takes at most, and what its statuses mean. Data that was normalised already is not read
again. What is accepted is delivered at least once, left out on purpose and counted, or counted and logged as lost.
"""

from __future__ import annotations

from functools import lru_cache

from untrace_pipeline.api import Exporter, ExporterFactory, Settings, Stability
from untrace_plugins.destinations.reading import read_destination
from untrace_plugins.exporters.platform.about import about
from untrace_plugins.exporters.platform.config import PlatformConfig, config_class

__all__ = ["make_factory"]


def _create(config: PlatformConfig, settings: Settings) -> Exporter:
    from untrace_plugins.exporters.platform.exporter import PlatformExporter  # noqa: PLC0415

    return PlatformExporter(config, settings)


@lru_cache(maxsize=256)
def make_factory(text: str) -> ExporterFactory[PlatformConfig]:
    """Return the factory of the exporter that a destination's file describes; equal texts give the same one.

    Raises ``ValueError`` with all that is wrong in the file.
    """
    destination = read_destination(text)
    return ExporterFactory(
        type_name=destination.name,
        config=config_class(destination),
        description=destination.description,
        aliases=tuple(destination.aliases),
        signals=frozenset(destination.urls),
        stability=Stability.BETA,
        about=about(destination),
        create=_create,
    )
