"""The exporter ``opensearch``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from untrace_pipeline.api import Settings
from untrace_plugins.bulk.exporter import BulkExporter, Dialect, Sign
from untrace_plugins.exporters.opensearch.config import OpensearchConfig, SigningConfig

__all__ = ["make_exporter"]


def make_exporter(config: OpensearchConfig, settings: Settings) -> BulkExporter:
    """Return an exporter that speaks as OpenSearch expects it."""
    sign = _signing(config.aws) if config.aws is not None else None
    dialect = Dialect({"type": "flat_object"}, time_series=False, credentials=config.credentials(), sign=sign)
    return BulkExporter(config, settings, dialect)


def _signing(config: SigningConfig) -> Sign:
    from untrace_plugins.clouds.aws import Signer  # noqa: PLC0415  needs an extra

    signer = Signer(config, config.service)

    async def sign(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Mapping[str, str]:
        # Serverless collections want the digest of the body as a header, signed with the others.
        digest = hashlib.sha256(body).hexdigest()
        return await signer.headers(method, url, {**headers, "X-Amz-Content-SHA256": digest}, body)

    return sign
