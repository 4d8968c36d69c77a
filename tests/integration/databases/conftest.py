"""Real databases, or a skip with the reason."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.peers import ClickHouse, OpenSearch, PeerUnavailable, clickhouse_environment, opensearch_directory


@pytest.fixture(scope="session")
def opensearch() -> Iterator[OpenSearch]:
    try:
        opensearch_directory(build=False)
    except PeerUnavailable as reason:
        pytest.skip(str(reason))
    with OpenSearch() as server:
        yield server


@pytest.fixture(scope="session")
def clickhouse() -> Iterator[ClickHouse]:
    try:
        clickhouse_environment(build=False)
    except PeerUnavailable as reason:
        pytest.skip(str(reason))
    with ClickHouse() as server:
        yield server
