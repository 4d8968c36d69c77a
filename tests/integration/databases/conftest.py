"""Real databases, or a skip with the reason."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.peers import (
    ClickHouse,
    OpenSearch,
    clickhouse_environment,
    opensearch_directory,
    peer_or_skip,
)


@pytest.fixture(scope="session")
def opensearch() -> Iterator[OpenSearch]:
    with peer_or_skip():
        opensearch_directory(build=False)
    with OpenSearch() as server:
        yield server


@pytest.fixture(scope="session")
def clickhouse() -> Iterator[ClickHouse]:
    with peer_or_skip():
        clickhouse_environment(build=False)
    with ClickHouse() as server:
        yield server
