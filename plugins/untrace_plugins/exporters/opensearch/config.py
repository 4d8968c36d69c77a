"""Options of the exporter ``opensearch``."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import model_validator

from untrace_plugins.bulk.config import BulkConfig, MappingConfig, MappingMode, TemplateConfig
from untrace_plugins.clouds.config import AwsConfig

__all__ = ["OpensearchConfig", "Service", "SigningConfig"]


class Service(StrEnum):
    """A service of AWS that runs OpenSearch."""

    MANAGED = "es"
    SERVERLESS = "aoss"


class SigningConfig(AwsConfig):
    """``aws``: signs requests, for domains and collections of Amazon OpenSearch Service."""

    service: Service = Service.MANAGED
    """``es`` for domains, ``aoss`` for serverless collections."""


class OpensearchMappingConfig(MappingConfig):
    """``mapping``: how documents look. In ``otel`` OpenSearch refuses spans with attributes ``a`` and ``a.b``."""

    mode: MappingMode = MappingMode.FLAT
    """``flat`` takes whatever attributes come: they lie in one field, long texts in another one. ``otel`` is the
    Collector's form for Elasticsearch: attributes are objects, events of spans are documents of their own."""


class OpensearchTemplateConfig(TemplateConfig):
    """``index_template``: tells the server how to index what we send."""

    install: bool = True
    """Make or replace the templates before the first document. Without them each attribute becomes a field."""


class OpensearchConfig(BulkConfig):
    """Those of ``elasticsearch`` without what only Elastic has, and signatures."""

    mapping: OpensearchMappingConfig = OpensearchMappingConfig()
    """How documents look."""
    index_template: OpensearchTemplateConfig = OpensearchTemplateConfig()
    """Whether the server is told how to index them."""
    aws: SigningConfig | None = None
    """Present (``aws: {}`` is enough) = requests are signed with Signature Version 4; needs the extra ``aws``."""

    @model_validator(mode="after")
    def _one_proof(self) -> Self:
        if self.aws is not None and (self.user or self.auth is not None):
            msg = "either aws, or user and auth: a request has one signature"
            raise ValueError(msg)
        return self
