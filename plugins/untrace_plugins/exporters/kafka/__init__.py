"""Exporter ``kafka``: produces OTLP requests to Kafka topics.

What is accepted is in Kafka on every in-sync replica, once where Kafka can tell, or counted and logged. Requests pass
through as bytes; they are decoded only where one must become several messages. Costs about 4 µs per message besides the
bytes.
"""

from untrace_pipeline.api import About, Exporter, ExporterFactory, MetricKind, MetricSpec, Settings, Stability
from untrace_plugins.exporters.kafka.config import KafkaExporterConfig

__all__ = ["FACTORY"]


def _create(config: KafkaExporterConfig, settings: Settings) -> Exporter:
    from untrace_plugins.exporters.kafka.exporter import KafkaExporter  # noqa: PLC0415

    return KafkaExporter(config, settings)


FACTORY = ExporterFactory(
    type_name="kafka",
    config=KafkaExporterConfig,
    description="produces OTLP requests to Kafka topics",
    stability=Stability.BETA,
    extra="kafka",
    metrics=(
        MetricSpec(
            "kafka_exporter_records",
            MetricKind.COUNTER,
            "Messages that the brokers answered for; outcome: success or failure.",
            ("exporter", "topic", "outcome"),
        ),
        MetricSpec(
            "kafka_exporter_bytes_uncompressed",
            MetricKind.COUNTER,
            "Bytes of those messages before compression.",
            ("exporter", "topic", "outcome"),
        ),
        MetricSpec(
            "kafka_exporter_outstanding_records",
            MetricKind.GAUGE,
            "Messages handed to the Kafka library that no broker has answered for.",
            ("exporter",),
        ),
    ),
    about=About(
        title="Apache Kafka",
        category="stores",
        docs="https://kafka.apache.org/documentation/",
        minimal={"brokers": ["kafka:9092"]},
        options=(
            "brokers",
            "traces",
            "metrics",
            "logs",
            "topic_from_attribute",
            "message_key",
            "producer",
            "auth",
            "tls",
        ),
        facts=(
            ("Where it goes", "to the topics otlp_spans, otlp_metrics and otlp_logs, unless the options name others"),
            ("What is sent", "one OTLP request per message, as protobuf or JSON"),
            ("Sent again", "stored once where the brokers recognise repeated messages, as they do by default"),
        ),
        look="`kafka-console-consumer.sh --topic otlp_spans`, or the receiver `kafka` of another pipeline",
    ),
    create=_create,
)
