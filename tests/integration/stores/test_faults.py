"""Bad days of S3, before a real one: what was accepted is there in the end, once."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.support.buckets import S3Bucket
from tests.support.exporters import QUICK_RETRY, Running, running
from tests.support.faulty_server import Fault, FaultyServer, s3_error
from tests.support.peers import Moto
from tests.support.spans import SpanOf, spans_batch
from untrace_pipeline.data import Batch, Context, Signal
from untrace_pipeline.testing import make_batch
from untrace_plugins.exporters.object_store import FACTORY

pytestmark = pytest.mark.once

BATCH = make_batch(items=30).with_context(Context(received_at=1_764_424_800.5))
SECRETS = ("testing-secret", "testing-token")


@pytest.fixture
def front(moto: Moto) -> Iterator[FaultyServer]:
    with FaultyServer(moto.url) as server:
        yield server


def options(s3: S3Bucket, front: FaultyServer, **more: object) -> dict[str, object]:
    keys = {"access_key_id": "testing-key-id", "secret_access_key": SECRETS[0], "session_token": SECRETS[1]}
    store = {"url": s3.options["url"], "s3": {"endpoint": front.url} | keys, "part_size": "5MiB"}
    return store | {"retry_on_failure": QUICK_RETRY, "sending_queue": {"batch": None}} | more


async def deliver(exporter: Running, batch: Batch = BATCH) -> None:
    await exporter.consume(batch.copy())
    await exporter.exporter.shutdown()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (s3_error(503, "SlowDown", "Please reduce your request rate."), "HTTP 503 SlowDown: Please reduce"),
        (s3_error(500, "InternalError"), "HTTP 500 InternalError"),
        (s3_error(409, "ConditionalRequestConflict"), "HTTP 409 ConditionalRequestConflict"),
        (s3_error(400, "ExpiredToken", "The provided token has expired."), "HTTP 400 ExpiredToken"),
        (s3_error(403, "InvalidAccessKeyId"), "HTTP 403 InvalidAccessKeyId"),
        (s3_error(404, "NoSuchBucket"), "HTTP 404 NoSuchBucket"),
        (s3_error(301, "PermanentRedirect", **{"x-amz-bucket-region": "eu-west-1"}), "is in region eu-west-1"),
        (Fault(502, b"<html>bad gateway</html>"), "HTTP 502"),
        (Fault(), "disconnected"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_tried_again(
    s3: S3Bucket, front: FaultyServer, fault: Fault, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever the store says, the data waits and is stored; the log says why, and no secret."""
    caplog.set_level(logging.INFO)
    front.faults.extend([fault] * (2 if fault.status else 6))  # the client itself tries a closed connection again
    async with running(FACTORY, options(s3, front)) as exporter:
        await exporter.consume(BATCH.copy())
        await exporter.until(lambda: exporter.meter.value("exporter_retries") > 0)
    (key,) = s3.keys()
    assert Batch.from_json(Signal.TRACES, s3.read(key)).item_count == 30
    assert not exporter.dropped
    assert said.lower() in caplog.text.lower()
    assert not any(secret in caplog.text for secret in SECRETS)


async def test_delay_of_the_store(s3: S3Bucket, front: FaultyServer, caplog: pytest.LogCaptureFixture) -> None:
    """Retry-After is obeyed where it is longer than our own wait."""
    front.faults.append(s3_error(503, "SlowDown", **{"Retry-After": "7"}))
    async with running(FACTORY, options(s3, front)) as exporter:
        await exporter.consume(BATCH.copy())
        await exporter.until(lambda: "in 7" in caplog.text)
    assert len(s3.keys()) == 1


async def test_answer_that_is_lost(s3: S3Bucket, front: FaultyServer) -> None:
    """An object that is stored and not confirmed is not stored again: the next attempt finds it."""
    front.faults.extend([Fault(after=True), Fault(503, after=True)])
    async with running(FACTORY, options(s3, front)) as exporter:
        await deliver(exporter)
    assert len(s3.keys()) == 1
    assert exporter.meter.value("object_store_exporter_objects", outcome="present") == 1


async def test_bucket_that_is_made_later(moto: Moto) -> None:
    """Data for a bucket that does not exist waits for it."""
    keys = {"access_key_id": "testing-key-id", "secret_access_key": "testing-secret"}
    store = {"url": "s3://made-later/base", "s3": {"endpoint": moto.url} | keys, "retry_on_failure": QUICK_RETRY}
    async with running(FACTORY, store | {"sending_queue": {"batch": None}}) as exporter:
        await exporter.consume(BATCH.copy())
        await exporter.until(lambda: exporter.meter.value("exporter_retries") > 1)
        bucket = S3Bucket(moto.url, "made-later")
        await exporter.until_idle()
    assert len(bucket.keys()) == 1


@pytest.mark.parametrize("at", range(5))
async def test_upload_in_parts(s3: S3Bucket, front: FaultyServer, at: int) -> None:
    """Whichever request of an upload fails, the object is whole in the end and no upload is left."""
    front.faults.extend([None] * at + [s3_error(503, "SlowDown")])
    batch = _large()
    async with running(FACTORY, options(s3, front, format="otlp_proto", part_concurrency=1)) as exporter:
        await deliver(exporter, batch)
    (key,) = s3.keys()
    assert s3.read(key) == batch.to_otlp()
    assert s3.uploads() == 0


async def test_parts_that_are_not_put_together(s3: S3Bucket, front: FaultyServer) -> None:
    """S3 may fail after it has begun to answer with 200."""
    front.faults.extend([None] * 4 + [s3_error(200, "InternalError")])
    async with running(FACTORY, options(s3, front, format="otlp_proto")) as exporter:
        await deliver(exporter, _large())
    assert [s3.read(key) for key in s3.keys()] == [_large().to_otlp()]  # noqa: SIM118


async def test_too_large(s3: S3Bucket, front: FaultyServer) -> None:
    """What is larger than the store takes is cut in halves."""
    front.faults.append(s3_error(400, "EntityTooLarge"))
    async with running(FACTORY, options(s3, front)) as exporter:
        await deliver(exporter)
    found = [Batch.from_json(Signal.TRACES, s3.read(key)).item_count for key in s3.keys()]  # noqa: SIM118
    assert sorted(found) == [15, 15]


def _large() -> Batch:
    """Return a request of some 12 MB, so three parts."""
    spans = [SpanOf(trace=number, attributes={"text": f"{number}" * 30_000}) for number in range(100, 230)]
    return spans_batch(spans, context=Context(received_at=1_764_424_800.5))
