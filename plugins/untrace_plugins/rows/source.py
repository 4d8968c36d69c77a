"""Where an item comes from: its resource and its scope."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Value

__all__ = ["Attributes", "Source", "hex_id", "read_sources"]

Attributes = Mapping[str, Value]

_NAMES = (ATTRIBUTES, "schema_url", "dropped_attributes_count")
_FIELDS = [
    *[Field(Level.RESOURCE, name) for name in _NAMES],
    *[Field(Level.SCOPE, name) for name in ("name", "version", *_NAMES)],
]


class Source(NamedTuple):
    """Resource and scope, shared by the rows that they hold."""

    resource: Attributes
    resource_schema_url: str
    resource_dropped: int
    scope_name: str
    scope_version: str
    scope: Attributes
    scope_schema_url: str
    scope_dropped: int

    @property
    def service(self) -> str:
        """``service.name``; empty where there is none, or where it is no text."""
        name = self.resource.get("service.name")
        return name if isinstance(name, str) else ""


def read_sources(batch: Batch) -> list[Source]:
    """Return the source of each item."""
    columns: list[list[Any]] = batch.columns(_FIELDS, Level.SCOPE)
    sources = list(map(Source._make, zip(*columns, strict=True)))
    return [sources[scope] for scope in batch.parents(Level.ITEM, Level.SCOPE)]


def hex_id(value: bytes) -> str:
    """Return an id as text; empty where it is none."""
    return value.hex() if any(value) else ""
