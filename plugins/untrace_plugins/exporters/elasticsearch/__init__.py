"""Exporter ``elasticsearch``: stores spans, log records and metric points as documents of Elasticsearch.

What is accepted is stored once, however often it had to be sent; documents that the server refuses go to the dead
letters with its reason, each for itself. Costs about 30 µs per LLM span.
"""

from untrace_pipeline.api import About, Exporter, ExporterFactory, Settings, Stability
from untrace_plugins.exporters.elasticsearch.config import ElasticsearchConfig

__all__ = ["FACTORY"]


def _create(config: ElasticsearchConfig, settings: Settings) -> Exporter:
    from untrace_plugins.exporters.elasticsearch.exporter import make_exporter  # noqa: PLC0415

    return make_exporter(config, settings)


FACTORY = ExporterFactory(
    type_name="elasticsearch",
    config=ElasticsearchConfig,
    description="stores documents in Elasticsearch by its bulk API",
    stability=Stability.BETA,
    about=About(
        title="Elasticsearch",
        category="stores",
        docs="https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk",
        minimal={"endpoint": "https://search.example.com:9200", "api_key": "${env:ELASTIC_API_KEY}"},
        options=("api_key", "mapping", "traces_index", "logs_index", "logstash_format", "index_template"),
        facts=(
            ("What is sent", "documents, in the Collector's form `otel` or one that is flat"),
            ("Sent again", "stored once: ids are made of trace and span id, or of the content"),
            ("Refused documents", "dead letters, each with its reason; busy ones are sent again alone"),
        ),
        look="Kibana, Discover, data view `traces-*`",
    ),
    create=_create,
)
