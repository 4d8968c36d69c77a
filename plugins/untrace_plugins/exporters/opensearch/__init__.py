"""Exporter ``opensearch``: stores spans, log records and metric points as documents of OpenSearch.

What is accepted is stored once, however often it had to be sent; documents that the server refuses go to the dead
letters with its reason, each for itself. Costs about 30 µs per LLM span.
"""

from untrace_pipeline.api import About, Exporter, ExporterFactory, Settings, Stability
from untrace_plugins.exporters.opensearch.config import OpensearchConfig

__all__ = ["FACTORY"]


def _create(config: OpensearchConfig, settings: Settings) -> Exporter:
    from untrace_plugins.exporters.opensearch.exporter import make_exporter  # noqa: PLC0415

    return make_exporter(config, settings)


FACTORY = ExporterFactory(
    type_name="opensearch",
    config=OpensearchConfig,
    description="stores documents in OpenSearch by its bulk API",
    stability=Stability.BETA,
    extra="aws",
    about=About(
        title="OpenSearch",
        category="stores",
        docs="https://docs.opensearch.org/latest/api-reference/document-apis/bulk/",
        minimal={"endpoint": "https://search.example.com:9200", "user": "me", "password": "${env:OPENSEARCH_PASSWORD}"},
        options=("user", "password", "aws", "mapping", "traces_index", "logs_index", "index_template"),
        facts=(
            ("What is sent", "documents, in the Collector's form `otel` or one that is flat"),
            ("Sent again", "stored once: ids are made of trace and span id, or of the content"),
            ("Refused documents", "dead letters, each with its reason; busy ones are sent again alone"),
        ),
        look="OpenSearch Dashboards, Discover, index pattern `traces-*`",
    ),
    create=_create,
)
