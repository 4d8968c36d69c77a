"""Exporter ``clickhouse``: inserts spans, log records and metric points into the Collector's tables of ClickHouse.

What is accepted is inserted, once where the table knows repeated blocks (those that we make do); a row that the server
cannot take goes to the dead letters alone. Costs about 20 µs per LLM span.
"""

from untrace_pipeline.api import About, Exporter, ExporterFactory, Settings, Stability
from untrace_plugins.exporters.clickhouse.config import ClickhouseConfig

__all__ = ["FACTORY"]


def _create(config: ClickhouseConfig, settings: Settings) -> Exporter:
    from untrace_plugins.exporters.clickhouse.exporter import ClickhouseExporter  # noqa: PLC0415

    return ClickhouseExporter(config, settings)


FACTORY = ExporterFactory(
    type_name="clickhouse",
    config=ClickhouseConfig,
    description="inserts into the Collector's tables of ClickHouse",
    stability=Stability.BETA,
    about=About(
        title="ClickHouse",
        category="stores",
        docs="https://clickhouse.com/docs/observability",
        minimal={"endpoint": "http://localhost:8123"},
        options=("username", "password", "database", "ttl", "create_schema", "json_columns", "table_engine"),
        facts=(
            ("What is sent", "rows of the Collector's tables, over HTTP"),
            ("Sent again", "inserted once, where the table remembers blocks: those that the exporter makes do"),
            ("Refused rows", "found by halves; dead letters, each with its reason"),
        ),
        look="`SELECT * FROM otel_traces`, or Grafana's data source for ClickHouse",
    ),
    create=_create,
)
