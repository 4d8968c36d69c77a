"""Options of the exporter ``elasticsearch``."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Self

from pydantic import model_validator

from untrace_pipeline.api import Secret
from untrace_plugins.bulk.config import BulkConfig

__all__ = ["ElasticsearchConfig"]


class ElasticsearchConfig(BulkConfig):
    """Options that Elasticsearch has and OpenSearch has not."""

    cloudid: str = ""
    """Cloud ID of a deployment of Elastic Cloud, instead of ``endpoint``. Example: ``prod:ZXhhbXBsZS5jb20kYWJj…``."""
    api_key: Secret = Secret("")
    """API key in its encoded form. Example: ``${env:ELASTIC_API_KEY}``."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sum(map(bool, (self.endpoint, self.endpoints, self.cloudid))) != 1:
            msg = "one of endpoint, endpoints and cloudid"
            raise ValueError(msg)
        if bool(self.user) != bool(self.password):
            msg = "user and password belong together"
            raise ValueError(msg)
        if self.api_key and self.user:
            msg = "either api_key or user, not both"
            raise ValueError(msg)
        _cloud_url(self.cloudid)
        return self

    @property
    def nodes(self) -> Sequence[str]:
        """URLs of the nodes."""
        return [_cloud_url(self.cloudid)] if self.cloudid else super().nodes

    def credentials(self) -> Mapping[str, Secret]:
        """Return the headers that prove who we are."""
        if self.api_key:
            return {"Authorization": Secret(f"ApiKey {self.api_key.reveal()}")}
        return super().credentials()


def _cloud_url(cloud_id: str) -> str:
    """Return the URL that a Cloud ID stands for: ``name:base64(host$cluster$kibana)``. Raises ``ValueError``."""
    if not cloud_id:
        return ""
    try:
        host, cluster, *_ = base64.b64decode(cloud_id.rpartition(":")[2], validate=True).decode().split("$")
    except (binascii.Error, ValueError) as error:
        msg = "cloudid: a Cloud ID as the console of Elastic Cloud shows it"
        raise ValueError(msg) from error
    host, _, port = host.partition(":")
    return f"https://{cluster}.{host}:{port or 443}"
