"""Exporter ``file``: writes OTLP as JSON lines or length-prefixed protobuf, with rotation and compression.

Accepted means written to the operating system. A full disk is back-pressure: nothing is lost, and writing goes on when
there is room.
"""

from untrace_pipeline.api import Exporter, ExporterFactory, Settings, Stability
from untrace_plugins.exporters.file.config import FileConfig

__all__ = ["FACTORY"]


def _create(config: FileConfig, settings: Settings) -> Exporter:
    from untrace_plugins.exporters.file.exporter import FileExporter  # noqa: PLC0415

    return FileExporter(config, settings)


FACTORY = ExporterFactory(
    type_name="file",
    config=FileConfig,
    description="writes OTLP JSON lines or protobuf to a file, with rotation",
    stability=Stability.BETA,
    create=_create,
)
