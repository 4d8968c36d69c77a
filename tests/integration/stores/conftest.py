"""Real object stores, or a skip with the reason."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.support.buckets import AzureBucket, Bucket, DirectoryBucket, GcsBucket, S3Bucket
from tests.support.peers import Azurite, FakeGcs, Moto, peer_or_skip


@pytest.fixture(scope="session")
def moto() -> Iterator[Moto]:
    with peer_or_skip(), Moto() as server:
        yield server


@pytest.fixture(scope="session")
def fake_gcs() -> Iterator[FakeGcs]:
    with peer_or_skip(), FakeGcs() as server:
        yield server


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    with peer_or_skip(), Azurite() as server:
        yield server


@pytest.fixture(params=["s3", "gcs", "azure", "directory"])
def bucket(request: pytest.FixtureRequest) -> Bucket:
    """A new bucket of each provider."""
    name = f"b{uuid.uuid4().hex[:12]}"
    match request.param:
        case "s3":
            return S3Bucket(request.getfixturevalue("moto").url, name)
        case "gcs":
            return GcsBucket(request.getfixturevalue("fake_gcs").url, name)
        case "azure":
            return AzureBucket(request.getfixturevalue("azurite").url, name)
        case _:
            return DirectoryBucket(request.getfixturevalue("tmp_path") / name)


@pytest.fixture
def s3(moto: Moto) -> S3Bucket:
    return S3Bucket(moto.url, f"b{uuid.uuid4().hex[:12]}")
