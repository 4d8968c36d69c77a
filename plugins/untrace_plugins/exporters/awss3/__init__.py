"""Exporter ``awss3``: ``object_store`` for S3 alone, with the options and defaults of the Collector's ``awss3``.

For configurations of the Collector; whoever writes a new one takes ``object_store``, which has all of this and more.
"""

from untrace_pipeline.api import About, Exporter, ExporterFactory, Settings, Stability
from untrace_plugins.exporters.awss3.config import AwsS3Config
from untrace_plugins.exporters.object_store import FACTORY as OBJECT_STORE

__all__ = ["FACTORY"]


def _create(config: AwsS3Config, settings: Settings) -> Exporter:
    from untrace_plugins.exporters.object_store.exporter import ObjectStoreExporter  # noqa: PLC0415

    return ObjectStoreExporter(config.as_object_store(), settings)


FACTORY = ExporterFactory(
    type_name="awss3",
    config=AwsS3Config,
    description="writes OTLP JSON or protobuf to S3, configured as the Collector's awss3",
    stability=Stability.BETA,
    extra="aws",
    metrics=OBJECT_STORE.metrics,
    about=About(
        title="Amazon S3 (as the Collector's awss3)",
        category="stores",
        docs="https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html",
        minimal={"s3uploader": {"s3_bucket": "llm-spans"}},
        options=("s3uploader", "marshaler", "resource_attrs_to_s3", "sending_queue"),
        facts=(
            ("What is sent", "OTLP JSON or protobuf, an object per request"),
            ("Sent twice", "stored once: names follow from the content, and objects are only created"),
        ),
        look="in objects below the prefix: year=…/month=…/day=…/hour=…/minute=…/traces_….json, and so on",
        notes=(
            "For configurations of the Collector; a new one takes `object_store`, which has more.",
            "There is no queue unless `sending_queue.enabled` is true: senders wait for S3.",
        ),
    ),
    create=_create,
)
