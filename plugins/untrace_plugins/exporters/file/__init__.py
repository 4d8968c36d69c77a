"""Exporter ``file``: writes OTLP as JSON lines or length-prefixed protobuf, with rotation and compression.

Accepted means written to the operating system. A full disk is back-pressure: nothing is lost, and writing goes on when
there is room.
"""

from untrace_pipeline.api import About, Exporter, ExporterFactory, Settings, Stability
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
    about=About(
        title="File",
        category="stores",
        minimal={"path": "/var/lib/untrace/telemetry.jsonl"},
        options=("path", "format", "append", "rotation", "compression", "create_directory"),
        facts=(
            ("What is sent", "a line of OTLP JSON per request, or protobuf with its length before it"),
            ("Full disk", "nothing is lost: senders wait or are told to come back, until there is room"),
        ),
        look="in the file; the receiver `otlp_json_file` reads it again",
        notes=("A file is emptied at start, as in the Collector, unless `append` or `rotation` is set.",),
    ),
    create=_create,
)
