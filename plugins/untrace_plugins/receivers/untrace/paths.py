"""Paths of the API."""

from __future__ import annotations

from typing import Final

TRACES: Final = "/v1/traces"
BATCH: Final = "/v1/traces/batch"
INGEST: Final = "/api/v1/traces/ingest"
HEALTH: Final = "/health"
OPENAPI: Final = "/openapi.json"
