"""Bad days of Google's and Azure's stores, before emulators: what was accepted is there in the end, once."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.buckets import AzureBucket, Bucket, GcsBucket
from tests.support.exporters import QUICK_RETRY, running
from tests.support.faulty_server import Fault, FaultyServer, s3_error
from tests.support.peers import Azurite, FakeGcs
from tests.support.spans import SpanOf, spans_batch
from untrace_pipeline.data import Batch, Context, Signal
from untrace_plugins.exporters.object_store import FACTORY

pytestmark = pytest.mark.once
SMALL = spans_batch([SpanOf(1)], context=Context(received_at=1_764_424_800.5))


def google_error(status: int, message: str, **headers: str) -> Fault:
    body = json.dumps({"error": {"code": status, "message": message}}).encode()
    return Fault(status, body, {"Content-Type": "application/json"} | headers)


@pytest.fixture(params=["gcs", "azure"])
def place(request: pytest.FixtureRequest) -> Iterator[tuple[Bucket, FaultyServer, dict[str, Any]]]:
    """A bucket, a server before its store, and the options to get there."""
    name = f"b{uuid.uuid4().hex[:12]}"
    if request.param == "gcs":
        store: FakeGcs = request.getfixturevalue("fake_gcs")
        with FaultyServer(store.url) as front:
            bucket = GcsBucket(store.url, name)
            yield bucket, front, bucket.options | {"gcs": {"endpoint": front.url, "anonymous": True}}
        return
    azurite: Azurite = request.getfixturevalue("azurite")
    with FaultyServer(azurite.url) as front:
        container = AzureBucket(azurite.url, name)
        azure = container.options["azure"] | {"endpoint": f"{front.url}/{Azurite.account}"}
        yield container, front, container.options | {"azure": azure}


def large() -> Batch:
    """Return a request of some 12 MB, so three parts."""
    spans = [SpanOf(trace=number, attributes={"text": f"{number}" * 30_000}) for number in range(100, 230)]
    return spans_batch(spans, context=Context(received_at=1_764_424_800.5))


async def deliver(options: dict[str, Any], batch: Batch) -> Any:
    more = {"retry_on_failure": QUICK_RETRY, "sending_queue": {"batch": None}, "part_size": "5MiB"}
    async with running(FACTORY, options | more | {"format": "otlp_proto", "part_concurrency": 1}) as exporter:
        await exporter.consume(batch.copy())
        await exporter.until_idle()
    return exporter


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (google_error(429, "The rate of changes is too high"), "HTTP 429: The rate of changes"),
        (google_error(401, "Invalid Credentials"), "HTTP 401: Invalid Credentials"),
        (google_error(404, "The specified bucket does not exist."), "HTTP 404: The specified bucket"),
        (s3_error(503, "ServerBusy", "The server is busy."), "RESOURCE_EXHAUSTED: HTTP 503 ServerBusy: The server"),
        (s3_error(409, "ContainerBeingDeleted"), "HTTP 409 ContainerBeingDeleted"),
        (s3_error(404, "ContainerNotFound"), "HTTP 404 ContainerNotFound"),
        (Fault(500), "HTTP 500"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_tried_again(
    place: tuple[Bucket, FaultyServer, dict[str, Any]], fault: Fault, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever the store says, the data waits and is stored; the log says why, and no secret."""
    bucket, front, options = place
    caplog.set_level(logging.INFO)
    front.faults.append(fault)
    exporter = await deliver(options, SMALL)
    assert [Batch(Signal.TRACES, bucket.read(key)).item_count for key in bucket.keys()] == [1]  # noqa: SIM118
    assert not exporter.dropped
    assert said in caplog.text
    assert Azurite.key not in caplog.text


async def test_answer_that_is_lost(place: tuple[Bucket, FaultyServer, dict[str, Any]]) -> None:
    """An object that is stored and not confirmed is not stored again: the next attempt finds it."""
    bucket, front, options = place
    front.faults.append(Fault(503, after=True))
    exporter = await deliver(options, SMALL)
    assert len(bucket.keys()) == 1
    assert exporter.meter.value("object_store_exporter_objects", outcome="present") == 1


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("after", [False, True])
async def test_upload_in_parts(place: tuple[Bucket, FaultyServer, dict[str, Any]], at: int, after: bool) -> None:
    """Whichever request of an upload fails, done or not, the object is whole in the end."""
    bucket, front, options = place
    front.faults.extend([None] * at + [Fault(503, after=after)])
    batch = large()
    await deliver(options, batch)
    assert [bucket.read(key) for key in bucket.keys()] == [batch.to_otlp()]  # noqa: SIM118
