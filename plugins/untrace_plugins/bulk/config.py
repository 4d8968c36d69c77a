"""Options of both exporters; keys and defaults are the Collector's ``elasticsearch`` exporter's where it has them."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Self

from pydantic import Field, field_validator, model_validator

from untrace_pipeline.api import ConfigModel, Duration, Secret, Size
from untrace_pipeline.data import Signal
from untrace_pipeline.delivery import BatchConfig, BatchSizer, DeliveryConfig, QueueConfig
from untrace_pipeline.net.compression import Compression
from untrace_pipeline.net.http_client import HttpClientConfig, check_url

__all__ = ["BulkConfig", "LogstashConfig", "MappingConfig", "MappingMode", "TemplateConfig"]


class MappingMode(StrEnum):
    """How documents look."""

    OTEL = "otel"
    FLAT = "flat"


class MappingConfig(ConfigModel):
    """``mapping``: how documents look."""

    mode: MappingMode = MappingMode.OTEL
    """``otel`` is the Collector's: attributes are objects, events of spans are documents of their own. ``flat`` keeps
    the number of fields small whatever attributes come: attributes lie in one field, long texts in another one."""


class LogstashConfig(ConfigModel):
    """``logstash_format``: one index for each day."""

    enabled: bool = False
    """Append the date of each document to the name of its index."""
    prefix_separator: str = "-"
    """Between name and date."""
    date_format: str = Field("%Y.%m.%d", min_length=1)
    """As ``strftime`` knows it; UTC."""


class TemplateConfig(ConfigModel):
    """``index_template``: tells the server how to index what we send."""

    install: bool = False
    """Make or replace the templates when the exporter starts. Elasticsearch from 8.16 has its own for ``otel``."""
    name: str = Field("untrace", min_length=1, pattern=r"^[a-z0-9][a-z0-9._-]*$")
    """What the names of the templates begin with."""
    number_of_replicas: int = Field(1, ge=0)
    """Copies of each shard. Example: ``0`` for a single node."""
    number_of_shards: int = Field(1, ge=1)
    """Shards of each index."""
    priority: int = Field(200, ge=0)
    """Wins over templates of lower priority that match the same names."""


_BATCH = BatchConfig.model_validate(
    {"min_size": 1_000_000, "max_size": 5_000_000, "sizer": BatchSizer.BYTES, "flush_timeout": "1s"}
)


class BulkConfig(HttpClientConfig, DeliveryConfig):
    """Where documents go, and how they look."""

    endpoint: str = ""
    """URL of the cluster. Example: ``https://search.example.com:9200``."""
    endpoints: list[str] = []
    """URLs of several nodes, asked in turn; one that does not answer is passed over. Instead of ``endpoint``."""
    user: str = ""
    """Name for HTTP Basic authentication."""
    password: Secret = Secret("")
    """Its password."""
    traces_index: str = ""
    """Index or data stream of all spans. Absent = the data stream ``traces-<dataset>-<namespace>``, of the attributes
    ``data_stream.dataset`` and ``data_stream.namespace`` (``generic`` and ``default`` where absent)."""
    logs_index: str = ""
    """Index or data stream of all log records; absent as for spans: ``logs-…``."""
    metrics_index: str = ""
    """Index or data stream of all metric points; absent as for spans: ``metrics-…``."""
    index_from_attributes: bool = True
    """Let the attributes ``elasticsearch.index``, ``data_stream.dataset`` and ``data_stream.namespace`` say where
    documents go, as the Collector does. ``false`` = never: who sends cannot choose. Not in the Collector."""
    logstash_format: LogstashConfig = LogstashConfig()
    """Whether names of indices end with a date."""
    mapping: MappingConfig = MappingConfig()
    """How documents look."""
    index_template: TemplateConfig = TemplateConfig()
    """Whether the server is told how to index them."""
    pipeline: str = ""
    """Ingest pipeline that documents pass on the server."""
    idempotent_ids: bool = True
    """Give documents ids made of what they are, so that what is sent again is stored once. ``false`` lets the server
    choose: cheaper for it, and a retry may store twice. Not in the Collector."""
    max_bulk_bytes: Size = Field(10_000_000, ge=1000)
    """Largest bulk request before compression; more documents go in several. The server's limit is
    ``http.max_content_length``, 100 MB unless set."""
    compression: Compression = Compression.GZIP
    """``gzip`` or ``none``; servers take no other."""
    timeout: Duration = Field(90.0, ge=0)
    """Longest time of one attempt; ``0`` = no limit."""
    sending_queue: QueueConfig = QueueConfig(batch=_BATCH)
    """Queue before the destination. Unless set, what waits is merged into requests of 1 MB, at most a second."""

    @field_validator("endpoints")
    @classmethod
    def _are_urls(cls, urls: list[str]) -> list[str]:
        return [check_url(url) for url in urls if url]

    @field_validator("compression")
    @classmethod
    def _known(cls, value: Compression) -> Compression:
        if value not in {Compression.GZIP, Compression.NONE}:
            msg = f"gzip or none: servers do not take {value}"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _check(self) -> Self:
        if bool(self.endpoint) == bool(self.endpoints):
            msg = "endpoint, or endpoints for several nodes"
            raise ValueError(msg)
        if bool(self.user) != bool(self.password):
            msg = "user and password belong together"
            raise ValueError(msg)
        return self

    @property
    def nodes(self) -> Sequence[str]:
        """URLs of the nodes, without a slash at the end."""
        return [url.removesuffix("/") for url in self.endpoints or [self.endpoint]]

    @property
    def index_names(self) -> Mapping[Signal, str]:
        """Index of each signal; empty for data streams by attributes."""
        return {Signal.TRACES: self.traces_index, Signal.LOGS: self.logs_index, Signal.METRICS: self.metrics_index}

    def credentials(self) -> Mapping[str, Secret]:
        """Return the headers that prove who we are."""
        if not self.user:
            return {}
        pair = base64.b64encode(f"{self.user}:{self.password.reveal()}".encode()).decode()
        return {"Authorization": Secret(f"Basic {pair}")}

    def references(self) -> Mapping[str, tuple[str, ...]]:
        """Return the extension that adds credentials, and the storages."""
        named = {"auth.authenticator": (self.auth.authenticator,)} if self.auth else {}
        return {**super().references(), **named}
