"""The exporter ``kinesis``."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence

import orjson

from untrace_pipeline.api import Host, ProbeResult, Settings
from untrace_pipeline.data import Batch
from untrace_pipeline.delivery import DELIVERED, Delivery, Outcome, Request
from untrace_pipeline.errors import Code, RetryableError
from untrace_pipeline.net.client import one_line
from untrace_plugins.clouds.aws import Signer
from untrace_plugins.clouds.wire import Wire
from untrace_plugins.exporters.kinesis.config import KinesisConfig
from untrace_plugins.exporters.kinesis.records import Packer, Record

__all__ = ["KinesisExporter"]

THROTTLED = "ProvisionedThroughputExceededException"


class KinesisExporter:
    """Puts the records of each request into the stream."""

    def __init__(self, config: KinesisConfig, settings: Settings) -> None:
        self._stream = config.aws.stream_name
        self._url = config.aws.endpoint + "/"
        self._packer = Packer(config)
        signer = Signer(config.aws, "kinesis")
        self._wire = Wire(self._url, signer, settings.logger, tls=config.tls, proxy_url=config.proxy_url)
        meter = settings.meter
        self._successes = meter.counter("kinesis_exporter_records", outcome="success")
        self._failures = meter.counter("kinesis_exporter_records", outcome="failure")
        self._bytes = meter.counter("kinesis_exporter_bytes")
        self._delivery = Delivery(config, self, settings)
        self.consume = self._delivery.consume
        self.admit = self._delivery.admit
        self.pending_items = self._delivery.pending_items

    @property
    def destination(self) -> str:
        """The stream."""
        return f"kinesis:{self._stream}"

    async def start(self, host: Host) -> None:
        """Make the pool of connections, without waiting for the stream: it may be made later."""
        await self._wire.start(host)
        await self._delivery.start(host)

    async def send(self, request: Request) -> Outcome:
        """Put the records of a request; what the stream did not take is the rest of the outcome."""
        calls = await asyncio.to_thread(self._packer.pack, request)
        left: list[Record] = []
        cause: RetryableError | None = None
        for number, call in enumerate(calls):
            try:
                failed, problem = await self._put(call)
            except RetryableError as error:
                left += [record for rest in calls[number:] for record in rest]
                cause = error
                break
            left += failed
            cause = problem or cause
        if cause is None:
            return DELIVERED
        if len(left) == sum(map(len, calls)):
            raise cause
        return Outcome(rest=Batch.merge([record.part for record in left]), cause=cause)

    async def probe(self) -> Sequence[ProbeResult]:
        """Ask for the state of the stream."""
        body = orjson.dumps({"StreamName": self._stream})
        return await self._wire.ask("POST", self._url, _headers("DescribeStreamSummary"), body)

    async def shutdown(self) -> None:
        """Drain, then close the connections."""
        try:
            await self._delivery.shutdown()
        finally:
            await self._wire.close()

    async def _put(self, records: Sequence[Record]) -> tuple[list[Record], RetryableError | None]:
        """Make one call; return the records that were not taken, and why."""
        rows = [{"PartitionKey": one.key, "Data": base64.b64encode(one.data).decode()} for one in records]
        body = orjson.dumps({"StreamName": self._stream, "Records": rows})
        answer = await self._wire.send("POST", self._url, _headers("PutRecords"), body)
        try:
            results = [row.get("ErrorCode") and row for row in orjson.loads(answer.body)["Records"]]
            failed = [(record, row) for record, row in zip(records, results, strict=True) if row]
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
            raise RetryableError("the answer to PutRecords has not one result for each record") from error
        self._failures.add(len(failed))
        self._successes.add(len(records) - len(failed))
        self._bytes.add(sum(len(record.data) for record in records) - sum(len(record.data) for record, _ in failed))
        if not failed:
            return [], None
        words = failed[0][1]
        code = Code.RESOURCE_EXHAUSTED if words["ErrorCode"] == THROTTLED else Code.UNAVAILABLE
        said = one_line(f"{words['ErrorCode']}: {words.get('ErrorMessage', '')}")
        problem = RetryableError(f"{len(failed)} of {len(records)} records not taken: {said}", code=code)
        return [record for record, _ in failed], problem


def _headers(action: str) -> dict[str, str]:
    return {"content-type": "application/x-amz-json-1.1", "x-amz-target": f"Kinesis_20131202.{action}"}
