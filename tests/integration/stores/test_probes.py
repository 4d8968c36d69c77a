"""What the stores answer to a question: whether they are there, and whether they know us."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.buckets import Bucket
from tests.support.exporters import running
from tests.support.faulty_server import Fault, FaultyServer, aws_error, s3_error
from tests.support.peers import free_port
from untrace_pipeline.api import ProbeResult
from untrace_pipeline.testing import StubHost
from untrace_plugins.exporters.kinesis import FACTORY as KINESIS
from untrace_plugins.exporters.object_store import FACTORY
from untrace_plugins.stores import StoreConfig, open_store

pytestmark = pytest.mark.once
KEYS = {"access_key_id": "testing-key-id", "secret_access_key": "testing-secret"}


async def asked(options: dict[str, Any]) -> Sequence[ProbeResult]:
    store = open_store(StoreConfig.model_validate(options), logging.getLogger(__name__))
    await store.start(StubHost())
    try:
        return await store.probe()
    finally:
        await store.close()


async def test_bucket_that_is_there(bucket: Bucket) -> None:
    """A real bucket answers well, and the question leaves nothing in it."""
    async with running(FACTORY, bucket.options) as r:
        found = await r.exporter.probe()
    assert found
    assert all(one.ok for one in found)
    assert bucket.keys() == []


async def test_bucket_that_is_missing(bucket: Bucket) -> None:
    """A bucket that is not there fails; a directory will be made."""
    options = bucket.options | {"url": bucket.options["url"].replace("/b", "/missing", 1).replace("//b", "//missing")}
    found = await asked(options)
    if options["url"].startswith("file:"):
        assert [one.ok for one in found] == [True]
    else:
        assert [(one.what, one.ok) for one in found] == [("health", False)]
        assert "HTTP 404" in found[0].message


@pytest.mark.parametrize(
    ("fault", "expected", "said"),
    [
        (s3_error(403, "AccessDenied"), [("health", True), ("credentials", True)], "no right to look is needed"),
        (s3_error(403, "InvalidAccessKeyId"), [("health", True), ("credentials", False)], "InvalidAccessKeyId"),
        (s3_error(400, "ExpiredToken"), [("health", True), ("credentials", False)], "ExpiredToken"),
        (s3_error(503, "SlowDown"), [("health", False)], "HTTP 503 SlowDown"),
        (Fault(403), [("health", True), ("credentials", True)], "no right to look is needed"),
    ],
    ids=["no right", "wrong key", "expired", "busy", "no words"],
)
async def test_answers(fault: Fault, expected: list[tuple[str, bool]], said: str) -> None:
    """Who may write need not be allowed to look; a key that is not taken is something else."""
    with FaultyServer() as server:
        server.faults.append(fault)
        found = await asked({"url": "s3://b", "s3": {"endpoint": server.url} | KEYS})
    assert [(one.what, one.ok) for one in found] == expected
    assert said in found[-1].message


async def test_nobody_there() -> None:
    """Without an answer the message says where nobody was."""
    (found,) = await asked({"url": "s3://b", "s3": {"endpoint": f"http://127.0.0.1:{free_port()}"} | KEYS})
    assert (found.what, found.ok) == ("health", False)
    assert "cannot connect to 127.0.0.1" in found.message


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(200, b'{"StreamDescriptionSummary": {}}'), [True, True]),
        (aws_error(400, "AccessDeniedException"), [True, True]),
        (aws_error(400, "UnrecognizedClientException"), [True, False]),
        (aws_error(400, "ResourceNotFoundException", "Stream s not found."), [False]),
    ],
    ids=["there", "no right", "wrong key", "missing"],
)
async def test_kinesis(fault: Fault, expected: list[bool]) -> None:
    """A stream is asked for its state."""
    with FaultyServer() as server:
        server.faults.append(fault)
        aws = {"stream_name": "s", "kinesis_endpoint": server.url} | KEYS
        async with running(KINESIS, {"aws": aws}) as r:
            found = await r.exporter.probe()
        assert [one.ok for one in found] == expected
        assert server.seen[0].headers["x-amz-target"] == "Kinesis_20131202.DescribeStreamSummary"
