"""How exporters to databases ask whether they would be heard."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.exporters import running
from tests.support.http_peer import HttpPeer, Reply
from untrace_plugins.exporters.clickhouse import FACTORY as CLICKHOUSE
from untrace_plugins.exporters.elasticsearch import FACTORY as ELASTICSEARCH
from untrace_plugins.exporters.loki_push import FACTORY as LOKI_PUSH
from untrace_plugins.exporters.opensearch import FACTORY as OPENSEARCH
from untrace_plugins.exporters.prometheus_remote_write import FACTORY as REMOTE_WRITE

QUESTIONS = [
    (ELASTICSEARCH, "GET", "/_cluster/health"),
    (OPENSEARCH, "GET", "/_cluster/health"),
    (CLICKHOUSE, "POST", "/"),
    (REMOTE_WRITE, "POST", "/write"),
    (LOKI_PUSH, "POST", "/loki/api/v1/push"),
]


@pytest.mark.parametrize(("factory", "method", "path"), QUESTIONS, ids=[one[0].type_name for one in QUESTIONS])
async def test_a_question_that_changes_nothing(factory: Any, method: str, path: str) -> None:
    """One request; whoever is refused is told so."""
    async with HttpPeer(Reply(200), Reply(401)) as server:
        url = f"{server.url}/write" if factory is REMOTE_WRITE else server.url
        async with running(factory, {"endpoint": url, "compression": "none"}, signals=sorted(factory.signals)) as r:
            answers = [{one.what: one.ok for one in await r.exporter.probe()} for _ in range(2)]
    assert answers == [{"health": True, "credentials": True}, {"health": True, "credentials": False}]
    assert {(asked.method, asked.path) for asked in server.asked} == {(method, path)}
