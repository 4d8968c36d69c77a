"""The answer to a dry run, over both transports."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tests.support.receivers import receiving
from tests.support.transports import served_by
from untrace_pipeline.api import Code, Consumer
from untrace_pipeline.data import Batch, Context, Signal
from untrace_pipeline.testing import make_batch
from untrace_plugins.otlp.http import respond
from untrace_plugins.otlp.service import MOST_REMARKS, OK, Encoding, OtlpService
from untrace_plugins.otlp.status import success_bytes
from untrace_plugins.receivers.otlp import FACTORY


class Remarking:
    """Stands for pipelines that remark something."""

    def __init__(self, *remarks: str) -> None:
        self._remarks = remarks

    def admit(self, byte_size: int) -> None:
        """Admit everything."""

    async def consume(self, batch: Batch) -> None:
        batch.context.remarks.extend(self._remarks)


def asked() -> Batch:
    """Return a request with a context of its own."""
    return make_batch(context=Context(metadata={"x-untrace-dry-run": ("1",)}))


def service(next: Consumer) -> OtlpService:
    """Return the receiver's service."""
    return OtlpService("otlp", [Signal.TRACES], next, None)  # type: ignore[arg-type]


async def test_remarks_become_a_warning() -> None:
    """What was found out stands in partial_success, which rejects nothing; the request succeeded."""
    answer = await service(Remarking("rule a → b", "exporter x: 1 span")).take(asked())
    assert answer.code is Code.OK
    assert answer.message == "dry run, nothing was sent: rule a → b; exporter x: 1 span"
    told = ExportTraceServiceResponse.FromString(success_bytes(answer))
    assert told.partial_success.error_message == answer.message
    assert told.partial_success.rejected_spans == 0
    response = respond(answer, Encoding.JSON)
    assert response.status == 200
    assert json.loads(response.body) == {"partialSuccess": {"errorMessage": answer.message}}


async def test_many_remarks_are_cut() -> None:
    """An answer stays short, whatever the request was."""
    answer = await service(Remarking(*["x"] * (MOST_REMARKS + 7))).take(asked())
    assert answer.message.endswith("; and 7 more")


@pytest.mark.parametrize("context", [Context(), Context(metadata={"x-untrace-dry-run": ("false",)})])
async def test_without_remarks_the_answer_is_the_usual_one(context: Context) -> None:
    """Whoever did not ask is told nothing."""
    batch = Batch(Signal.TRACES, make_batch().to_otlp(), context)
    assert await service(Remarking()).take(batch) is OK


OPTIONS: dict[str, Any] = {
    "protocols": {
        "http": {"endpoint": "127.0.0.1:0", "include_metadata": True},
        "grpc": {"endpoint": "127.0.0.1:0", "include_metadata": True},
    }
}
DRY = {"x-untrace-dry-run": "true"}


class Explaining(Remarking):
    """Remarks something of dry runs only."""

    async def consume(self, batch: Batch) -> None:
        if batch.context.dry_run:
            await super().consume(batch)


@pytest.mark.parametrize(("media_type", "body"), [("application/json", True), ("application/x-protobuf", False)])
async def test_answer_over_http(served_by: str, media_type: str, body: bool) -> None:
    """Who asks over HTTP is answered in the form of the request; who does not ask is answered as ever."""
    batch = make_batch()
    payload = batch.to_json() if body else batch.to_otlp()
    async with receiving(FACTORY, OPTIONS, sink=Explaining("rule a → b")) as here, aiohttp.ClientSession() as session:
        url = f"http://{here.receiver.http.endpoint}/v1/traces"
        for headers, message in ((DRY, "dry run, nothing was sent: rule a → b"), ({}, "")):
            async with session.post(url, data=payload, headers={"content-type": media_type, **headers}) as answer:
                found = await answer.read()
                assert (answer.status, answer.content_type) == (200, media_type)
            told = (
                json.loads(found).get("partialSuccess", {}).get("errorMessage", "")
                if body
                else (ExportTraceServiceResponse.FromString(found).partial_success.error_message)
            )
            assert told == message


async def test_answer_over_grpc(served_by: str) -> None:
    """Over gRPC the answer says it where the transport can; either way the call succeeds."""
    async with receiving(FACTORY, OPTIONS, sink=Explaining("rule a → b")) as here:
        channel = grpc.aio.insecure_channel(str(here.receiver.grpc.endpoint))
        export = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        found = await export(make_batch().to_otlp(), metadata=tuple(DRY.items()))
        await channel.close()
    told = ExportTraceServiceResponse.FromString(found).partial_success.error_message
    assert told == ("" if served_by == "native" else "dry run, nothing was sent: rule a → b")


__all__ = ["served_by"]
