"""A real stand-in for Kinesis, or a skip with the reason."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.support.kinesis import Stream
from tests.support.peers import Moto, peer_or_skip


@pytest.fixture(scope="session")
def moto() -> Iterator[Moto]:
    with peer_or_skip(), Moto() as server:
        yield server


@pytest.fixture
def stream(moto: Moto) -> Stream:
    return Stream(moto.url, f"s{uuid.uuid4().hex[:12]}")
