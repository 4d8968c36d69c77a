"""Options of the exporter ``clickhouse``; keys and defaults are the Collector's where it has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from untrace_pipeline.api import ConfigModel, Duration, Secret, Size
from untrace_pipeline.delivery import BatchConfig, BatchSizer, DeliveryConfig, QueueConfig
from untrace_pipeline.net.compression import Compression
from untrace_pipeline.net.http_client import HttpClientConfig, check_url

__all__ = ["ClickhouseConfig", "EngineConfig", "MetricsTablesConfig", "TableConfig"]

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_.-]+$")]


class EngineConfig(ConfigModel):
    """``table_engine``: of the tables that we make."""

    name: str = Field("MergeTree", pattern=r"^[A-Za-z]*MergeTree$")
    """Name of the engine. Example: ``ReplicatedMergeTree``."""
    params: str = ""
    """What stands in its parentheses. Example: ``'/clickhouse/tables/{shard}/{table}', '{replica}'``."""


class TableConfig(ConfigModel):
    """A table for one kind of metrics."""

    name: Name
    """Its name."""


class MetricsTablesConfig(ConfigModel):
    """``metrics_tables``: one for each kind."""

    gauge: TableConfig = TableConfig(name="otel_metrics_gauge")
    """Of gauges."""
    sum: TableConfig = TableConfig(name="otel_metrics_sum")
    """Of sums."""
    summary: TableConfig = TableConfig(name="otel_metrics_summary")
    """Of summaries."""
    histogram: TableConfig = TableConfig(name="otel_metrics_histogram")
    """Of histograms."""
    exponential_histogram: TableConfig = TableConfig(name="otel_metrics_exponential_histogram")
    """Of exponential histograms."""


_BATCH = BatchConfig.model_validate(
    {"min_size": 8_000_000, "max_size": 16_000_000, "sizer": BatchSizer.BYTES, "flush_timeout": "1s"}
)


class ClickhouseConfig(HttpClientConfig, DeliveryConfig):
    """Where the server is, and which tables there are."""

    endpoint: str = ""
    """URL of the HTTP interface. Example: ``https://clickhouse.example.com:8443``. Differs from the Collector, which
    knows the native protocol too."""
    endpoints: list[str] = []
    """URLs of several servers, asked in turn; one that does not answer is passed over. Instead of ``endpoint``."""
    username: str = ""
    """User; absent = the server's ``default``."""
    password: Secret = Secret("")
    """The user's password."""
    database: Name = "default"
    """Database of the tables."""
    connection_params: dict[str, str] = {}
    """Settings of the server for each insert. Example: ``{max_insert_threads: "4"}``."""
    traces_table_name: Name = "otel_traces"
    """Table of spans; ``<name>_trace_id_ts`` says when each trace was."""
    logs_table_name: Name = "otel_logs"
    """Table of log records."""
    metrics_tables: MetricsTablesConfig = MetricsTablesConfig()
    """Tables of metric points."""
    create_schema: bool = True
    """Make database and tables that are not there, before the first insert."""
    ttl: Duration = Field(0.0, ge=0)
    """How long rows are kept in tables that we make; ``0`` = for ever. Example: ``720h``."""
    table_engine: EngineConfig = EngineConfig()
    """Engine of tables that we make."""
    cluster_name: str = Field("", pattern=r"^[A-Za-z0-9_{}.-]*$")
    """Cluster that tables are made on: ``ON CLUSTER``."""
    json_columns: bool = False
    """Attributes are of the type ``JSON`` instead of maps of texts: numbers stay numbers. From ClickHouse 25 on."""
    deduplication_window: int = Field(1000, ge=0)
    """How many blocks a table that we make remembers, so that what is sent again is not there twice; ``0`` = none.
    Replicated tables have a window of their own. Not in the Collector."""
    async_insert: bool = False
    """Let the server gather rows of many requests, and answer when they are written. For many small requests. Differs
    from the Collector (true): blocks that the server gathers cannot be recognised when they come again."""
    compression: Compression = Compression.ZSTD
    """``zstd``, ``gzip``, ``deflate`` or ``none``."""
    max_insert_bytes: Size = Field(64_000_000, ge=1000)
    """Largest body before compression; more rows go in several inserts."""
    timeout: Duration = Field(30.0, ge=0)
    """Longest time of one attempt; ``0`` = no limit."""
    sending_queue: QueueConfig = QueueConfig(batch=_BATCH)
    """Queue before the destination. Unless set, what waits is merged into requests of 8 MB, at most a second: the
    server wants few and large blocks."""

    @field_validator("endpoint", mode="before")
    @classmethod
    def _is_http(cls, url: object) -> object:
        if isinstance(url, str) and url.partition("://")[0] in {"tcp", "clickhouse"}:
            msg = "the URL of the HTTP interface, such as http://localhost:8123: the native protocol is not spoken"
            raise ValueError(msg)
        return url

    @field_validator("endpoints")
    @classmethod
    def _are_urls(cls, urls: list[str]) -> list[str]:
        return [check_url(url) for url in urls if url]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if bool(self.endpoint) == bool(self.endpoints):
            msg = "endpoint, or endpoints for several servers"
            raise ValueError(msg)
        if self.password and not self.username:
            msg = "password needs username"
            raise ValueError(msg)
        return self

    @property
    def nodes(self) -> Sequence[str]:
        """URLs of the servers, without a slash at the end."""
        return [url.removesuffix("/") for url in self.endpoints or [self.endpoint]]

    def credentials(self) -> Mapping[str, Secret]:
        """Return the headers that prove who we are."""
        if not self.username:
            return {}
        named = {"X-ClickHouse-User": Secret(self.username)}
        return {**named, "X-ClickHouse-Key": self.password} if self.password else named

    def references(self) -> Mapping[str, tuple[str, ...]]:
        """Return the extension that adds credentials, and the storages."""
        named = {"auth.authenticator": (self.auth.authenticator,)} if self.auth else {}
        return {**super().references(), **named}
