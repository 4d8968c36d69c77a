"""Names of dimensions that spans have without being asked for."""

from __future__ import annotations

from typing import Final

__all__ = ["FIXED_DIMENSIONS", "INSTANCE_ID", "SERVICE_NAME", "SPAN_KIND", "SPAN_NAME", "STATUS_CODE"]

SERVICE_NAME: Final = "service.name"
SPAN_NAME: Final = "span.name"
SPAN_KIND: Final = "span.kind"
STATUS_CODE: Final = "status.code"
INSTANCE_ID: Final = "collector.instance.id"
"""Tells apart what several processes count: series have one writer (OTel metrics data model, "Single-Writer")."""

FIXED_DIMENSIONS = frozenset({SERVICE_NAME, SPAN_NAME, SPAN_KIND, STATUS_CODE, INSTANCE_ID})
