"""Options of the exporter ``kinesis``."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, field_validator, model_validator

from untrace_pipeline.api import ConfigModel, Duration, Size
from untrace_pipeline.delivery import DeliveryConfig
from untrace_pipeline.net.http_client import check_url
from untrace_pipeline.net.tls import ClientTlsConfig
from untrace_plugins.clouds.config import AwsConfig

__all__ = ["Compression", "Encoding", "KinesisConfig", "PartitionKey"]

LARGEST_RECORD = LARGEST_REQUEST = 10 * 1024 * 1024
"""Limits of the service (PutRecords)."""


class Encoding(StrEnum):
    """What is in a record."""

    OTLP_PROTO = "otlp_proto"
    OTLP_JSON = "otlp_json"


class Compression(StrEnum):
    """How records are compressed, each by itself."""

    NONE = "none"
    GZIP = "gzip"
    ZLIB = "zlib"
    FLATE = "flate"
    ZSTD = "zstd"


class PartitionKey(StrEnum):
    """What decides about the shard of a record."""

    TRACE_ID = "trace_id"
    RANDOM = "random"


class StreamConfig(AwsConfig):
    """``aws``: which stream, and who we are for it."""

    stream_name: str = Field(min_length=1, max_length=128, pattern=r"^[a-zA-Z0-9_.-]+$")
    """Name of the stream."""
    kinesis_endpoint: str = ""
    """URL of another service that speaks the same protocol; absent = the region's."""
    role: str = ""
    """The Collector's spelling of ``role_arn``."""

    @field_validator("kinesis_endpoint")
    @classmethod
    def _is_url(cls, url: str) -> str:
        return check_url(url).rstrip("/")

    @model_validator(mode="after")
    def _one_role(self) -> Self:
        if self.role and self.role_arn:
            msg = "either role or role_arn, not both"
            raise ValueError(msg)
        return self

    @property
    def role_in_force(self) -> str:
        """The role, in whichever spelling."""
        return self.role or self.role_arn

    @property
    def endpoint(self) -> str:
        """Where the stream is."""
        suffix = "amazonaws.com.cn" if self.region_in_force.startswith("cn-") else "amazonaws.com"
        return self.kinesis_endpoint or f"https://kinesis.{self.region_in_force}.{suffix}"


class EncodingConfig(ConfigModel):
    """``encoding``."""

    name: Encoding = Encoding.OTLP_PROTO
    """``otlp_proto`` or ``otlp_json``: one record is one OTLP request."""
    compression: Compression = Compression.NONE
    """``none``, ``gzip``, ``zlib``, ``flate`` or ``zstd``."""

    @field_validator("name", mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        return Encoding.OTLP_PROTO if value == "otlp" else value


class KinesisConfig(DeliveryConfig):
    """The keys and defaults of the Collector's ``awskinesis`` exporter, and more."""

    aws: StreamConfig
    """Which stream, and who we are for it."""
    encoding: EncodingConfig = EncodingConfig()
    """What is in a record."""
    partition_key: PartitionKey = PartitionKey.TRACE_ID
    """``trace_id``: the spans and log records of a trace go to one shard, a record for each trace of a request; what
    has none, and metrics, to any. ``random``: everything to any shard, as much in a record as there is room."""
    max_records_per_batch: int = Field(500, ge=1, le=500)
    """Records of one call, at most; 500 is the service's limit."""
    max_record_size: Size = Field(1024 * 1024, ge=1024, le=LARGEST_RECORD)
    """Largest record, with its key: more only where the stream's own limit was raised. The rest is cut by items."""
    max_request_size: Size = Field(5_000_000, ge=1024, le=LARGEST_REQUEST)
    """Most bytes of records and keys in one call."""
    timeout: Duration = Field(30.0, ge=0)
    """Longest time of one attempt; ``0`` = no limit."""
    tls: ClientTlsConfig = ClientTlsConfig()
    """For a service of your own."""
    proxy_url: str = ""
    """HTTP proxy; absent = what HTTP_PROXY, HTTPS_PROXY and NO_PROXY say. Example: ``http://proxy:3128``."""

    @field_validator("proxy_url")
    @classmethod
    def _is_url(cls, url: str) -> str:
        return check_url(url)

    @model_validator(mode="after")
    def _record_fits(self) -> Self:
        if self.max_request_size < self.max_record_size:
            msg = "max_request_size must not be less than max_record_size"
            raise ValueError(msg)
        return self
