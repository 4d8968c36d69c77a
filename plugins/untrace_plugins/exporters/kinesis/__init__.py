"""Exporter ``kinesis`` (also ``awskinesis``): puts OTLP requests into a stream of Amazon Kinesis, a record per trace.

What is accepted is in the stream at least once, or counted and logged. Of a call's records, those alone are sent
again that the stream did not take. Costs a decoding and a conversion of each request, outside of the event loop.
"""

from untrace_pipeline.api import About, Exporter, ExporterFactory, MetricKind, MetricSpec, Settings, Stability
from untrace_plugins.exporters.kinesis.config import KinesisConfig

__all__ = ["FACTORY"]


def _create(config: KinesisConfig, settings: Settings) -> Exporter:
    from untrace_plugins.exporters.kinesis.exporter import KinesisExporter  # noqa: PLC0415

    return KinesisExporter(config, settings)


FACTORY = ExporterFactory(
    type_name="kinesis",
    config=KinesisConfig,
    description="puts OTLP requests into a stream of Amazon Kinesis",
    aliases=("awskinesis",),
    stability=Stability.BETA,
    extra="aws",
    metrics=(
        MetricSpec(
            "kinesis_exporter_records",
            MetricKind.COUNTER,
            "Records that the stream answered for; outcome: success or failure.",
            ("exporter", "outcome"),
        ),
        MetricSpec(
            "kinesis_exporter_bytes",
            MetricKind.COUNTER,
            "Bytes of the records that the stream took.",
            ("exporter",),
        ),
    ),
    about=About(
        title="Amazon Kinesis Data Streams",
        category="stores",
        docs="https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html",
        minimal={"aws": {"stream_name": "llm-spans"}},
        options=("aws", "encoding", "partition_key", "max_records_per_batch", "max_record_size", "max_request_size"),
        facts=(
            ("What is sent", "one OTLP request per record, a record per trace of a request"),
            ("Limits", "500 records and 10 MiB per call; 1 MiB per record, unless the stream takes more"),
            ("Busy shards", "records that were not taken are sent again, and those alone"),
        ),
        look="in the stream, by the trace id as partition key",
    ),
    create=_create,
)
