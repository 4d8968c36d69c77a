"""Exporter ``object_store``: writes objects of OTLP or Parquet to S3, Google Cloud Storage, Azure Blob Storage or a
directory.

Names follow from the content and its arrival, and objects are only ever created: whatever is sent twice is stored once.
What is accepted is lost only where no disk holds the queue. Costs a conversion, outside of the event loop, per object.
"""

from untrace_pipeline.api import About, Exporter, ExporterFactory, MetricKind, MetricSpec, Settings, Stability
from untrace_plugins.exporters.object_store.config import ObjectStoreConfig

__all__ = ["FACTORY"]


def _create(config: ObjectStoreConfig, settings: Settings) -> Exporter:
    from untrace_plugins.exporters.object_store.exporter import ObjectStoreExporter  # noqa: PLC0415

    return ObjectStoreExporter(config, settings)


FACTORY = ExporterFactory(
    type_name="object_store",
    config=ObjectStoreConfig,
    description="writes OTLP JSON, protobuf or Parquet to S3, Google Cloud Storage, Azure Blob Storage or a directory",
    stability=Stability.BETA,
    extra="object-store",
    metrics=(
        MetricSpec(
            "object_store_exporter_objects",
            MetricKind.COUNTER,
            "Objects that are stored; outcome: new, or present where an earlier attempt had stored it.",
            ("exporter", "outcome"),
        ),
        MetricSpec(
            "object_store_exporter_bytes",
            MetricKind.COUNTER,
            "Bytes of the new objects, as they are stored.",
            ("exporter",),
        ),
    ),
    about=About(
        title="Object store",
        category="stores",
        minimal={"url": "s3://bucket/prefix"},
        options=(
            "url",
            "s3",
            "gcs",
            "azure",
            "file",
            "format",
            "compression",
            "prefix_from_attribute",
            "partition_format",
        ),
        facts=(
            ("Where it goes", "S3 and what speaks its protocol, Google Cloud Storage, Azure Blob Storage, a directory"),
            ("What is sent", "OTLP JSON lines, OTLP protobuf, or Parquet with columns for LLM calls"),
            ("Sent twice", "stored once: names follow from the content, and objects are only created"),
        ),
        look="In objects below the prefix: year=…/month=…/day=…/hour=…/minute=…/traces_….json, and so on.",
    ),
    create=_create,
)
