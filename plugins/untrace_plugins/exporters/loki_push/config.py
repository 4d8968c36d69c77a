"""Options of the exporter ``loki_push``."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from untrace_pipeline.api import Duration, Size
from untrace_pipeline.delivery import BatchConfig, BatchSizer, DeliveryConfig, QueueConfig
from untrace_pipeline.net.compression import Compression
from untrace_pipeline.net.http_client import HttpClientConfig

__all__ = ["PUSH_PATH", "Encoding", "LineFormat", "LokiPushConfig"]

PUSH_PATH = "/loki/api/v1/push"
MOST_LABELS = 15
"""Loki's default ``max_label_names_per_series``."""
_OF_OURS = ("level", "signal")
"""Labels that we add."""
_MANY_VALUES = frozenset({"trace_id", "traceid", "trace.id", "span_id", "spanid", "span.id", "session.id", "user.id"})
"""Attributes of which each value would be a stream of its own."""


class LineFormat(StrEnum):
    """What a line is."""

    JSON = "json"
    BODY = "body"


class Encoding(StrEnum):
    """Form of a request."""

    JSON = "json"
    PROTOBUF = "protobuf"


_BATCH = BatchConfig.model_validate(
    {"min_size": 1_000_000, "max_size": 4_000_000, "sizer": BatchSizer.BYTES, "flush_timeout": "1s"}
)
_QUEUE = QueueConfig(num_consumers=1, batch=_BATCH)


class LokiPushConfig(HttpClientConfig, DeliveryConfig):
    """Where lines go, and what they are."""

    endpoint: str = Field(min_length=1)
    """URL of Loki; ``/loki/api/v1/push`` is added where it has no path. Example: ``http://localhost:3100``."""
    tenant: str = ""
    """Tenant, the header ``X-Scope-OrgID``, where Loki has several."""
    labels: dict[str, str] = {}
    """Labels of every stream. Example: ``{cluster: eu-1}``."""
    resource_labels: list[str] = [
        "service.name",
        "service.namespace",
        "deployment.environment.name",
        "k8s.namespace.name",
    ]
    """Attributes of resources that are labels; dots become underscores. Only what has few values: each combination is a
    stream."""
    attribute_labels: list[str] = []
    """Attributes of records and spans that are labels. Example: ``[gen_ai.provider.name]``."""
    level_label: bool = True
    """Whether the severity is the label ``level``, in small letters; of spans, ``error`` or ``info``."""
    structured_metadata: bool = True
    """Send ids, scope and attributes as structured metadata; for Loki from 3.0 on, or with
    ``allow_structured_metadata``."""
    max_metadata_value: int = Field(1024, ge=16)
    """Longest attribute in structured metadata, in characters; longer ones are cut and marked with ``…``."""
    line_format: LineFormat = LineFormat.JSON
    """``json``: a line is an object with body, attributes, resource and scope, so that nothing is lost. ``body``: it is
    the body of the record as text (of a span, its name), and attributes are structured metadata only."""
    max_line_bytes: Size = Field(256 * 1024, ge=1000)
    """Longest line that Loki takes (``max_line_size``); what is longer goes by ``oversize``."""
    encoding: Encoding = Encoding.JSON
    """``json``, or ``protobuf`` with snappy, which needs the extra ``remote-write``."""
    compression: Compression = Compression.GZIP
    """``gzip`` or ``none``, for ``json``."""
    timeout: Duration = Field(30.0, ge=0)
    """Longest time of one attempt; ``0`` = no limit."""
    sending_queue: QueueConfig = _QUEUE
    """Queue before the destination. Unless set, one request is under way at a time, because lines of a stream should
    come in order, and what waits is merged into requests of 1 MB, at most a second."""

    @field_validator("compression")
    @classmethod
    def _known(cls, value: Compression) -> Compression:
        if value not in {Compression.GZIP, Compression.NONE}:
            msg = f"gzip or none: Loki does not take {value}"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _few_labels(self) -> Self:
        named = [*self.labels, *self.resource_labels, *self.attribute_labels]
        if many := sorted(_MANY_VALUES.intersection(named)):
            msg = (
                f"labels with few values: each {many[0]} would be a stream of its own; it is structured metadata anyway"
            )
            raise ValueError(msg)
        if len(named) + len(_OF_OURS) > MOST_LABELS:
            msg = f"at most {MOST_LABELS} labels, and {', '.join(_OF_OURS)} are added: Loki takes no more"
            raise ValueError(msg)
        return self

    @property
    def url(self) -> str:
        """Where lines are pushed to."""
        path = urlsplit(self.endpoint).path
        return self.endpoint if path.strip("/") else f"{self.endpoint.removesuffix('/')}{PUSH_PATH}"

    def references(self) -> Mapping[str, tuple[str, ...]]:
        """Return the extension that adds credentials, and the storages."""
        named = {"auth.authenticator": (self.auth.authenticator,)} if self.auth else {}
        return {**super().references(), **named}
