"""Loki, by OTLP and by its own API."""

from __future__ import annotations

import json
from typing import Any

from tests.support.peers import Loki
from tests.support.proofs.logs import message_of
from tests.support.proofs.place import LogPlace, StoredLog
from tests.support.proofs.places.served import ServedPlace
from tests.support.proofs.versions import pinned

__all__ = ["LokiPlace", "LokiPushPlace"]


class _Loki(ServedPlace[Loki], LogPlace):
    def __init__(self) -> None:
        super().__init__(Loki())

    @property
    def peer(self) -> str:
        return f"Loki {pinned('loki', 'grafana/loki/v3')}"

    def read(self) -> list[StoredLog]:
        """Messages are the line, or metadata of it, in which Loki has underscores for dots."""
        found = self.server.query('{service_name=~".+"}')
        return [(told["trace_id"], message_of(line, _dotted(told))) for told, _, line in found]


class LokiPlace(_Loki):
    """By OTLP."""

    name = "loki"
    exports = r"^/otlp/v1/logs$"

    def options(self, url: str) -> dict[str, Any]:
        return {"endpoint": f"{url}/otlp"}


class LokiPushPlace(_Loki):
    """By its own API."""

    name = "loki_push"
    exports = r"^/loki/api/v1/push$"

    def read(self) -> list[StoredLog]:
        """Lines are the whole record, in JSON."""
        found = [json.loads(line) for _, _, line in self.server.query('{service_name=~".+"}')]
        return [(record["traceid"], message_of(record.get("body"), record["attributes"])) for record in found]


def _dotted(told: dict[str, str]) -> dict[str, str]:
    return {name.replace("gen_ai_", "gen_ai.").replace("_messages", ".messages"): value for name, value in told.items()}
