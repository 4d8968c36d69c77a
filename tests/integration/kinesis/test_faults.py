"""Bad days of Kinesis, before a real one: only what was not taken is sent again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.exporters import QUICK_RETRY, running
from tests.support.faulty_server import Fault, FaultyServer, Seen, aws_error
from tests.support.kinesis import Stream
from tests.support.spans import SpanOf, spans_batch, trace_id
from untrace_plugins.exporters.kinesis import FACTORY

pytestmark = pytest.mark.once

THROTTLED = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate exceeded for shard 1"}


class HalfTaken(FaultyServer):
    """Refuses records as the stream does, one by one, the first time that it sees their key."""

    def __init__(self, upstream: str, refused: set[str]) -> None:
        super().__init__(upstream)
        self.refused = refused

    def answer(self, seen: Seen) -> tuple[int, dict[str, str], bytes]:
        asked = json.loads(seen.body)
        refused = {one["PartitionKey"] for one in asked["Records"]} & self.refused
        passed = [one for one in asked["Records"] if one["PartitionKey"] not in refused]
        self.refused -= refused
        results: Iterator[Any] = iter([])
        if passed:
            body = json.dumps(asked | {"Records": passed}).encode()
            status, headers, answer = super().answer(Seen(seen.method, seen.path, seen.headers, body))
            if status != 200:
                return status, headers, answer
            results = iter(json.loads(answer)["Records"])
        rows = [THROTTLED if one["PartitionKey"] in refused else next(results) for one in asked["Records"]]
        return 200, {}, json.dumps({"FailedRecordCount": len(refused), "Records": rows}).encode()


def options(stream: Stream, front: FaultyServer) -> dict[str, Any]:
    aws = stream.options["aws"] | {"kinesis_endpoint": front.url}
    return {"aws": aws, "retry_on_failure": QUICK_RETRY}


def keys(stream: Stream) -> list[str]:
    return sorted(key for rows in stream.records().values() for key, _ in rows)


@pytest.mark.parametrize("refused", [1, 5, 9], ids=str)
async def test_only_the_refused_again(stream: Stream, refused: int) -> None:
    """Records that a shard refused are sent again, the others are not; each is in the stream once."""
    everything = [trace_id(number).hex() for number in range(9)]
    with HalfTaken(stream.endpoint, set(everything[:refused])) as front:
        async with running(FACTORY, options(stream, front)) as exporter:
            await exporter.consume(spans_batch([SpanOf(trace=number) for number in range(9)]))
            await exporter.until_idle()
    assert keys(stream) == sorted(everything)
    assert exporter.meter.value("kinesis_exporter_records", outcome="failure") == refused
    assert exporter.meter.value("kinesis_exporter_records", outcome="success") == 9
    assert exporter.meter.value("exporter_retries") == 1
    assert not exporter.dropped


async def test_second_call_fails(stream: Stream) -> None:
    """What the first call put into the stream is not put there again."""
    with FaultyServer(stream.endpoint) as front:
        front.faults.extend([None, aws_error(500, "InternalFailure")])
        async with running(FACTORY, options(stream, front) | {"max_records_per_batch": 5}) as exporter:
            await exporter.consume(spans_batch([SpanOf(trace=number) for number in range(12)]))
            await exporter.until_idle()
    assert keys(stream) == sorted(trace_id(number).hex() for number in range(12))
    assert [len(json.loads(seen.body)["Records"]) for seen in front.seen] == [5, 5, 5, 2]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (aws_error(400, "ProvisionedThroughputExceededException"), "RESOURCE_EXHAUSTED: HTTP 400 Provisioned"),
        (aws_error(400, "ResourceNotFoundException", "Stream s not found."), "ResourceNotFoundException: Stream s"),
        (aws_error(400, "ExpiredTokenException"), "HTTP 400 ExpiredTokenException"),
        (aws_error(500, "InternalFailure"), "HTTP 500 InternalFailure"),
        (Fault(503, b"", {"Retry-After": "1"}), "retry 1 in 1.0 s"),
        (Fault(200, b"<html>"), "not one result for each record"),
        (Fault(200, b'{"Records": []}'), "not one result for each record"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_tried_again(stream: Stream, fault: Fault, said: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the service says, the data waits and arrives; the log says why, and no secret."""
    with FaultyServer(stream.endpoint) as front:
        front.faults.append(fault)
        async with running(FACTORY, options(stream, front)) as exporter:
            await exporter.consume(spans_batch([SpanOf(trace=1)]))
            await exporter.until_idle()
    assert keys(stream) == [trace_id(1).hex()]
    assert said in caplog.text
    assert "testing-secret" not in caplog.text
