"""Databases that are searched: ClickHouse, OpenSearch."""

from __future__ import annotations

import contextlib
import json
import urllib.error
from typing import Any

from tests.support.llm_calls import SpanView
from tests.support.peers import ClickHouse, OpenSearch
from tests.support.proofs.place import SpanPlace, Stored
from tests.support.proofs.places.served import ServedPlace
from tests.support.proofs.versions import pinned

__all__ = ["ClickHousePlace", "OpenSearchPlace"]


class ClickHousePlace(ServedPlace[ClickHouse], SpanPlace):
    """The engine of ClickHouse, in which attributes are texts."""

    name: str = "clickhouse"
    exports: str = "INSERT"

    def __init__(self) -> None:
        super().__init__(ClickHouse())

    @property
    def peer(self) -> str:
        return f"chdb {pinned('clickhouse', 'chdb')}"

    def read(self) -> list[Stored]:
        try:
            rows = self.server.query("SELECT SpanId, SpanName, SpanAttributes, StatusCode FROM default.otel_traces")
        except urllib.error.HTTPError:
            return []  # no table yet
        return [
            (
                row["SpanId"],
                SpanView(row["SpanName"], _typed(row["SpanAttributes"]), row["StatusCode"] == "Error"),
            )
            for row in rows
        ]


class OpenSearchPlace(ServedPlace[OpenSearch], SpanPlace):
    """One node of OpenSearch, in the form in which no attribute is in the way of another one."""

    name: str = "opensearch"
    exports: str = "_bulk"

    def __init__(self) -> None:
        super().__init__(OpenSearch())

    @property
    def peer(self) -> str:
        return f"OpenSearch {pinned('opensearch', 'org.opensearch</groupId><artifactId>opensearch')}"

    def options(self, url: str) -> dict[str, Any]:
        return {"endpoint": url, "index_template": {"number_of_replicas": 0}}

    def read(self) -> list[Stored]:
        try:
            documents = self.server.documents("traces-generic-default")
        except urllib.error.HTTPError:
            return []  # no data stream yet
        return [_span(document["_source"]) for document in documents]


def _span(row: dict[str, Any]) -> Stored:
    texts = {one["name"]: one["text"] for one in row.get("texts", [])}
    attributes = _typed(row.get("attributes", {}) | texts)
    return row["span_id"], SpanView(row["name"], attributes, row.get("status_code") == "Error")


def _typed(attributes: dict[str, str]) -> dict[str, Any]:
    """Return attributes with numbers where texts are numbers."""
    found: dict[str, Any] = dict(attributes)
    for name, text in attributes.items():
        with contextlib.suppress(ValueError):
            value = json.loads(text)
            if isinstance(value, int | float) and not isinstance(value, bool):
                found[name] = value
    return found
