"""The exporter ``object_store`` against real stores: what went in is there, once, and nothing else."""

from __future__ import annotations

import gzip
import io
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
import zstandard
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.buckets import AzureBucket, Bucket, DirectoryBucket, GcsBucket, S3Bucket
from tests.support.exporters import running
from untrace_pipeline.data import Batch, Context, Field, Level, Signal
from untrace_pipeline.testing import StubHost, make_batch
from untrace_plugins.exporters.object_store import FACTORY
from untrace_plugins.exporters.object_store.config import ObjectStoreConfig
from untrace_plugins.stores import ObjectStore, StoredObject, open_store

ARRIVAL = 1_764_424_800.5  # 2025-11-29 14:00:00.5 UTC, and 0x19acfe9d8f4 milliseconds
CONTEXT = Context(received_at=ARRIVAL)
MINUTE = "year=2025/month=11/day=29/hour=14/minute=00"
SMALL_PARTS = {"part_size": "5MiB"}


def unpacked(key: str, data: bytes) -> bytes:
    if key.endswith(".gz"):
        return gzip.decompress(data)
    return zstandard.ZstdDecompressor().decompress(data) if key.endswith(".zst") else data


def read_back(key: str, data: bytes) -> Batch:
    """Return the spans of one object."""
    plain = unpacked(key, data)
    if ".json" in key:
        return Batch.merge([Batch.from_json(Signal.TRACES, line) for line in plain.splitlines()])
    return Batch(Signal.TRACES, plain)


def span_ids(batch: Batch) -> list[object]:
    return batch.column(Field(Level.ITEM, "span_id"))


@asynccontextmanager
async def opened(bucket: Bucket, **options: Any) -> AsyncIterator[ObjectStore]:
    store = open_store(ObjectStoreConfig.model_validate(bucket.options | options), logging.getLogger(__name__))
    await store.start(StubHost())
    try:
        yield store
    finally:
        await store.close()


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("form", ["otlp_json", "otlp_proto"])
async def test_what_went_in_is_there(bucket: Bucket, form: str, compression: str) -> None:
    """Two requests become one object that holds the same spans, under a key that says when they arrived."""
    batches = [make_batch(items=20, seed=seed).with_context(CONTEXT) for seed in (1, 2)]
    sent = [span for batch in batches for span in span_ids(batch)]
    async with running(FACTORY, bucket.options | {"format": form, "compression": compression}) as exporter:
        for batch in batches:
            await exporter.consume(batch)
    (key,) = bucket.keys()
    assert f"{MINUTE}/traces_019acfe9-d8f4-7" in key
    assert span_ids(read_back(key, bucket.read(key))) == sent
    assert exporter.meter.value("object_store_exporter_objects", outcome="new") == 1
    assert exporter.meter.value("object_store_exporter_bytes") == len(bucket.read(key))


async def test_parquet(bucket: Bucket) -> None:
    """pyarrow reads the rows back."""
    batch = make_batch(items=50).with_context(CONTEXT)
    expected = [span.hex() for span in span_ids(batch) if isinstance(span, bytes)]
    async with running(FACTORY, bucket.options | {"format": "parquet", "compression": "zstd"}) as exporter:
        await exporter.consume(batch)
    (key,) = bucket.keys()
    table = pq.read_table(io.BytesIO(bucket.read(key)))
    assert table["span_id"].to_pylist() == expected


async def test_same_again_is_one_object(bucket: Bucket) -> None:
    """The same request, sent by another process, finds its object there."""
    for outcome in ("new", "present"):
        async with running(FACTORY, bucket.options) as exporter:
            await exporter.consume(make_batch(items=5).with_context(CONTEXT))
        assert exporter.meter.value("object_store_exporter_objects", outcome=outcome) == 1
    assert len(bucket.keys()) == 1


@pytest.mark.parametrize("size", [0, 1, 5 * 2**20, 5 * 2**20 + 1, 12 * 2**20], ids=str)
async def test_whatever_its_size(bucket: Bucket, size: int) -> None:
    """Objects are whole, in one piece or in parts, and are created once."""
    data = os.urandom(size)
    async with opened(bucket, **SMALL_PARTS) as store:
        assert await store.put(StoredObject("a b/ü=1.bin", data))
        assert not await store.put(StoredObject("a b/ü=1.bin", b"other" + data))
    (key,) = bucket.keys()
    assert key.endswith("a b/ü=1.bin")
    assert bucket.read(key) == data


@pytest.mark.parametrize("size", [10, 6 * 2**20], ids=str)
async def test_written_over(bucket: Bucket, size: int) -> None:
    """Without ``create_only`` the later one stays."""
    async with opened(bucket, create_only=False, **SMALL_PARTS) as store:
        for content in (b"1" * size, b"2" * size):
            assert await store.put(StoredObject("x", content))
    assert bucket.read(bucket.keys()[0]) == b"2" * size


async def test_what_is_said_about_objects(s3: S3Bucket) -> None:
    """S3 keeps class, tags, encryption and checksum, of objects in parts as well."""
    s3.options["s3"] |= {
        "storage_class": "STANDARD_IA",
        "acl": "bucket-owner-full-control",
        "tags": {"team": "ml + co"},
        "server_side_encryption": {"kms_key_id": "alias/k", "bucket_key": True},
        "checksum": "sha256",
    }
    async with opened(s3, **SMALL_PARTS) as store:
        await store.put(StoredObject("small", b"x", "text/plain", "gzip"))
        await store.put(StoredObject("large", bytes(6 * 2**20), "text/plain", "gzip"))
    for key in s3.keys():  # noqa: SIM118
        about = s3.headers(key)
        assert about["x-amz-storage-class"] == "STANDARD_IA"
        assert about["x-amz-server-side-encryption"] == "aws:kms"
        assert about["x-amz-server-side-encryption-aws-kms-key-id"] == "alias/k"
        assert (about["content-type"], about["content-encoding"]) == ("text/plain", "gzip")
        assert b"<Key>team</Key><Value>ml + co</Value>" in s3.about(key, "tagging")


async def test_no_upload_is_left(s3: S3Bucket) -> None:
    """An upload in parts that finds its object there is aborted."""
    async with opened(s3, **SMALL_PARTS) as store:
        for new in (True, False):
            assert await store.put(StoredObject("x", bytes(6 * 2**20))) is new
    assert s3.uploads() == 0


async def test_prefixes_of_resources(bucket: Bucket) -> None:
    """Resources with different values go to different places, with nothing of theirs that a path understands."""
    request = ExportTraceServiceRequest()
    for name in ("chat", "chat", "../../etc", ""):
        group = request.resource_spans.add()
        if name:
            group.resource.attributes.add(key="service.name").value.string_value = name
        group.scope_spans.add().spans.add(name=name, trace_id=b"1" * 16, span_id=b"2" * 8)
    options = {"prefix": "others", "prefix_from_attribute": "service.name", "partition_format": "{signal}/%Y"}
    async with running(FACTORY, bucket.options | options) as exporter:
        await exporter.consume(Batch(Signal.TRACES, request.SerializeToString(), CONTEXT))
    places = [key.rpartition("/")[0].removeprefix("base/") for key in bucket.keys()]  # noqa: SIM118
    assert places == ["chat/traces/2025", "etc/traces/2025", "others/traces/2025"]


@pytest.mark.parametrize("signal", list(Signal), ids=str)
async def test_each_signal(s3: S3Bucket, signal: Signal) -> None:
    """Every signal has its name in the key and comes back."""
    async with running(FACTORY, s3.options | {"file_prefix": "eu-"}) as exporter:
        await exporter.consume(make_batch(signal, items=3).with_context(CONTEXT))
    (key,) = s3.keys()
    assert f"/eu-{signal}_" in key
    assert Batch.from_json(signal, s3.read(key)).item_count == 3


async def test_lines_are_bounded(tmp_path: Any) -> None:
    """A large object is many lines, so that readers need not hold all of it."""
    batch = make_batch(items=4000)
    assert batch.byte_size > 2 * 2**20
    bucket = DirectoryBucket(tmp_path)
    async with running(FACTORY, bucket.options) as exporter:
        await exporter.consume(batch)
    (key,) = bucket.keys()
    lines = bucket.read(key).splitlines()
    assert len(lines) == -(-batch.byte_size // 2**20)
    assert all(orjson.loads(line)["resourceSpans"] for line in lines)


async def test_where_it_is(s3: S3Bucket, fake_gcs: Any, azurite: Any) -> None:
    """A stored object has a URL that others can be given, without a secret in it."""
    gcs, azure = GcsBucket(fake_gcs.url, "where"), AzureBucket(azurite.url, "where")
    name = s3.url.rpartition("/")[2]
    expected = {
        f"s3://{name}/base/k": s3,
        "gs://where/base/k": gcs,
        f"{azurite.url}/devstoreaccount1/where/base/k": azure,
    }
    for url, bucket in expected.items():
        async with opened(bucket) as store:
            assert store.locate("k") == url


async def test_rolling(tmp_path: Any) -> None:
    """An object is written as soon as there are enough items, and the rest after its time."""
    bucket = DirectoryBucket(tmp_path)
    queue = {"num_consumers": 1, "batch": {"min_items": 20, "flush_timeout": "100ms"}}
    async with running(FACTORY, bucket.options | {"sending_queue": queue}) as exporter:
        for seed in range(7):
            await exporter.consume(make_batch(items=6, seed=seed).with_context(CONTEXT))
        await exporter.until_idle()
        found = [read_back(key, bucket.read(key)).item_count for key in bucket.keys()]  # noqa: SIM118
    assert sorted(found) == [18, 24]
